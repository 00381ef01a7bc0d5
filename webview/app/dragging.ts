/**
 * A pass on its way from the library to the graph: where it may land, and what it would bring there. Offers are asked
 * for after a short rest over a place and kept for as long as the recipe stays the same.
 */
import type { Gain, Places } from '../../language/protocol';
import { AbandonedError, type Host } from '../host';
import { text } from '../strings';
import type { Recipe } from './recipe';
import type { Selection } from './selection';
import type { Spot, State } from './state';
import type { Store } from './store';

const REST_MS = 80;

export interface Dragging {
  readonly begin: (pass: string) => void;
  readonly over: (spot: Spot | null) => void;
  readonly drop: () => void;
  readonly cancel: () => void;
  /** Works out the offer of a pass at these selectors. */
  readonly consider: (pass: string, at: readonly string[]) => void;
  /** Offers worked out for an older recipe are void. */
  readonly forgetOffers: () => void;
}

export function createDragging(
  host: Host,
  store: Store<State>,
  selection: Selection,
  recipe: Recipe,
): Dragging {
  const known = new Map<string, Gain>();
  let asking: AbortController | null = null;
  let rest: ReturnType<typeof setTimeout> | undefined;

  async function findPlaces(pass: string): Promise<void> {
    try {
      const places = await host.request('places', { open: store.get().open, pass });
      const { drag } = store.get();
      if (drag?.pass === pass) store.set({ drag: { ...drag, places } });
    } catch {
      // Without places every node may be tried: the server refuses what it cannot take.
    }
  }

  async function ask(pass: string, at: readonly string[], key: string): Promise<void> {
    asking = new AbortController();
    try {
      const { target } = store.get();
      const gain = await host.request('gain', { pass, at, target }, asking.signal);
      known.set(key, gain);
      if (store.get().offer?.key === key) store.set({ offer: { key, gain } });
    } catch (error) {
      if (!(error instanceof AbandonedError) && store.get().offer?.key === key)
        store.set({ offer: null });
    }
  }

  function stopAsking(): void {
    clearTimeout(rest);
    asking?.abort();
    asking = null;
  }

  function landing(spot: Spot): { at: readonly string[]; blocks: number } {
    return spot.on === 'canvas' ? { at: [], blocks: 0 } : selection.sites(spot.id);
  }

  const dragging: Dragging = {
    begin(pass) {
      store.set({ drag: { pass, over: null, places: null }, offer: null, popup: null });
      void findPlaces(pass);
    },
    over(spot) {
      const { drag } = store.get();
      if (!drag || (drag.over?.on === spot?.on && drag.over?.id === spot?.id)) return;
      store.set({ drag: { ...drag, over: spot } });
      if (spot) dragging.consider(drag.pass, landing(spot).at);
      else {
        stopAsking();
        store.set({ offer: null });
      }
    },
    drop() {
      const { drag } = store.get();
      dragging.cancel();
      if (!drag?.over || refusal(drag.places, drag.over) !== null) return;
      const { at, blocks } = landing(drag.over);
      if (drag.over.on === 'node' && at.length === 0) return;
      recipe.add(drag.pass, at, blocks);
    },
    cancel() {
      stopAsking();
      store.set({ drag: null, offer: null });
    },
    consider(pass, at) {
      stopAsking();
      const key = [store.get().target, pass, ...at].join('\n');
      const gain = known.get(key) ?? null;
      store.set({ offer: { key, gain } });
      if (!gain) rest = setTimeout(() => void ask(pass, at, key), REST_MS);
    },
    forgetOffers() {
      known.clear();
    },
  };
  return dragging;
}

/** Why a pass cannot land at a spot; a place that is not listed says nothing against it. */
export function refusal(places: Places | null, spot: Spot): string | null {
  const place = spot.on === 'node' ? places?.[spot.id] : undefined;
  return place?.sites === 0 ? (place.reason ?? text('drop.notHere')) : null;
}
