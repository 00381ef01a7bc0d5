import { useApp, useView } from '../app/context';
import { phaseRows, type PhaseRow } from '../app/applying';
import { Button, ProgressBar } from '../common/elements';
import { Icon } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { text } from '../strings';

/** What is being written, step by step; the graph stays usable beside it. */
export function ApplyPanel() {
  const app = useApp();
  const applying = useView((state) => state.applying);
  switch (applying.state) {
    case 'no':
      return null;
    case 'running':
    case 'cancelling':
      return <Running {...applying} />;
    case 'done':
      return (
        <section className="apply-panel" role="status" data-testid="apply-done">
          <Head title={text('apply.done')} />
          <div className="buttons">
            <Button
              secondary
              icon="folder-opened"
              testId="reveal-output"
              onClick={() => void app.host.request('open', { what: 'output' })}
            >
              {text('apply.reveal')}
            </Button>
          </div>
        </section>
      );
    case 'failed':
      return (
        <section className="apply-panel" role="alert" data-testid="apply-failed">
          <Head title={text('apply.failed')} />
          <p className="problem problem-error">{applying.message}</p>
        </section>
      );
  }
}

function Head({ title }: { readonly title: string }) {
  const app = useApp();
  return (
    <header className="apply-head">
      <h2>{title}</h2>
      <IconButton icon="close" label={text('dismiss')} onClick={app.applying.dismiss} />
    </header>
  );
}

interface RunningProps {
  readonly state: 'running' | 'cancelling';
  readonly phases: readonly string[];
  readonly progress: { phase: string; detail: string; fraction: number; token: string } | null;
}

function Running({ state, phases, progress }: RunningProps) {
  const app = useApp();
  const steps = useView((view) => view.design?.recipe?.steps) ?? [];
  const cancelling = state === 'cancelling';
  return (
    <section className="apply-panel" aria-label={text('apply.running')} data-testid="apply-panel">
      <header className="apply-head">
        <h2>{text(cancelling ? 'apply.cancelling' : 'apply.running')}</h2>
        <Button secondary disabled={cancelling} testId="apply-cancel" onClick={app.applying.cancel}>
          {text('apply.cancel')}
        </Button>
      </header>
      <ProgressBar fraction={progress?.fraction ?? null} label={text('apply.running')} />
      <ol className="phases">
        {phaseRows(steps, phases, progress).map((row, index) => (
          <Phase key={index} row={row} />
        ))}
      </ol>
    </section>
  );
}

function Phase({ row: { title, state, detail } }: { readonly row: PhaseRow }) {
  const icon = { done: 'check', working: 'loading', waiting: 'circle-outline' } as const;
  return (
    <li className={`phase phase-${state}`} aria-current={state === 'working' ? 'step' : undefined}>
      <Icon name={icon[state]} spin={state === 'working'} />
      <span>{title}</span>
      {detail && <small title={detail}>{detail}</small>}
    </li>
  );
}
