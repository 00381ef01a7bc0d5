import type { StepReport } from '../../language/protocol';
import { useApp } from '../app/context';
import { Icon } from '../common/icon';
import { counted, text } from '../strings';

/** What was left alone and why: first, because it is what people would miss. */
export function Skipped({ steps }: { readonly steps: readonly StepReport[] }) {
  const count = steps.reduce((sum, { skipped }) => sum + skipped.length, 0);
  if (count === 0)
    return (
      <p className="report-note report-note-good" data-testid="skipped-none">
        <Icon name="check" /> {text('report.nothingSkipped')}
      </p>
    );
  return (
    <section
      className="report-section report-skipped"
      aria-label={text('step.skipped')}
      data-testid="skipped"
    >
      <h2>
        <Icon name="warning" /> {counted('skipped', count)}
      </h2>
      {steps.map((step, index) => (
        <SkippedByStep key={index} step={step} />
      ))}
    </section>
  );
}

const FIRST_SHOWN = 6;

/** Equal reasons are told once, with the layers they hold for. */
function SkippedByStep({ step }: { readonly step: StepReport }) {
  const reasons = new Map<string, string[]>();
  for (const { node, reason } of step.skipped)
    reasons.set(reason, [...(reasons.get(reason) ?? []), node]);
  return [...reasons].map(([reason, nodes]) => (
    <details key={reason} open={nodes.length <= FIRST_SHOWN}>
      <summary>
        <strong>{step.title}</strong> {reason} <span className="quiet">({nodes.length})</span>
      </summary>
      <ul>
        {nodes.map((node) => (
          <li key={node}>
            <TextLink node={node} />
          </li>
        ))}
      </ul>
    </details>
  ));
}

/** A layer, in the text of the model. */
export function TextLink({ node }: { readonly node: string }) {
  const app = useApp();
  return (
    <button
      type="button"
      className="link"
      title={text('node.goToText')}
      onClick={() => void app.host.request('open', { what: 'onnxText', node })}
    >
      {node}
    </button>
  );
}
