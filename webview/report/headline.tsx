import type { ReactNode } from 'react';
import type { Change, Report } from '../../language/protocol';
import { Amount, Difference } from '../common/amount';
import { Icon } from '../common/icon';
import { plain, sizePercent, type Unit } from '../format';
import { text } from '../strings';

/** The numbers that decide, as cards. */
export function Headline({ report }: { readonly report: Report }) {
  const { before, after } = report;
  return (
    <section className="headline" aria-label={text('report.headline')}>
      <Card
        title={text('report.size')}
        change={{ before: before.fileBytes, after: after.fileBytes }}
        unit="bytes"
        note={text('number.exact')}
      />
      <Card
        title={text('metric.macs')}
        change={{ before: before.macs, after: after.macs }}
        unit="macs"
        note={text('number.exact')}
      />
      {after.targets.map((target) => (
        <Card
          key={target.id}
          title={text('report.latencyOn', { target: target.title })}
          change={{
            before: before.targets.find(({ id }) => id === target.id)?.latencyMs ?? null,
            after: target.latencyMs,
            partial: target.partial,
          }}
          unit="time"
          note={<Basis basis={target.basis} />}
        />
      ))}
      <MetricCard report={report} />
      <MeasuredCard report={report} />
    </section>
  );
}

/** Where a modelled number comes from; at length for who asks. */
function Basis({ basis }: { readonly basis: string }) {
  return (
    <details className="basis">
      <summary>{text('number.modelled')}</summary>
      {basis}
    </details>
  );
}

interface CardProps {
  readonly title: string;
  readonly change: Change;
  readonly unit: Unit;
  readonly note: ReactNode;
}

function Card({ title, change, unit, note }: CardProps) {
  return (
    <div className="headline-card">
      <h3>{title}</h3>
      <p className="headline-number">
        <Amount change={change} unit={unit} />
      </p>
      <p className="headline-difference">
        <Difference change={change} />
      </p>
      <div className="quiet">{note}</div>
    </div>
  );
}

function MetricCard({ report: { fidelity } }: { readonly report: Report }) {
  const { metric, drop } = fidelity;
  if (!metric) return null;
  const worse = (drop ?? 0) > 0;
  return (
    <div className="headline-card" data-testid="metric-card">
      <h3>{metric.id}</h3>
      <p className="headline-number">
        <del>{plain(metric.before)}</del>{' '}
        <span className="amount-after">{plain(metric.after)}</span>
      </p>
      <p className="headline-difference">
        {drop !== undefined && (
          <span className={worse ? 'loss' : 'gain'}>
            {text(worse ? 'report.worse' : 'report.better', { by: sizePercent(drop) })}
          </span>
        )}
      </p>
      <p className="quiet">{text('report.samples', { count: metric.samples })}</p>
    </div>
  );
}

function MeasuredCard({ report: { measured } }: { readonly report: Report }) {
  const { beforeMs, afterMs, conditions, verdict, unavailable } = measured;
  const change = { before: beforeMs, after: afterMs };
  return (
    <div className="headline-card" data-testid="measured-card">
      <h3>
        <Icon name="watch" /> {text('report.measured')}
      </h3>
      {unavailable !== undefined ? (
        <p className="unknown">{unavailable}</p>
      ) : (
        <>
          <p className="headline-number">
            <Amount change={change} unit="time" />
          </p>
        </>
      )}
      {verdict && <p className="verdict">{verdict}</p>}
      <p className="quiet">{conditions}</p>
    </div>
  );
}
