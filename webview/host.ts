/**
 * The extension, as the webview sees it: typed requests that can be abandoned, and events. One instance per webview,
 * because `acquireVsCodeApi` may be called only once.
 */
import type { HostEvents, HostMessage, HostRequests, WebviewMessage } from '../language/protocol';

export type Method = keyof HostRequests;
export type EventName = keyof HostEvents;
type Listener = (payload: never) => void;

/** A request that its caller gave up; never shown as a failure. */
export class AbandonedError extends Error {
  override readonly name = 'AbandonedError';
  constructor() {
    super('abandoned');
  }
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Host {
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<EventName, Set<Listener>>();
  #lastId = 0;

  constructor(private readonly post: (message: WebviewMessage) => void) {}

  request<M extends Method>(
    method: M,
    params: HostRequests[M][0],
    signal?: AbortSignal,
  ): Promise<HostRequests[M][1]> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(new AbandonedError());
        return;
      }
      const abandon = () => {
        if (!this.#pending.delete(id)) return;
        this.post({ kind: 'abandon', id });
        reject(new AbandonedError());
      };
      signal?.addEventListener('abort', abandon, { once: true });
      const settle = () => signal?.removeEventListener('abort', abandon);
      this.#pending.set(id, {
        resolve: (result) => {
          settle();
          resolve(result as HostRequests[M][1]);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.post({ kind: 'request', id, method, params });
    });
  }

  on<E extends EventName>(name: E, listener: (payload: HostEvents[E]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Takes what arrives on the window; anything that is not ours is left alone. */
  receive(data: unknown): void {
    if (!isHostMessage(data)) return;
    if (data.kind === 'event') {
      for (const listener of this.#listeners.get(data.name) ?? []) listener(data.payload as never);
      return;
    }
    const pending = this.#pending.get(data.id);
    this.#pending.delete(data.id);
    if (data.kind === 'answer') pending?.resolve(data.result);
    else pending?.reject(new Error(data.message));
  }
}

/** Connects to the extension that shows this page. */
export function connect(): Host {
  const api = acquireVsCodeApi();
  const host = new Host((message) => api.postMessage(message));
  window.addEventListener('message', (event: MessageEvent<unknown>) => host.receive(event.data));
  return host;
}

function isHostMessage(data: unknown): data is HostMessage {
  if (typeof data !== 'object' || data === null || !('kind' in data)) return false;
  return data.kind === 'answer' || data.kind === 'failure' || data.kind === 'event';
}
