import * as vscode from 'vscode';
import { describeError, WhittleError } from '../../language/errors';
import {
  PROTOCOL_VERSION,
  type HostEvents,
  type HostMessage,
  type HostRequests,
  type WebviewMessage,
} from '../../language/protocol';

type Handler<M extends keyof HostRequests> = (
  params: HostRequests[M][0],
  token: vscode.CancellationToken,
) => Promise<HostRequests[M][1]> | HostRequests[M][1];

/** What a view answers; what it leaves out, it refuses. */
export type Handlers = { readonly [M in keyof HostRequests]?: Handler<M> };

/**
 * The extension's end of the line to one webview. Every request is answered or refused, unless the webview gave it up; a
 * webview that was hidden starts afresh, and what its predecessor asked is dropped.
 */
export class WebviewSession implements vscode.Disposable {
  readonly #pending = new Map<number, vscode.CancellationTokenSource>();
  readonly #listener: vscode.Disposable;

  constructor(
    private readonly webview: vscode.Webview,
    private readonly handlers: Handlers,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.#listener = webview.onDidReceiveMessage((message: WebviewMessage) =>
      this.#receive(message),
    );
  }

  send<N extends keyof HostEvents>(name: N, payload: HostEvents[N]): void {
    this.#post({ kind: 'event', name, payload });
  }

  dispose(): void {
    this.#listener.dispose();
    this.#drop();
  }

  #receive(message: WebviewMessage): void {
    if (message.kind === 'abandon') {
      this.#pending.get(message.id)?.cancel();
      return;
    }
    if (message.method === 'ready') this.#drop();
    void this.#answer(message);
  }

  async #answer({ id, method, params }: WebviewMessage & { kind: 'request' }): Promise<void> {
    const source = new vscode.CancellationTokenSource();
    this.#pending.set(id, source);
    let reply: HostMessage;
    try {
      reply = { kind: 'answer', id, result: await this.#handle(method, params, source.token) };
    } catch (error) {
      if (!source.token.isCancellationRequested)
        this.log.error(`${method}: ${describeError(error)}`);
      reply = { kind: 'failure', id, message: describeError(error) };
    }
    if (!source.token.isCancellationRequested) this.#post(reply);
    if (this.#pending.get(id) === source) this.#pending.delete(id);
    source.dispose();
  }

  async #handle(
    method: string,
    params: unknown,
    token: vscode.CancellationToken,
  ): Promise<unknown> {
    if (method === 'ready') checkVersion(params as HostRequests['ready'][0]);
    const handler = this.handlers[method as keyof HostRequests] as Handler<never> | undefined;
    if (!handler) throw new WhittleError(`This view does not answer “${method}”`);
    return handler(params as never, token);
  }

  #drop(): void {
    for (const source of this.#pending.values()) source.cancel();
    this.#pending.clear();
  }

  #post(message: HostMessage): void {
    void this.webview.postMessage(message);
  }
}

function checkVersion({ protocol }: HostRequests['ready'][0]): void {
  if (protocol === PROTOCOL_VERSION) return;
  throw new WhittleError('The editor and its view come from different builds of Whittle', {
    hint: 'Reload the window.',
  });
}
