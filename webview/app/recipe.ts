/** Intents on the recipe. The extension edits the text; what comes of it arrives with the next design. */
import type { Design, RecipeEdit, StepSummary } from '../../language/protocol';
import { equal } from '../common/equal';
import type { Host } from '../host';
import { text } from '../strings';
import { addedSentence, announce, latencySentence } from './announcing';
import type { DesignLoader } from './designLoader';
import { memoryOf } from './memory';
import type { Draft, State } from './state';
import type { Store } from './store';

export interface Recipe {
  /** Adds a step at these selectors; none means wherever the pass works by default. */
  readonly add: (
    pass: string,
    at: readonly string[],
    blocks?: number,
    parameters?: StepSummary['parameters'],
  ) => void;
  /** Writes a parameter, unless it is so already. */
  readonly set: (draft: Draft) => void;
  /** Shows a parameter in motion. */
  readonly draft: (draft: Draft) => void;
  readonly enable: (step: number, enabled: boolean) => void;
  readonly move: (step: number, to: number) => void;
  readonly remove: (step: number) => void;
  readonly retarget: (step: number, at: readonly string[]) => void;
  /** Leaves a layer out of a step, or takes it in again. */
  readonly except: (step: number, node: string, excepted: boolean) => void;
  /** Has a layer done by a step of its own, with another value of a parameter. */
  readonly part: (step: number, node: string, parameter: string, value: number) => void;
  /** Gives the layers of a step that these selectors name other bits than the rest: `own` again those of the step. */
  readonly bits: (step: number, nodes: readonly string[], bits: number | 'own' | null) => void;
  readonly setTargets: (targets: readonly string[]) => void;
  readonly bind: (symbol: string, size: number) => void;
  readonly undo: () => void;
  readonly redo: () => void;
  /** A design arrived that shows the recipe as written. */
  readonly arrived: (design: Design) => void;
}

/** What the next design should contain, and what to do then. */
type Expectation = (design: Design) => boolean;

export function createRecipe(host: Host, store: Store<State>, designs: DesignLoader): Recipe {
  let expected: Expectation | null = null;
  /** What the recipe says of the parameter in motion: designs of a draft show the draft. */
  let written: Draft | null = null;

  async function edit(change: RecipeEdit, expectation: Expectation | null = null): Promise<void> {
    expected = expectation;
    store.set({ notice: null });
    // The designer that takes over from the viewer starts with this view.
    if (store.get().session?.view === 'viewer')
      void host.request('remember', memoryOf(store.get()));
    try {
      await host.request('edit', change);
    } catch (error) {
      expected = null;
      store.set({ notice: (error as Error).message, moved: null });
    }
    designs.endDraft();
    designs.refresh();
  }

  function announceTotals(design: Design): true {
    const sentence = latencySentence(design, store.get().target);
    if (sentence) announce(store, sentence);
    return true;
  }

  function writtenValue(step: number, parameter: string): unknown {
    if (written?.step === step && written.parameter === parameter) return written.value;
    return steps()[step]?.parameters[parameter];
  }

  const steps = (): readonly StepSummary[] => store.get().design?.recipe?.steps ?? [];

  return {
    add(pass, at, blocks = 0, parameters) {
      const count = steps().length;
      void edit({ kind: 'add', pass, at, ...(parameters && { parameters }) }, (design) => {
        const added = addedStep(design, pass, count);
        if (added === null) return false;
        store.set({ step: added, focus: { on: 'parameter' } });
        announce(
          store,
          addedSentence(design, design.recipe!.steps[added]!, blocks, store.get().target),
        );
        return true;
      });
    },
    set({ step, parameter, value }) {
      const before = writtenValue(step, parameter);
      written = null;
      if (!equal(before, value)) void edit({ kind: 'set', step, parameter, value }, announceTotals);
      else if (store.get().draft) {
        designs.endDraft();
        designs.refresh();
      }
    },
    draft(draft) {
      const { step, parameter } = draft;
      written = { step, parameter, value: writtenValue(step, parameter) };
      designs.draft(draft);
    },
    enable: (step, enabled) => {
      void edit({ kind: 'enable', step, enabled }, announceTotals);
    },
    move(step, to) {
      const count = steps().length;
      if (to < 0 || to >= count || to === step) return;
      const title = steps()[step]?.title ?? '';
      store.set({
        moved: { from: step, to },
        step: to,
        focus: { on: 'step', id: String(to) },
      });
      announce(store, text('say.moved', { title, number: to + 1, count }));
      void edit({ kind: 'move', step, to });
    },
    remove(step) {
      const title = steps()[step]?.title ?? '';
      const last = steps().length - 2;
      const next = last < 0 ? null : Math.min(step, last);
      store.set({
        step: next,
        focus: next === null ? null : { on: 'step', id: String(next) },
      });
      announce(store, text('say.removed', { title }));
      void edit({ kind: 'remove', step });
    },
    retarget: (step, at) => {
      void edit({ kind: 'retarget', step, at }, announceTotals);
    },
    except(step, node, excepted) {
      const { title = '', sites = 0 } = steps()[step] ?? {};
      if (excepted && sites === 1) {
        store.set({ notice: text('effects.onlyOne', { title }) });
        return;
      }
      void edit({ kind: 'except', step, node, excepted }, (design) => {
        const words = { node, title, latency: latencySentence(design, store.get().target) };
        announce(store, text(excepted ? 'say.leftOut' : 'say.takenIn', words));
        return true;
      });
    },
    part(step, node, parameter, value) {
      void edit({ kind: 'part', step, node, parameter, value }, (design) => {
        const words = {
          node,
          parameter,
          value,
          latency: latencySentence(design, store.get().target),
        };
        announce(store, text('say.parted', words));
        return true;
      });
    },
    bits(step, nodes, bits) {
      const { title = '', sites = 0, at = [] } = steps()[step] ?? {};
      if (bits === null && sites === 1 && !at.every((name) => nodes.includes(name))) {
        store.set({ notice: text('effects.onlyOne', { title }) });
        return;
      }
      void edit({ kind: 'bits', step, nodes, bits }, announceTotals);
    },
    setTargets: (targets) => {
      void edit({ kind: 'targets', targets });
    },
    bind: (symbol, size) => {
      void edit({ kind: 'bind', symbol, size });
    },
    undo: () => {
      void host.request('undo', null).then(() => designs.refresh());
    },
    redo: () => {
      void host.request('redo', null).then(() => designs.refresh());
    },
    arrived(design) {
      if (expected?.(design)) expected = null;
      const count = design.recipe?.steps.length ?? 0;
      const { step, moved } = store.get();
      if (step !== null && step >= count) store.set({ step: count > 0 ? count - 1 : null });
      if (moved) store.set({ moved: null });
    },
  };
}

/** The index of a step that was not there when it had `count` of them. */
function addedStep(design: Design, pass: string, count: number): number | null {
  const steps = design.recipe?.steps ?? [];
  if (steps.length <= count) return null;
  const index = steps.findLastIndex((step) => step.pass === pass);
  return index < 0 ? null : index;
}
