/** The designer's actions, whoever asks for them: a key, a button, or a command that people bound a key to. */
import type { DesignerAction } from '../../language/protocol';
import type { Capturing } from './capturing';
import type { Recipe } from './recipe';
import type { RooflineControl } from './roofline';
import type { Selection } from './selection';
import type { Sensing } from './sensing';
import type { Popup, State } from './state';
import type { Store } from './store';

export type Actions = Readonly<Record<DesignerAction, () => void>>;

/** Keys that work wherever no text is being typed. */
export const KEYS: Readonly<Record<string, DesignerAction>> = {
  '/': 'find',
  f: 'fit',
  p: 'addPass',
  t: 'pickTarget',
  h: 'pickMetric',
  w: 'why',
  r: 'roofline',
  s: 'sensitivity',
  a: 'activations',
};

interface Parts {
  readonly store: Store<State>;
  readonly selection: Selection;
  readonly recipe: Recipe;
  readonly sensing: Sensing;
  readonly capturing: Capturing;
  readonly roofline: RooflineControl;
}

export function createActions(
  { store, selection, recipe, sensing, capturing, roofline }: Parts,
  fit: () => void,
): Actions {
  const show = (popup: Popup) => store.set({ popup });
  const onStep = (act: (step: number) => void) => () => {
    const { step } = store.get();
    if (step !== null) act(step);
  };
  return {
    find: () => store.set({ findOpen: true, popup: null }),
    fit,
    addPass: () => show({ kind: 'passes', anchor: 'canvas' }),
    pickTarget: () => show({ kind: 'target' }),
    pickMetric: () => show({ kind: 'metric' }),
    why() {
      const { folded } = store.get();
      store.set({
        folded: folded.filter((pane) => pane !== 'inspector' && pane !== 'why'),
        step: null,
      });
      requestAnimationFrame(() => document.getElementById('why')?.focus());
    },
    roofline: roofline.toggle,
    openBlock() {
      const { current } = store.get();
      if (current !== null) selection.open(current);
    },
    closeBlock() {
      const block = enclosing(store.get());
      if (block !== null) selection.close(block);
    },
    moveStepUp: onStep((step) => recipe.move(step, step - 1)),
    moveStepDown: onStep((step) => recipe.move(step, step + 1)),
    toggleStep: onStep((step) => {
      const summary = store.get().design?.recipe?.steps[step];
      if (summary) recipe.enable(step, !summary.enabled);
    }),
    removeStep: onStep(recipe.remove),
    sensitivity: sensing.ask,
    excludeLayer: sensing.exclude,
    activations: capturing.ask,
  };
}

/** The open block that the keyboard is at or in. */
function enclosing({ current, design }: State): string | null {
  const node = design?.view.nodes.find(({ id }) => id === current);
  return node?.open ? node.id : (node?.parent ?? null);
}

/** Runs the action of a key, unless it is text or belongs to somebody else. True when it was one. */
export function actOnKey(event: KeyboardEvent, actions: Actions): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  if (isTyping(event)) return false;
  const action = KEYS[event.key];
  if (!action) return false;
  actions[action]();
  return true;
}

/** Whether a key goes into a text field, looked up through shadow roots. */
export function isTyping(event: Event): boolean {
  const [origin] = event.composedPath();
  if (origin instanceof HTMLTextAreaElement || origin instanceof HTMLSelectElement) return true;
  return (
    origin instanceof HTMLInputElement && !['checkbox', 'range', 'radio'].includes(origin.type)
  );
}
