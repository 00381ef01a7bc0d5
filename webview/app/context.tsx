import { createContext, useContext } from 'react';
import type { App } from './app';
import type { State } from './state';
import { useStore } from './store';

const AppContext = createContext<App | null>(null);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error('no app around this component');
  return app;
}

/** A slice of the state; `select` picks and never builds. */
export function useView<Slice>(select: (state: State) => Slice): Slice {
  return useStore(useApp().store, select);
}
