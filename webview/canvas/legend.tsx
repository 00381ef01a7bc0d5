import type { ReactNode } from 'react';
import type { StepSensitivity } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { IconButton } from '../common/iconButton';
import { percent } from '../format';
import { effectText } from '../sensitivity/effects';
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
  const found = useView((state) => (state.showsEffects ? state.sensitivity : null));
  const stale = useView((state) => state.design?.effects?.stale ?? false);
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
  if (found) return <EffectsLegend found={found} stale={stale} />;
  const onTarget = metric === 'latency' || metric === 'energy';
  const name = text(`metric.${metric}`);
  const largest = largestShare(view.nodes, metric);
  return (
    <div className="legend" data-testid="legend">
      <Title>
        {onTarget
          ? text('legend.onTarget', { metric: name, target })
          : text('legend.ofModel', { metric: name })}
      </Title>
      <Shades />
      <div className="legend-ends">
        <span>0</span>
        <span>{largest > 0 ? percent(largest) : text('unknown')}</span>
      </div>
    </div>
  );
}

interface EffectsLegendProps {
  readonly found: StepSensitivity;
  readonly stale: boolean;
}

function EffectsLegend({ found, stale }: EffectsLegendProps) {
  const { title, judge, layers, byMetric } = found;
  const [worst] = layers;
  return (
    <div className="legend" data-testid="legend">
      <Title>
        {text('legend.effects', { title, judge })}
        {stale && <strong> · {text('legend.stale')}</strong>}
      </Title>
      <Shades />
      <div className="legend-ends">
        <span>{text('legend.least')}</span>
        <span>{worst ? effectText(worst) : ''}</span>
      </div>
      {!byMetric && <div className="quiet">{text('legend.halves')}</div>}
    </div>
  );
}

function Title({ children }: { readonly children: ReactNode }) {
  const app = useApp();
  return (
    <div className="legend-title">
      <span>{children}</span>
      <IconButton icon="close" label={text('legend.hide')} onClick={() => app.fold('legend')} />
    </div>
  );
}

function Shades() {
  return (
    <div className="legend-bar" aria-hidden="true">
      {Array.from({ length: HEAT_STEPS }, (_, step) => (
        <span key={step} style={{ background: heatColour(step) }} />
      ))}
    </div>
  );
}
