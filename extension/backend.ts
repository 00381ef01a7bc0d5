import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  State,
  TransportKind,
  type CloseHandlerResult,
} from 'vscode-languageclient/node';
import { WhittleError } from '../language/errors';
import type { ServerEvents, ServerRequests } from '../language/protocol';
import { COMMAND, LANGUAGE } from './ids';
import { documentUri, protocolUri } from './recipes/uris';
import { Restarts } from './restarts';

type BackendState = 'idle' | 'starting' | 'ready' | 'restarting' | 'failed';

/** Asks a server that runs. */
export type Send = <M extends keyof ServerRequests>(
  method: M,
  params: ServerRequests[M][0],
) => Promise<ServerRequests[M][1]>;

/** Files whose change on disk makes what the server knows stale. */
const WATCHED = '**/*.{onnx,whittle.yaml,target.yaml,dataset.yaml}';

/**
 * MiB for what lives a moment, from the start and at most: every move of a slider makes a good part of a model anew, which
 * a smaller nursery would sweep in the middle of it, and keep.
 */
const NURSERY = ['--min-semi-space-size=32', '--max-semi-space-size=64'];

/** The language server: started when first needed, asked with types, started again when it ends by itself. */
export class Backend implements vscode.Disposable {
  readonly #state = new vscode.EventEmitter<BackendState>();
  readonly #progress = new vscode.EventEmitter<ServerEvents['progress']>();
  readonly #changed = new vscode.EventEmitter<ServerEvents['changed']>();
  readonly #restarts = new Restarts();
  readonly #watcher = vscode.workspace.createFileSystemWatcher(WATCHED);
  readonly #client: LanguageClient;
  #current: BackendState = 'idle';

  readonly onState = this.#state.event;
  readonly onProgress = this.#progress.event;
  readonly onChanged = this.#changed.event;

  /** `prepare` tells a server that has just started what it must know before anybody else asks. */
  constructor(
    serverModule: string,
    log: vscode.LogOutputChannel,
    private readonly prepare: (send: Send) => Promise<void>,
  ) {
    this.#client = new LanguageClient(
      'whittle',
      'Whittle',
      { module: serverModule, transport: TransportKind.ipc, options: { execArgv: NURSERY } },
      {
        documentSelector: [
          { language: LANGUAGE.recipe },
          { language: LANGUAGE.onnxText },
          { language: LANGUAGE.target },
        ],
        outputChannel: log,
        uriConverters: { code2Protocol: protocolUri, protocol2Code: documentUri },
        synchronize: { fileEvents: this.#watcher },
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: () => this.#closed(),
        },
      },
    );
    this.#client.onNotification('whittle/progress', (progress: ServerEvents['progress']) =>
      this.#progress.fire(progress),
    );
    this.#client.onNotification('whittle/changed', (changed: ServerEvents['changed']) =>
      this.#changed.fire(changed),
    );
    this.#client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) void this.#started();
    });
  }

  /** Asks the server; waits while it starts, and asks again when it ended before it could answer. */
  async request<M extends keyof ServerRequests>(
    method: M,
    params: ServerRequests[M][0],
    token?: vscode.CancellationToken,
  ): Promise<ServerRequests[M][1]> {
    await this.#ready(token);
    try {
      return await this.#send(method, params, token);
    } catch (error) {
      if (this.#current === 'ready' || token?.isCancellationRequested) throw error;
      if (method === 'apply') {
        throw new WhittleError('The backend stopped while applying; nothing was written', {
          hint: 'It is starting again: apply once more.',
          cause: error,
        });
      }
      await this.#ready(token);
      return this.#send(method, params, token);
    }
  }

  /** Starts the server if nobody has yet. */
  start(): void {
    if (this.#current !== 'idle') return;
    this.#become('starting');
    this.#client.start().catch((error: unknown) => this.#failed(error));
  }

  async restart(): Promise<void> {
    this.#restarts.forget();
    this.#become('restarting');
    await this.stop();
    await this.#client.start();
  }

  /** Resolves when the server has ended, politely or not. */
  async stop(): Promise<void> {
    try {
      if (this.#client.isRunning()) await this.#client.stop();
    } catch (error) {
      this.#client.error('The backend did not stop by itself', error, false);
    }
  }

  dispose(): void {
    this.#watcher.dispose();
    void this.#client.dispose();
  }

  #send<M extends keyof ServerRequests>(
    method: M,
    params: ServerRequests[M][0],
    token?: vscode.CancellationToken,
  ): Promise<ServerRequests[M][1]> {
    return this.#client.sendRequest(`whittle/${method}`, params, token);
  }

  async #ready(token?: vscode.CancellationToken): Promise<void> {
    this.start();
    while (this.#current !== 'ready') {
      if (this.#current === 'failed') {
        throw new WhittleError('The backend has stopped', {
          hint: 'Run “Whittle: Restart Backend”.',
        });
      }
      if (token?.isCancellationRequested) throw new vscode.CancellationError();
      await nextOf(this.#state.event);
    }
  }

  async #started(): Promise<void> {
    try {
      await this.prepare((method, params) => this.#send(method, params));
    } catch (error) {
      this.#client.error('The backend could not be told what is open', error, false);
    }
    this.#become('ready');
  }

  async #closed(): Promise<CloseHandlerResult> {
    const delayMs = this.#restarts.next(Date.now());
    if (delayMs === undefined) {
      this.#failed(new Error('it ended too often'));
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.#become('restarting');
    void vscode.window.showWarningMessage(
      vscode.l10n.t('The Whittle backend stopped and is starting again. Nothing is lost.'),
    );
    await sleep(delayMs);
    return { action: CloseAction.Restart, handled: true };
  }

  #failed(error: unknown): void {
    this.#client.error('The backend stopped', error, false);
    this.#become('failed');
    const restart = vscode.l10n.t('Restart');
    const log = vscode.l10n.t('Show Log');
    void vscode.window
      .showErrorMessage(vscode.l10n.t('The Whittle backend has stopped.'), restart, log)
      .then((choice) => {
        if (choice === restart) void vscode.commands.executeCommand(COMMAND.restartBackend);
        if (choice === log) void vscode.commands.executeCommand(COMMAND.showLog);
      });
  }

  #become(state: BackendState): void {
    this.#current = state;
    this.#state.fire(state);
  }
}

function nextOf<T>(event: vscode.Event<T>): Promise<T> {
  return new Promise((resolve) => {
    const subscription = event((value) => {
      subscription.dispose();
      resolve(value);
    });
  });
}
