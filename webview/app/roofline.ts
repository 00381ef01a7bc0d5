/** The roofline chart: asked for while it is open, and again whenever the design is a new one. */
import { AbandonedError, type Host } from '../host';
import type { Finding } from './finding';
import type { Selection } from './selection';
import type { State } from './state';
import type { Store } from './store';

export interface RooflineControl {
  /** Opens the chart and moves the keyboard to it, or closes it. */
  readonly toggle: () => void;
  readonly asTable: (table: boolean) => void;
  /** The layer that the keyboard or the pointer is at. */
  readonly point: (node: string) => void;
  /** Selects a layer on the canvas, opening what hides it. */
  readonly choose: (node: string) => void;
  /** The design is a new one. */
  readonly renew: () => void;
}

export function createRoofline(
  host: Host,
  store: Store<State>,
  selection: Selection,
  finding: Finding,
): RooflineControl {
  let asking: AbortController | null = null;

  async function ask(): Promise<void> {
    asking?.abort();
    const { open, target } = store.get();
    const abort = (asking = new AbortController());
    try {
      const value = await host.request('roofline', { open, target }, abort.signal);
      store.set({ roofline: { value, error: null } });
    } catch (error) {
      if (error instanceof AbandonedError) return;
      store.set({ roofline: { value: null, error: (error as Error).message } });
    }
  }

  const control: RooflineControl = {
    toggle() {
      const { rooflineOpen, folded } = store.get();
      if (rooflineOpen) {
        store.set({ rooflineOpen: false, focus: { on: 'rooflineButton' } });
        return;
      }
      store.set({
        rooflineOpen: true,
        folded: folded.filter((pane) => pane !== 'totals'),
        focus: { on: 'roofline' },
      });
      void ask();
    },
    asTable: (rooflineTable) => store.set({ rooflineTable }),
    point: (rooflineAt) => store.set({ rooflineAt }),
    choose(node) {
      store.set({ rooflineAt: node });
      void finding.show(node).then((found) => {
        const shown = store.get().roofline?.value?.layers.find((one) => one.node === node)?.shown;
        if (!found && shown != null) selection.reveal(shown, []);
      });
    },
    renew() {
      if (store.get().rooflineOpen) void ask();
    },
  };
  return control;
}
