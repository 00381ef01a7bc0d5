/** Properties of nodes and statistics of tensors, asked for when they are looked at. */
import { AbandonedError, type Host } from '../host';
import type { Loaded, State } from './state';
import type { Store } from './store';

export interface Details {
  /** Asks for a node unless it is known; `again` renews what may be stale. */
  readonly node: (id: string, again?: boolean) => void;
  readonly tensor: (name: string) => void;
  /** The recipe or the target changed: what is known of nodes is old. */
  readonly renew: () => void;
}

export function createDetails(host: Host, store: Store<State>): Details {
  let asking: AbortController | null = null;

  const details: Details = {
    node(id, again = false) {
      const known = store.get().details[id];
      if (known && !again) return;
      asking?.abort();
      asking = new AbortController();
      const { open, target } = store.get();
      void load(host.request('node', { open, node: id, target }, asking.signal), (loaded) =>
        store.set({
          details: {
            ...store.get().details,
            [id]: { value: loaded.value ?? known?.value ?? null, error: loaded.error },
          },
        }),
      );
    },
    tensor(name) {
      if (store.get().tensors[name]) return;
      store.set({ tensors: { ...store.get().tensors, [name]: { value: null, error: null } } });
      void load(host.request('tensor', { tensor: name }), (loaded) =>
        store.set({ tensors: { ...store.get().tensors, [name]: loaded } }),
      );
    },
    renew() {
      const { details: known, selected } = store.get();
      const shown = selected.length === 1 ? selected[0]! : null;
      const kept = shown === null ? undefined : known[shown];
      store.set({ details: shown !== null && kept ? { [shown]: kept } : {} });
      if (shown !== null) details.node(shown, true);
    },
  };
  return details;
}

async function load<Value>(
  request: Promise<Value>,
  put: (loaded: Loaded<Value>) => void,
): Promise<void> {
  try {
    put({ value: await request, error: null });
  } catch (error) {
    if (!(error instanceof AbandonedError)) put({ value: null, error: (error as Error).message });
  }
}
