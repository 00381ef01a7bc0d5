import type { NodeDetails } from '../../language/protocol';
import { useView } from '../app/context';
import { percent, quantity } from '../format';
import { text } from '../strings';
import { Section } from './section';

type Reason = NodeDetails['why'][number];

interface WhyProps {
  readonly why: readonly Reason[];
  readonly unknown: string | null;
}

/** The terms that make a latency, on each target, the shown one first. */
export function Why({ why, unknown }: WhyProps) {
  const target = useView((state) => state.target);
  const sorted = [...why].sort((a, b) => Number(b.target === target) - Number(a.target === target));
  if (sorted.length === 0 && unknown === null) return null;
  return (
    <Section id="why" title={text('node.why')}>
      {unknown !== null && (
        <p className="problem problem-warning">{text('unknownBecause', { reason: unknown })}</p>
      )}
      {sorted.map((reason) => (
        <TargetReason key={reason.target} reason={reason} shown={reason.target === target} />
      ))}
    </Section>
  );
}

function TargetReason({ reason, shown }: { readonly reason: Reason; readonly shown: boolean }) {
  const { title, latencyMs, energyMj, bound, utilisation, terms, basis } = reason;
  const { mapping, unsupported } = reason;
  const largest = Math.max(...terms.map(({ ms }) => ms));
  const total = terms.reduce((sum, { ms }) => sum + ms, 0);
  const facts = [
    energyMj === null ? '' : quantity(energyMj, 'energy'),
    bound === '' ? '' : text('why.bound', { bound }),
    utilisation === null ? '' : text('why.utilisation', { share: percent(utilisation) }),
  ].filter(Boolean);
  return (
    <div className={`reason${shown ? ' reason-shown' : ''}`} data-testid={`why-${reason.target}`}>
      <div className="reason-head">
        <span>{title}</span>
        <strong>{latencyMs === null ? text('unknown') : quantity(latencyMs, 'time')}</strong>
      </div>
      {terms.length > 0 && (
        <>
          <div className="terms" aria-hidden="true">
            {terms.map(({ name, ms }, index) => (
              <span
                key={name}
                className={`term-${index % 5}`}
                style={{ width: `${(ms / total) * 100}%` }}
              />
            ))}
          </div>
          <ul className="term-list">
            {terms.map(({ name, ms }, index) => (
              <li key={name} className={ms === largest ? 'term-largest' : ''}>
                <span className={`term-dot term-${index % 5}`} /> {name} {quantity(ms, 'time')}
              </li>
            ))}
          </ul>
        </>
      )}
      {facts.length > 0 && <p>{facts.join(' · ')}</p>}
      {unsupported !== null && (
        <p className="problem problem-warning">
          {text('why.unsupported', { reason: unsupported })}
        </p>
      )}
      {mapping !== null && <p>{mapping}</p>}
      <p className="quiet">{basis}</p>
    </div>
  );
}
