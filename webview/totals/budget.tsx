import { quantity } from '../format';
import { text } from '../strings';

/** How much of a latency budget is used up. */
export function Budget({ ms, maxMs }: { readonly ms: number | null; readonly maxMs: number }) {
  if (ms === null) return <span className="unknown">{text('unknown')}</span>;
  const used = ms / maxMs;
  const words = text('totals.ofBudget', {
    used: quantity(ms, 'time'),
    budget: quantity(maxMs, 'time'),
  });
  return (
    <div className={`budget${used > 1 ? ' budget-exceeded' : ''}`}>
      <span>{used > 1 ? text('totals.overBudget', { words }) : words}</span>
      <div
        className="budget-bar"
        role="meter"
        aria-label={words}
        aria-valuemin={0}
        aria-valuemax={maxMs}
        aria-valuenow={Math.min(ms, maxMs)}
      >
        <span style={{ width: `${Math.min(1, used) * 100}%` }} />
      </div>
    </div>
  );
}
