/** The language server in a process of its own, built for tests, and asked as the extension asks it. */
import { buildSync } from 'esbuild';
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  createMessageConnection,
  IPCMessageReader,
  IPCMessageWriter,
  type MessageConnection,
} from 'vscode-languageserver/node';
import { afterAll, beforeAll } from 'vitest';
import type { ServerRequests } from '../../../language/protocol';

const root = path.join(import.meta.dirname, '../../..');
/** Inside the project, so that the templates are found from there. */
const cache = path.join(root, 'node_modules/.cache/whittle-tests');

export class TestServer {
  #child: ChildProcess | undefined;
  #connection: MessageConnection | undefined;
  #version = 1;

  start(entry: string): void {
    this.#child = fork(entry, ['--node-ipc'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#connection = createMessageConnection(
      new IPCMessageReader(this.#child),
      new IPCMessageWriter(this.#child),
    );
    this.#connection.listen();
  }

  async initialise(): Promise<void> {
    await this.#connection!.sendRequest('initialize', {
      processId: process.pid,
      rootUri: null,
      capabilities: {},
    });
    await this.#connection!.sendNotification('initialized', {});
  }

  request<M extends keyof ServerRequests>(
    method: M,
    params: ServerRequests[M][0],
  ): Promise<ServerRequests[M][1]> {
    return this.#connection!.sendRequest(`whittle/${method}`, params);
  }

  /** Tells it what an editor holds, saved or not. */
  async open(document: string, text: string): Promise<void> {
    await this.#connection!.sendNotification('textDocument/didOpen', {
      textDocument: { uri: document, languageId: 'whittle-recipe', version: 1, text },
    });
  }

  /** Replaces all of the text of an open document. */
  async change(document: string, text: string): Promise<void> {
    await this.#connection!.sendNotification('textDocument/didChange', {
      textDocument: { uri: document, version: ++this.#version },
      contentChanges: [{ text }],
    });
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  stop(): void {
    this.#connection?.dispose();
    this.#child?.kill('SIGKILL');
  }
}

export function testServer(): TestServer {
  const server = new TestServer();
  let folder = '';
  beforeAll(async () => {
    mkdirSync(cache, { recursive: true });
    folder = mkdtempSync(path.join(cache, 'server-'));
    buildSync({
      absWorkingDir: root,
      entryPoints: {
        server: 'language/server.ts',
        job: 'language/job.ts',
        runtime: 'language/runtime/host.ts',
        watch: 'language/runtime/watch.ts',
      },
      outdir: folder,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['onnxruntime-node'],
      define: {
        'import.meta.dirname': JSON.stringify(folder),
        'import.meta.filename': JSON.stringify(path.join(folder, 'server.js')),
      },
    });
    server.start(path.join(folder, 'server.js'));
    await server.initialise();
  });
  afterAll(() => {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}

export const uriOf = (file: string): string => pathToFileURL(file).href;
