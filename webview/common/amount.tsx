import type { Change } from '../../language/protocol';
import { changeText, type Unit } from '../format';
import { text } from '../strings';

interface AmountProps {
  readonly change: Change;
  readonly unit: Unit;
  /** Said where the number is unknown; without it the word alone. */
  readonly reason?: string | null;
}

/** A number with what it was before: `~~2.44~~ 1.41 ms`. */
export function Amount({ change, unit, reason }: AmountProps) {
  const { mark, before, after } = changeText(change, unit);
  if (after === null)
    return (
      <span className="unknown">
        {reason ? text('unknownBecause', { reason }) : text('unknown')}
      </span>
    );
  return (
    <span className="amount">
      {before !== null && (
        <>
          <del>{before}</del> <span className="hidden">{text('to')}</span>{' '}
        </>
      )}
      <span className="amount-after">
        {mark && (
          <span className="mark" title={text(mark === '≈' ? 'mark.estimated' : 'mark.partial')}>
            {mark}
            {'\u2009'}
          </span>
        )}
        {after}
      </span>
    </span>
  );
}

/** The relative difference alone, green where it fell and red where it rose. */
export function Difference({ change }: { readonly change: Change }) {
  const { difference, mark } = changeText(change, 'count');
  if (difference === null) return null;
  const fell = (change.after ?? 0) < (change.before ?? 0);
  return (
    <span className={fell ? 'gain' : 'loss'}>
      {mark === '≈' ? '≈\u2009' : ''}
      {difference}
    </span>
  );
}
