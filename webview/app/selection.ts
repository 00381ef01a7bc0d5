/** What is chosen on the canvas, and opening and closing of blocks. */
import type { ViewNode } from '../../language/protocol';
import { text } from '../strings';
import { announce } from './announcing';
import type { DesignLoader } from './designLoader';
import type { State } from './state';
import type { Store } from './store';

export interface Selection {
  /** Chooses one node, or adds it to or takes it from the chosen ones. */
  readonly pick: (id: string, more?: boolean) => void;
  /** Chooses one node and moves the keyboard there. */
  readonly go: (id: string) => void;
  readonly clear: () => void;
  readonly step: (step: number | null) => void;
  readonly open: (id: string) => void;
  readonly close: (id: string) => void;
  readonly toggle: (id: string) => void;
  /** Opens these blocks and brings a node into view that lies in them. */
  readonly reveal: (id: string, inside: readonly string[], from?: 'effects') => void;
  /** Selectors of the chosen nodes, or of one node when it is not among them. */
  readonly sites: (of?: string) => { readonly at: readonly string[]; readonly blocks: number };
}

export function createSelection(store: Store<State>, designs: DesignLoader): Selection {
  const node = (id: string): ViewNode | undefined =>
    store.get().design?.view.nodes.find((candidate) => candidate.id === id);

  const openNow = (): readonly string[] => store.get().open ?? store.get().design?.open ?? [];

  function setOpen(open: readonly string[], anchor: string): void {
    store.set({ open, anchor });
    designs.refresh();
  }

  const selection: Selection = {
    pick(id, more = false) {
      const { selected } = store.get();
      const chosen = !more
        ? [id]
        : selected.includes(id)
          ? selected.filter((other) => other !== id)
          : [...selected, id];
      store.set({ selected: chosen, current: id, step: null, effectsOpen: false });
    },
    go(id) {
      selection.pick(id);
      store.set({ focus: { on: 'node', id } });
    },
    clear: () => store.set({ selected: [], step: null, effectsOpen: false }),
    step: (step) => store.set({ step, effectsOpen: false }),
    open(id) {
      if (!node(id)?.foldable || node(id)?.open) return;
      announce(store, text('say.opened', { name: node(id)?.title ?? id }));
      setOpen([...openNow(), id], id);
    },
    close(id) {
      if (!node(id)?.open) return;
      announce(store, text('say.closed', { name: node(id)?.title ?? id }));
      store.set({ selected: [id], current: id, focus: { on: 'node', id } });
      setOpen(
        openNow().filter((other) => other !== id),
        id,
      );
    },
    toggle: (id) => (node(id)?.open ? selection.close(id) : selection.open(id)),
    reveal(id, inside, from) {
      const effectsOpen = from === 'effects';
      store.set({ revealing: id, selected: [id], current: id, step: null, effectsOpen });
      const missing = inside.filter((block) => !openNow().includes(block));
      if (missing.length > 0) setOpen([...openNow(), ...missing], missing[0]!);
    },
    sites(of) {
      const { selected } = store.get();
      const ids = of === undefined || selected.includes(of) ? selected : [of];
      const nodes = ids.map(node).filter((found) => found !== undefined);
      const at = [...new Set(nodes.flatMap((chosen) => chosen.at))];
      const onlyBlocks = nodes.every(({ kind }) => kind === 'block' || kind === 'stack');
      return { at, blocks: onlyBlocks ? at.length : 0 };
    },
  };
  return selection;
}
