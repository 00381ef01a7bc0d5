import { useState } from 'react';
import { MADE_UP_INPUTS, type Report } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Button } from '../common/elements';
import { Icon } from '../common/icon';
import { signedPercent, sizePercent } from '../format';
import { text } from '../strings';
import { Skeleton } from '../states/skeleton';
import { Environment } from './environment';
import { FidelityTable } from './fidelityTable';
import { Headline } from './headline';
import { LayerTable } from './layerTable';
import { Skipped } from './skipped';
import { Waterfall } from './waterfall';

/** What applying a recipe did, what it did not, and how far both can be trusted. */
export function ReportView() {
  const report = useView((state) => state.report);
  return report ? <Page report={report} /> : <Skeleton />;
}

function Page({ report }: { readonly report: Report }) {
  const app = useApp();
  const wanted = useView((state) => state.target);
  const targets = report.after.targets;
  const [chosen, choose] = useState<string | null>(null);
  const target = [chosen, wanted, targets[0]?.id].find(
    (id) => id != null && targets.some((one) => one.id === id),
  );
  return (
    <main className="report" data-testid="report">
      <header className="report-head">
        <div>
          <h1>{fileName(report.output.path)}</h1>
          <p className="quiet">
            {text('report.from', {
              model: fileName(report.model.path),
              recipe: fileName(report.recipe.path) || text('report.untitledRecipe'),
              when: new Date(report.createdAt).toLocaleString(),
            })}
          </p>
        </div>
        <div className="buttons">
          <Button
            secondary
            icon="go-to-file"
            testId="open-recipe"
            onClick={() => void app.host.request('open', { what: 'recipe' })}
          >
            {text('report.openRecipe')}
          </Button>
          <Button
            secondary
            icon="folder-opened"
            testId="reveal-output"
            onClick={() => void app.host.request('open', { what: 'output' })}
          >
            {text('apply.reveal')}
          </Button>
        </div>
      </header>
      <MadeUp report={report} />
      <LeftOut steps={report.steps} />
      <Skipped steps={report.steps} />
      <Headline report={report} />
      {target != null && (
        <>
          <TargetTabs targets={targets} target={target} choose={choose} />
          <Waterfall report={report} target={target} />
        </>
      )}
      <FidelityTable fidelity={report.fidelity} />
      <LayerTable layers={report.layers} target={target ?? null} />
      <Environment report={report} />
    </main>
  );
}

/** First, because everything below that compares answers rests on it. */
function MadeUp({ report: { fidelity, steps } }: { readonly report: Report }) {
  const calibrated = steps.filter(({ calibration }) => calibration === MADE_UP_INPUTS);
  const notes = [
    ...(fidelity.data === MADE_UP_INPUTS ? [text('report.madeUp')] : []),
    ...calibrated.map(({ title }) => text('report.calibratedOnMadeUp', { title })),
  ];
  return notes.map((note) => (
    <p key={note} className="report-note report-note-loud" role="note" data-testid="report-made-up">
      <Icon name="warning" /> {note}
    </p>
  ));
}

/** Steps that the recipe's guard or tolerance took back: as if they had not run. */
function LeftOut({ steps }: Pick<Report, 'steps'>) {
  const notes = steps.flatMap(({ title, guard, rolledBack }, step) => {
    if (rolledBack) return [[step, text('report.rolledBack', { title, ...rolledBack })] as const];
    if (!guard?.dropped) return [];
    const gain = guard.gain === null ? text('unknown') : signedPercent(-guard.gain);
    const words = { title, gain, on: guard.on, least: sizePercent(guard.minGain) };
    return [[step, text('report.dropped', words)] as const];
  });
  return notes.map(([step, note]) => (
    <p key={step} className="report-note report-note-loud" data-testid={`left-out-${step}`}>
      <Icon name="discard" /> {note}
    </p>
  ));
}

interface TargetTabsProps {
  readonly targets: Report['after']['targets'];
  readonly target: string;
  readonly choose: (target: string) => void;
}

/** Which target the waterfall and the layers show. */
function TargetTabs({ targets, target, choose }: TargetTabsProps) {
  if (targets.length < 2) return null;
  return (
    <div className="segments" role="group" aria-label={text('pick.target')}>
      {targets.map(({ id, title }) => (
        <button
          key={id}
          type="button"
          aria-pressed={id === target}
          data-testid={`report-target-${id}`}
          onClick={() => choose(id)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

function fileName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}
