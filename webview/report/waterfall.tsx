import type { Report } from '../../language/protocol';
import { quantity, difference } from '../format';
import { text } from '../strings';

interface Bar {
  readonly title: string;
  /** Where the bar starts and ends, in milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly look: 'total' | 'gain' | 'loss' | 'none';
  readonly words: string;
}

/** Latency from before to after, by each step that was kept. */
export function Waterfall({
  report,
  target,
}: {
  readonly report: Report;
  readonly target: string;
}) {
  const bars = barsOf(report, target);
  const most = Math.max(...bars.map(({ from, to }) => Math.max(from, to)));
  const title = report.after.targets.find(({ id }) => id === target)?.title ?? target;
  if (bars.length === 0 || most <= 0) return null;
  return (
    <section className="report-section" data-testid="waterfall">
      <h2>{text('report.waterfall', { target: title })}</h2>
      <ol className="waterfall">
        {bars.map((bar, index) => (
          <li key={index}>
            <span className="waterfall-title">{bar.title}</span>
            <svg className="waterfall-bar" height="22" aria-hidden="true">
              <rect
                className={`bar-${bar.look}`}
                x={`${(Math.min(bar.from, bar.to) / most) * 100}%`}
                width={`${Math.max(0.3, (Math.abs(bar.to - bar.from) / most) * 100)}%`}
                y="3"
                height="16"
                rx="2"
              />
              {index + 1 < bars.length && (
                <line
                  className="bar-link"
                  x1={`${(bar.to / most) * 100}%`}
                  x2={`${(bar.to / most) * 100}%`}
                  y1="19"
                  y2="22"
                />
              )}
            </svg>
            <span className="waterfall-words">{bar.words}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function barsOf({ before, after, steps }: Report, target: string): Bar[] {
  const ms = (model: Report['before']) =>
    model.targets.find(({ id }) => id === target)?.latencyMs ?? null;
  const [start, end] = [ms(before), ms(after)];
  if (start === null || end === null) return [];
  const total = (title: string, value: number): Bar => ({
    title,
    from: 0,
    to: value,
    look: 'total',
    words: quantity(value, 'time'),
  });
  return [
    total(text('report.before'), start),
    ...steps.flatMap((step) => {
      if (step.guard?.dropped || step.rolledBack) return [];
      const change = step.latencyMs[target];
      if (change?.before == null || change.after === null) return [];
      const { before: from, after: to } = change;
      const look = to < from ? 'gain' : to > from ? 'loss' : 'none';
      return [{ title: step.title, from, to, look, words: difference(change) ?? '' } satisfies Bar];
    }),
    total(text('report.after'), end),
  ];
}
