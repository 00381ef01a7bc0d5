import { useCallback, useSyncExternalStore } from 'react';

/** One value that changes by replacement, and those who want to know. */
export interface Store<State> {
  readonly get: () => State;
  readonly set: (patch: Partial<State>) => void;
  readonly subscribe: (listener: () => void) => () => void;
}

export function createStore<State extends object>(initial: State): Store<State> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** `select` must answer the same object while the state is the same: pick a slice, do not build one. */
export function useStore<State extends object, Slice>(
  store: Store<State>,
  select: (state: State) => Slice,
): Slice {
  const snapshot = useCallback(() => select(store.get()), [store, select]);
  return useSyncExternalStore(store.subscribe, snapshot);
}
