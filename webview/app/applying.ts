/** Writing the compressed model: what the extension reports, and the wish to stop. */
import type { Progress, StepSummary } from '../../language/protocol';
import { AbandonedError, type Host } from '../host';
import { text } from '../strings';
import { announce } from './announcing';
import type { State } from './state';
import type { Store } from './store';

export interface ApplyControl {
  readonly start: () => void;
  readonly cancel: () => void;
  readonly dismiss: () => void;
}

export function createApplying(host: Host, store: Store<State>): ApplyControl {
  let wanted = false;

  function onProgress(progress: Progress | null): void {
    const { applying } = store.get();
    const running = applying.state === 'running' || applying.state === 'cancelling';
    if (!progress) {
      // A run that this page did not start ends with its last event.
      if (running && !wanted) store.set({ applying: { state: 'no' } });
      return;
    }
    const phases = running ? applying.phases : [];
    store.set({
      applying: {
        state: applying.state === 'cancelling' ? 'cancelling' : 'running',
        phases: phases.includes(progress.phase) ? phases : [...phases, progress.phase],
        progress,
      },
    });
  }

  async function run(): Promise<void> {
    wanted = true;
    store.set({ notice: null });
    try {
      await host.request('apply', null);
      const { applying } = store.get();
      const finished = applying.state === 'running' && (applying.progress?.fraction ?? 0) >= 1;
      store.set({ applying: { state: finished ? 'done' : 'no' } });
      if (finished) announce(store, text('apply.done'));
    } catch (error) {
      const cancelled = store.get().applying.state === 'cancelling';
      const quiet = cancelled || error instanceof AbandonedError;
      store.set({
        applying: quiet ? { state: 'no' } : { state: 'failed', message: (error as Error).message },
      });
    } finally {
      wanted = false;
    }
  }

  host.on('progress', onProgress);
  return {
    start: () => void run(),
    cancel() {
      const { applying } = store.get();
      if (applying.state === 'running')
        store.set({ applying: { ...applying, state: 'cancelling' } });
      void host.request('cancel', null);
    },
    dismiss: () => store.set({ applying: { state: 'no' } }),
  };
}

export type PhaseState = 'done' | 'working' | 'waiting';

export interface PhaseRow {
  readonly title: string;
  readonly state: PhaseState;
  readonly detail: string;
}

/**
 * The rows of the list: the enabled steps in order, then whatever else was reported. A phase names its step by number,
 * pass or title.
 */
export function phaseRows(
  steps: readonly StepSummary[],
  phases: readonly string[],
  progress: Progress | null,
): readonly PhaseRow[] {
  const enabled = steps.filter((step) => step.enabled);
  const places = placesOf(enabled, phases);
  const rest = phases.filter((_, index) => places[index] === undefined);
  const titles = [...enabled.map((step) => step.title), ...rest];
  const at = phases.indexOf(progress?.phase ?? '');
  const working = at < 0 ? -1 : (places[at] ?? enabled.length + rest.indexOf(phases[at]!));
  return titles.map((title, row) => ({
    title,
    state: row === working ? 'working' : row < working ? 'done' : 'waiting',
    detail: row === working ? (progress?.detail ?? '') : '',
  }));
}

/** For each phase the step it names, searched onwards from the last, or undefined. */
function placesOf(
  steps: readonly StepSummary[],
  phases: readonly string[],
): readonly (number | undefined)[] {
  let from = 0;
  return phases.map((phase) => {
    const index = steps.findIndex(
      (step, place) => place >= from && (phase.includes(step.pass) || phase.includes(step.title)),
    );
    if (index < 0) return undefined;
    from = index + 1;
    return index;
  });
}
