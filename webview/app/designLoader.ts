/**
 * Asks for designs. One request at a time: what changes meanwhile is asked for afterwards, latest state only. A
 * parameter in motion waits for the answer under way, so that the picture follows the hand at the pace of the server;
 * any other wish replaces the request under way.
 */
import type {
  Design,
  DesignRequest,
  EffectsRequest,
  StepSensitivity,
} from '../../language/protocol';
import { AbandonedError, type Host } from '../host';
import type { Draft, State } from './state';
import type { Store } from './store';

/** A request shorter than this shows no sign of itself. */
const VISIBLE_AFTER_MS = 150;

export interface DesignLoader {
  /** Asks for the design of the state as it is now. */
  readonly refresh: () => void;
  /** Shows a value in motion. */
  readonly draft: (draft: Draft) => void;
  /** Forgets the value in motion without drawing anything. */
  readonly endDraft: () => void;
}

export function createDesignLoader(
  host: Host,
  store: Store<State>,
  arrived: (design: Design, isDraft: boolean) => void,
): DesignLoader {
  let running: AbortController | null = null;
  let waiting = false;

  async function ask(): Promise<void> {
    const abort = new AbortController();
    running = abort;
    waiting = false;
    const busy = setTimeout(() => store.set({ updating: true }), VISIBLE_AFTER_MS);
    try {
      const request = requestOf(store.get());
      const design = await host.request('design', request, abort.signal);
      arrived(design, request.draft !== undefined);
      store.set({ designError: null });
    } catch (error) {
      if (error instanceof AbandonedError) return;
      store.set({ designError: (error as Error).message });
    } finally {
      clearTimeout(busy);
      if (running === abort) {
        running = null;
        store.set({ updating: false });
      }
    }
    askAgain();
  }

  function askAgain(): void {
    if (waiting && !running) void ask();
  }

  return {
    refresh() {
      running?.abort();
      void ask();
    },
    draft(draft) {
      store.set({ draft });
      if (running) waiting = true;
      else void ask();
    },
    endDraft() {
      waiting = false;
      store.set({ draft: null });
    },
  };
}

function requestOf({ open, target, draft, sensitivity }: State): Omit<DesignRequest, 'document'> {
  return {
    open,
    target,
    ...(draft && { draft }),
    ...(sensitivity && { effects: effectsOf(sensitivity) }),
  };
}

const effectsOf = ({ key, pass, step, origins }: StepSensitivity): EffectsRequest => ({
  key,
  pass,
  step,
  layers: origins,
});
