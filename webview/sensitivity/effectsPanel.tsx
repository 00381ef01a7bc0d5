import { useRef, type ReactNode } from 'react';
import type { Progress, StepSensitivity } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { Button, ProgressBar } from '../common/elements';
import { Icon, type IconName } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { plain } from '../format';
import { Refusals } from '../inspector/refusals';
import { counted, text } from '../strings';
import { moreBits } from './bits';
import { EffectsTable } from './effectsTable';

/** What a step does to one layer at a time: under way, failed, or as a table. */
export function EffectsPanel() {
  const app = useApp();
  const analysing = useView((state) => state.analysing);
  const found = useView((state) => state.sensitivity);
  const steps = useView((state) => state.design?.recipe?.steps) ?? [];
  const running = analysing.state === 'running' || analysing.state === 'cancelling';
  const asked = analysing.state === 'no' ? null : analysing.step;
  const title = (asked === null ? undefined : steps[asked]?.title) ?? found?.title ?? '';
  return (
    <div
      className="panel effects"
      data-testid="effects-panel"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        if (running) app.sensing.cancel();
        else app.sensing.close();
      }}
    >
      <header className="panel-head effects-head">
        <h2>{text('effects.title', { title })}</h2>
        <IconButton
          icon="close"
          label={text('effects.close')}
          testId="effects-close"
          onClick={app.sensing.close}
        />
      </header>
      {analysing.state === 'failed' && (
        <p className="problem problem-error" role="alert" data-testid="effects-failed">
          <Icon name="error" /> {text('effects.failed', { reason: analysing.message })}
        </p>
      )}
      {running ? (
        <Running cancelling={analysing.state === 'cancelling'} progress={analysing.progress} />
      ) : (
        found && <Found found={found} />
      )}
    </div>
  );
}

interface RunningProps {
  readonly cancelling: boolean;
  readonly progress: Progress | null;
}

function Running({ cancelling, progress }: RunningProps) {
  const app = useApp();
  const box = useRef<HTMLDivElement>(null);
  useWantedFocus('analysing', () => box.current?.focus());
  return (
    <div className="effects-running" ref={box} tabIndex={-1} data-testid="effects-running">
      <p>{text(cancelling ? 'effects.cancelling' : 'effects.running')}</p>
      <ProgressBar fraction={progress?.fraction ?? null} label={text('effects.running')} />
      <p className="quiet effects-detail" title={progress?.detail}>
        {progress?.detail ?? '\u00a0'}
      </p>
      <Button secondary disabled={cancelling} testId="effects-cancel" onClick={app.sensing.cancel}>
        {text('effects.cancel')} <kbd>Esc</kbd>
      </Button>
    </div>
  );
}

function Found({ found }: { readonly found: StepSensitivity }) {
  const app = useApp();
  const now = useView((state) => state.design?.effects);
  const { data, title, judge, before, madeUp, byMetric, skipped } = found;
  const step = now?.step ?? null;
  const again = (metric: boolean) => {
    if (step !== null) app.sensing.measure(step, metric);
  };
  return (
    <>
      {madeUp && (
        <Note icon="warning" loud testId="effects-made-up">
          {text('effects.madeUp')}
        </Note>
      )}
      {now?.stale && (
        <Note icon="history" loud testId="effects-stale">
          {text(step === null ? 'effects.gone' : 'effects.stale')}
        </Note>
      )}
      <p className="quiet">{text('effects.measuredOn', { data, title })}</p>
      {before !== null && (
        <p className="quiet">
          {text('effects.metricBefore', { metric: judge, value: plain(before) })}
        </p>
      )}
      <div className="effects-tools">
        <div className="segments" role="group" aria-label={text('effects.judge')}>
          {[false, true].map((metric) => (
            <button
              key={String(metric)}
              type="button"
              aria-pressed={metric === byMetric}
              disabled={step === null}
              data-testid={metric ? 'effects-by-metric' : 'effects-by-outputs'}
              onClick={() => metric !== byMetric && again(metric)}
            >
              {text(metric ? 'effects.byMetric' : 'effects.byOutputs')}
            </button>
          ))}
        </div>
        {step !== null && (
          <IconButton
            icon="debug-restart"
            label={text('effects.again')}
            testId="effects-again"
            onClick={() => again(byMetric)}
          />
        )}
      </div>
      <EffectsTable found={found} />
      {now && now.others > 0 && (
        <Note icon="info" testId="effects-others">
          {counted('effects.others', now.others)}
        </Note>
      )}
      <Keys pass={found.pass} />
      <Refusals id="unmeasured" title={text('effects.skipped')} refusals={skipped} />
    </>
  );
}

/** What keys do on the table. */
function Keys({ pass: id }: { readonly pass: string }) {
  const pass = useView((state) => state.passes.find((candidate) => candidate.id === id));
  const step = useView((state) => state.design?.recipe?.steps[state.design.effects?.step ?? -1]);
  const bits = step ? moreBits(pass, step) : null;
  return (
    <p className="quiet">
      {text('effects.keys')} {bits !== null && text('effects.keyOfBits', { bits })}
    </p>
  );
}

interface NoteProps {
  readonly icon: IconName;
  readonly loud?: boolean;
  readonly testId: string;
  readonly children: ReactNode;
}

function Note({ icon, loud = false, testId, children }: NoteProps) {
  return (
    <p className={`effects-note${loud ? ' is-loud' : ''}`} role="note" data-testid={testId}>
      <Icon name={icon} /> <span>{children}</span>
    </p>
  );
}
