import { useApp, useView } from '../app/context';
import { IconButton } from '../common/iconButton';
import { percent } from '../format';
import { text } from '../strings';
import { HEAT_STEPS, heatColour, largestShare } from './heat';

/** What the colours mean. */
export function Legend() {
  const app = useApp();
  const folded = useView((state) => state.folded.includes('legend'));
  const metric = useView((state) => state.metric);
  const view = useView((state) => state.design?.view);
  const target = useView(
    (state) => state.targets.find(({ id }) => id === state.target)?.title ?? state.target,
  );
  if (!view) return null;
  if (folded)
    return (
      <div className="legend legend-folded">
        <IconButton
          icon="question"
          label={text('legend.show')}
          onClick={() => app.fold('legend')}
        />
      </div>
    );
  const onTarget = metric === 'latency' || metric === 'energy';
  const name = text(`metric.${metric}`);
  const largest = largestShare(view.nodes, metric);
  return (
    <div className="legend" data-testid="legend">
      <div className="legend-title">
        <span>
          {onTarget
            ? text('legend.onTarget', { metric: name, target })
            : text('legend.ofModel', { metric: name })}
        </span>
        <IconButton icon="close" label={text('legend.hide')} onClick={() => app.fold('legend')} />
      </div>
      <div className="legend-bar" aria-hidden="true">
        {Array.from({ length: HEAT_STEPS }, (_, step) => (
          <span key={step} style={{ background: heatColour(step) }} />
        ))}
      </div>
      <div className="legend-ends">
        <span>0</span>
        <span>{largest > 0 ? percent(largest) : text('unknown')}</span>
      </div>
    </div>
  );
}
