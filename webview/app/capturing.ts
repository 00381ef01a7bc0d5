/** Measuring what goes in and out of a node on samples. */
import type { Design, Progress } from '../../language/protocol';
import { AbandonedError, type Host } from '../host';
import { text } from '../strings';
import { announce } from './announcing';
import type { State } from './state';
import type { Store } from './store';

export interface Capturing {
  /** Of the selected node. */
  readonly ask: () => void;
  readonly measure: (node: string) => void;
  readonly cancel: () => void;
  /** Forgets what does not hold for a design any more. */
  readonly arrived: (design: Design) => void;
}

export function createCapturing(host: Host, store: Store<State>): Capturing {
  /** What the results stand on: the model, its sizes and the samples. */
  let basis = '';

  async function run(node: string): Promise<void> {
    const { capturing, open, target } = store.get();
    if (capturing.state !== 'no') return;
    store.set({ capturing: { state: 'running', node, progress: null } });
    const keep = (loaded: State['activations'][string]) =>
      store.set({ activations: { ...store.get().activations, [node]: loaded } });
    try {
      const value = await host.request('activations', { node, open, target });
      if (!value) return;
      keep({ value, error: null });
      const { data, samples: count } = value;
      announce(store, text('say.activations', { node, data, count }));
    } catch (error) {
      if (!(error instanceof AbandonedError))
        keep({ value: null, error: (error as Error).message });
    } finally {
      store.set({ capturing: { state: 'no' } });
    }
  }

  function onProgress(progress: Progress | null): void {
    const { capturing } = store.get();
    if (progress && capturing.state !== 'no') store.set({ capturing: { ...capturing, progress } });
  }

  host.on('capturing', onProgress);
  return {
    ask() {
      const { selected, folded, session } = store.get();
      const [node, more] = selected;
      if (session?.view !== 'designer' || node === undefined || more !== undefined) return;
      store.set({
        folded: folded.filter((pane) => pane !== 'inspector' && pane !== 'activations'),
        step: null,
        effectsOpen: false,
      });
      void run(node);
    },
    measure: (node) => void run(node),
    cancel() {
      const { capturing } = store.get();
      if (capturing.state === 'running')
        store.set({ capturing: { ...capturing, state: 'cancelling' } });
      void host.request('cancelActivations', null);
    },
    arrived({ model, recipe }) {
      const { path, inputs, nodes, assumed } = model;
      const now = JSON.stringify([path, inputs, nodes, assumed, recipe?.data]);
      if (now !== basis) store.set({ activations: {} });
      basis = now;
    },
  };
}
