import { useEffect } from 'react';
import { useApp, useView } from './context';
import type { FocusWish } from './state';

/**
 * Moves the keyboard to where the state wants it, as soon as that is drawn, and takes the wish back.
 * @param id of the node or step that is meant
 */
export function useWantedFocus(on: FocusWish['on'], move: () => void, id?: string): void {
  const app = useApp();
  const wanted = useView(({ focus }) => focus?.on === on && (!('id' in focus) || focus.id === id));
  // Without a list of what it depends on: `move` is that of the last drawing.
  useEffect(() => {
    if (!wanted) return;
    move();
    app.store.set({ focus: null });
  });
}
