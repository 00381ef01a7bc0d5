/** Measuring what a step does to one layer at a time, and what follows from it. */
import type { Design, Progress, StepSensitivity } from '../../language/protocol';
import { AbandonedError, type Host } from '../host';
import { moreBits } from '../sensitivity/bits';
import { effectText } from '../sensitivity/effects';
import { text } from '../strings';
import { announce } from './announcing';
import type { Finding } from './finding';
import type { Recipe } from './recipe';
import type { Selection } from './selection';
import type { State } from './state';
import type { Store } from './store';

export interface Sensing {
  /** For the selected step; without one for the only one, or that which the user picks. */
  readonly ask: () => void;
  /** Shows what is known of a step, and measures it if nothing is. */
  readonly show: (step: number) => void;
  /** Measures, whatever is known already. */
  readonly measure: (step: number, byMetric: boolean) => void;
  readonly cancel: () => void;
  /** Moves to a row of the table and shows its layer on the canvas: as it is drawn, or with what hides it opened. */
  readonly walk: (row: number, opening?: boolean) => void;
  /** Leaves the layer of the current row out of the step, or takes it in again. */
  readonly exclude: () => void;
  /** Gives the layer of the current row more bits than the others, where the pass has them. */
  readonly raise: () => void;
  readonly close: () => void;
}

interface Parts {
  readonly host: Host;
  readonly store: Store<State>;
  readonly selection: Selection;
  readonly recipe: Recipe;
  readonly finding: Finding;
}

export function createSensing(
  { host, store, selection, recipe, finding }: Parts,
  refresh: () => void,
): Sensing {
  /** A run that this page started. */
  let wanted: number | null = null;

  function onProgress(progress: Progress | null): void {
    const { analysing } = store.get();
    if (!progress) {
      if (wanted === null && analysing.state !== 'failed')
        store.set({ analysing: { state: 'no' } });
      return;
    }
    const state = analysing.state === 'cancelling' ? 'cancelling' : 'running';
    store.set({ analysing: { state, step: wanted, progress } });
  }

  function arrived(sensitivity: StepSensitivity): void {
    store.set({ sensitivity, effectRow: 0, showsEffects: true });
    refresh();
    if (wanted === null) return;
    open();
    store.set({ focus: { on: 'effects' } });
    const [worst] = sensitivity.layers;
    if (!worst) return;
    const words = { title: sensitivity.title, node: worst.node, effect: effectText(worst) };
    announce(store, text('say.sensitivity', words));
  }

  function open(): void {
    const folded = store.get().folded.filter((pane) => pane !== 'inspector');
    store.set({ folded, effectsOpen: true });
  }

  async function run(step: number, byMetric: boolean): Promise<void> {
    if (wanted !== null) return;
    wanted = step;
    open();
    const running = { state: 'running', step, progress: null } as const;
    store.set({ analysing: running, focus: { on: 'analysing' }, notice: null });
    try {
      await host.request('sensitivity', { step, byMetric });
      store.set({ analysing: { state: 'no' } });
    } catch (error) {
      const quiet = store.get().analysing.state === 'cancelling' || error instanceof AbandonedError;
      const message = (error as Error).message;
      store.set({ analysing: quiet ? { state: 'no' } : { state: 'failed', step, message } });
    } finally {
      wanted = null;
    }
    // Without a result, because the user wanted none, the keyboard goes back to the step.
    const { sensitivity, analysing } = store.get();
    if (!sensitivity && analysing.state === 'no') close(step);
  }

  function close(step: number | null): void {
    selection.step(step);
    store.set({ focus: step === null ? null : { on: 'step', id: String(step) } });
  }

  const sensing: Sensing = {
    ask() {
      const { step, design, sensitivity, effectsOpen } = store.get();
      const steps = design?.recipe?.steps ?? [];
      const shown = effectsOpen && sensitivity ? (design?.effects?.step ?? null) : null;
      const chosen = step ?? shown ?? (steps.length === 1 ? 0 : null);
      if (chosen !== null) sensing.show(chosen);
      else if (steps.length > 1) store.set({ popup: { kind: 'analyseStep' } });
      else store.set({ notice: text('effects.noStep') });
    },
    show(step) {
      const { sensitivity, design } = store.get();
      if (!sensitivity || !design || !holdsFor(sensitivity, design, step)) {
        void run(step, sensitivity?.byMetric ?? false);
        return;
      }
      open();
      store.set({ showsEffects: true, focus: { on: 'effects' } });
    },
    measure: (step, byMetric) => void run(step, byMetric),
    cancel() {
      const { analysing } = store.get();
      if (analysing.state === 'running')
        store.set({ analysing: { ...analysing, state: 'cancelling' } });
      void host.request('cancelSensitivity', null);
    },
    walk(row, opening = false) {
      const { sensitivity, design } = store.get();
      const origin = sensitivity?.origins[row];
      if (origin === undefined) return;
      store.set({ effectRow: row });
      const drawn = design?.effects?.shown[row];
      if (opening || drawn == null) void finding.show(origin, 'effects');
      else selection.reveal(drawn, [], 'effects');
    },
    exclude() {
      const { sensitivity, design, effectRow } = store.get();
      const origin = sensitivity?.origins[effectRow];
      const effects = design?.effects;
      if (origin === undefined || effects?.step == null) return;
      const { except } = design!.recipe!.steps[effects.step]!;
      const named = except.includes(origin);
      // What a pattern leaves out cannot be taken in by itself.
      if (named || (effects.worked?.[effectRow] ?? true))
        recipe.except(effects.step, origin, !named);
    },
    raise() {
      const { sensitivity, design, effectRow, passes } = store.get();
      const origin = sensitivity?.origins[effectRow];
      const index = design?.effects?.step ?? null;
      if (origin === undefined || index === null) return;
      const step = design!.recipe!.steps[index]!;
      const bits = moreBits(
        passes.find(({ id }) => id === step.pass),
        step,
      );
      const isWorked = design!.effects!.worked?.[effectRow] ?? true;
      if (bits !== null && isWorked && step.sites > 1) recipe.part(index, origin, 'bits', bits);
    },
    close: () => close(store.get().design?.effects?.step ?? null),
  };

  host.on('analysing', onProgress);
  host.on('analysed', arrived);
  return sensing;
}

/** Whether what was measured is still true of a step, for every layer that it works on. */
function holdsFor({ key }: StepSensitivity, { effects }: Design, step: number): boolean {
  return effects?.key === key && effects.step === step && !effects.stale && effects.others === 0;
}
