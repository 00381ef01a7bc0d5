/** Wires the parts of the app together. Components see this and the state, nothing else. */
import {
  PROTOCOL_VERSION,
  type Design,
  type DesignerAction,
  type Metric,
} from '../../language/protocol';
import type { Host } from '../host';
import { setStrings, text } from '../strings';
import { createActions, type Actions } from './actions';
import { announce } from './announcing';
import { createApplying, type ApplyControl } from './applying';
import { createCapturing, type Capturing } from './capturing';
import { createDesignLoader } from './designLoader';
import { createDetails, type Details } from './details';
import { createDragging, type Dragging } from './dragging';
import { createFinding, type Finding } from './finding';
import { recalled, rememberChanges } from './memory';
import { createRecipe, type Recipe } from './recipe';
import { createRoofline, type RooflineControl } from './roofline';
import { createSensing, type Sensing } from './sensing';
import { createSelection, type Selection } from './selection';
import { INITIAL, type State } from './state';
import { createStore, type Store } from './store';

export interface App {
  readonly host: Host;
  readonly store: Store<State>;
  readonly selection: Selection;
  readonly recipe: Recipe;
  readonly dragging: Dragging;
  readonly details: Details;
  readonly finding: Finding;
  readonly applying: ApplyControl;
  readonly sensing: Sensing;
  readonly capturing: Capturing;
  readonly roofline: RooflineControl;
  readonly actions: Actions;
  readonly setTarget: (target: string) => void;
  readonly setMetric: (metric: Metric | 'effects') => void;
  /** Folds a pane away, or brings it back. */
  readonly fold: (pane: string) => void;
  readonly reload: () => void;
  /** The canvas says how to fit the graph, as long as it is there. */
  readonly onFit: (fit: () => void) => () => void;
}

export function createApp(host: Host): App {
  const store = createStore<State>(INITIAL);
  const designs = createDesignLoader(host, store, arrived);
  const selection = createSelection(store, designs);
  const recipe = createRecipe(host, store, designs);
  const dragging = createDragging(host, store, selection, recipe);
  const details = createDetails(host, store);
  const finding = createFinding(host, store, selection);
  let fit: (() => void) | null = null;
  const sensing = createSensing({ host, store, selection, recipe, finding }, () =>
    designs.refresh(),
  );
  const capturing = createCapturing(host, store);
  const roofline = createRoofline(host, store, selection, finding);
  const actions = createActions({ store, selection, recipe, sensing, capturing, roofline }, () =>
    fit?.(),
  );

  function arrived(design: Design, isDraft: boolean): void {
    store.set({ design });
    if (isDraft) return;
    recipe.arrived(design);
    capturing.arrived(design);
    details.renew();
    roofline.renew();
  }

  function changed(): void {
    if (store.get().session?.view === 'report') {
      void loadReport(host, store);
      return;
    }
    dragging.forgetOffers();
    finding.forget();
    designs.refresh();
  }

  function showTarget(target: string): void {
    if (target === store.get().target) return;
    store.set({ target });
    designs.refresh();
  }

  host.on('changed', changed);
  host.on('target', ({ target }) => showTarget(target));
  host.on('action', ({ action }: { action: DesignerAction }) => actions[action]());
  host.on('backend', ({ state }) => {
    store.set({ backend: state });
    announce(store, text(state === 'ready' ? 'backend.ready' : 'backend.restarting'));
    if (state === 'ready') changed();
  });
  const tellKeyboard = (here: boolean) => void host.request('keyboard', { here });
  window.addEventListener('focus', () => tellKeyboard(true));
  window.addEventListener('blur', () => tellKeyboard(false));
  if (document.hasFocus()) tellKeyboard(true); // it may have come before this program
  void start(host, store, () => designs.refresh());

  return {
    host,
    store,
    selection,
    recipe,
    dragging,
    details,
    finding,
    applying: createApplying(host, store),
    sensing,
    capturing,
    roofline,
    actions,
    setTarget(target) {
      showTarget(target);
      void host.request('setTarget', { target });
    },
    setMetric(metric) {
      const showsEffects = metric === 'effects';
      store.set(showsEffects ? { showsEffects } : { showsEffects, metric });
    },
    fold(pane) {
      const { folded } = store.get();
      const without = folded.filter((other) => other !== pane);
      store.set({ folded: without.length < folded.length ? without : [...folded, pane] });
    },
    reload: changed,
    onFit(how) {
      fit = how;
      return () => {
        if (fit === how) fit = null;
      };
    },
  };
}

async function start(host: Host, store: Store<State>, refresh: () => void): Promise<void> {
  try {
    const session = await host.request('ready', { protocol: PROTOCOL_VERSION });
    setStrings(session.strings);
    store.set({
      session,
      target: session.target,
      sensitivity: session.sensitivity ?? null,
      ...recalled(session.memory),
    });
    if (session.view === 'report') {
      await loadReport(host, store);
      return;
    }
    rememberChanges(host, store);
    refresh();
    const [passes, targets] = await Promise.all([
      host.request('passes', null),
      host.request('targets', null),
    ]);
    store.set({ passes, targets });
  } catch (error) {
    store.set({ failure: (error as Error).message });
  }
}

/** The report is a file that may be written again while it is shown. */
async function loadReport(host: Host, store: Store<State>): Promise<void> {
  try {
    store.set({ report: await host.request('report', null), failure: null });
  } catch (error) {
    store.set({ failure: (error as Error).message });
  }
}
