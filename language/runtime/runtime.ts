/**
 * Asks ONNX Runtime to do something, in a process of its own: some models kill the process that runs them, others cannot be
 * interrupted, and all of them want memory that should be given back.
 */
import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { CancelledError, throwIfCancelled, WhittleError } from '../errors';
import { withScratch } from './scratch';
import { modelsOf, type HostMessage, type ResultOf, type Task, type TaskProgress } from './tasks';

export interface ProcessOptions {
  /** Kills the process at once. */
  readonly signal?: AbortSignal | undefined;
  /** The script of the process; default: runtime.js beside this program. */
  readonly entry?: string | undefined;
}

export type OnProgress = (progress: TaskProgress) => void;

/**
 * @throws WhittleError saying what happened to which model: it is damaged, ONNX Runtime refuses or crashes on it, or has no
 *   binary for this machine. CancelledError when the signal fires.
 */
export type Run = <T extends Task>(task: T, onProgress?: OnProgress) => Promise<ResultOf<T>>;

export interface RunOptions extends ProcessOptions {
  readonly onProgress?: OnProgress | undefined;
}

/** One task in a process that ends with it. */
export const runTask = <T extends Task>(task: T, options: RunOptions = {}): Promise<ResultOf<T>> =>
  withRuntime(options, (run) => run(task, options.onProgress));

/** Many tasks, one after the other, in a process that takes the next as long as nothing is wrong with it. */
export function withRuntime<R>(
  options: ProcessOptions,
  work: (run: Run) => Promise<R>,
): Promise<R> {
  return withScratch(async (scratch) => {
    const runtime = new Runtime(options, scratch);
    try {
      return await work((task, onProgress) => runtime.run(task, onProgress));
    } finally {
      await runtime.end();
    }
  });
}

/** A process that has more memory than this after a task is not kept for the next. */
const MOST_KEPT_BYTES = 512 * 2 ** 20;

/** At most one process at a time; after a failure the next task gets a fresh one. */
class Runtime {
  #host: Host | undefined;
  #before: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly options: ProcessOptions,
    private readonly scratch: string,
  ) {}

  run<T extends Task>(task: T, onProgress?: OnProgress): Promise<ResultOf<T>> {
    const result = this.#before.then(() => this.#perform(task, onProgress));
    this.#before = result.catch(() => undefined);
    return result as Promise<ResultOf<T>>;
  }

  async end(): Promise<void> {
    const host = this.#host;
    this.#host = undefined;
    await host?.end();
  }

  async #perform(task: Task, onProgress?: OnProgress): Promise<unknown> {
    const { signal, entry = defaultEntry() } = this.options;
    throwIfCancelled(signal);
    if (this.#host?.gone) await this.end();
    const host = (this.#host ??= new Host(entry, this.scratch));
    const stop = () => void host.end();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const answer = await host.perform(task, onProgress);
      if (answer.kind === 'failure') throw new WhittleError(answer.what, answer);
      if (answer.heldBytes > MOST_KEPT_BYTES) await this.end();
      return answer.result;
    } catch (error) {
      await this.end();
      throw signal?.aborted ? new CancelledError() : error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}

type Answer = Exclude<HostMessage, { kind: 'progress' }>;

/** The end of what the process wrote to stderr, kept for the error of a crash. */
const STDERR_TAIL = 2000;

/** A process that performs one task after the other. */
class Host {
  readonly #child: ChildProcess;
  /** Why there is no process any more. */
  readonly #ended: Promise<string>;
  #stderr = '';
  gone = false;

  constructor(entry: string, scratch: string) {
    const child = startHost(entry, scratch);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
    this.#child = child;
    this.#ended = new Promise<string>((resolve) => {
      child.on('error', (error) => {
        if (child.pid === undefined) resolve(error.message);
      });
      child.on('close', (code, killedBy) => resolve(exitReason(code, killedBy)));
    }).finally(() => (this.gone = true));
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** @throws WhittleError where the process ends before it answers */
  perform(task: Task, onProgress?: OnProgress): Promise<Answer> {
    const child = this.#child;
    let stage = 'starting ONNX Runtime';
    return new Promise<Answer>((resolve, reject) => {
      child.removeAllListeners('message').on('message', (message: HostMessage) => {
        if (message.kind === 'progress') {
          stage = message.progress.stage;
          onProgress?.(message.progress);
        } else resolve(message);
      });
      void this.#ended.then((reason) => reject(crashed(task, stage, reason, this.#stderr)));
      child.send(task, () => undefined); // a process that is gone already says so by itself
    });
  }
}

function startHost(entry: string, scratch: string): ChildProcess {
  return fork(entry, [String(process.pid), scratch], {
    // ONNX Runtime would else keep a database of its use, to send to its makers.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    execArgv: [], // a debugger's port of this process is not for the child
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

/** Bundles lie side by side. */
const defaultEntry = (): string => path.join(import.meta.dirname, 'runtime.js');

function crashed(task: Task, stage: string, reason: string, stderr: string): WhittleError {
  const outOfMemory = reason === 'SIGKILL' || stderr.includes('heap out of memory');
  const said = /^\w*Error: .*/m.exec(stderr);
  return new WhittleError(
    `ONNX Runtime's process ended while ${stage}: ${reason}${said ? `, ${said[0]}` : ''}`,
    {
      where: modelsOf(task).join(', '),
      hint: outOfMemory
        ? 'This machine has too little memory for the model'
        : 'Only this job is lost',
      cause: stderr,
    },
  );
}

/** A signal, or an exit code: Windows reports crashes as codes such as 0xC0000005. */
function exitReason(code: number | null, killedBy: NodeJS.Signals | null): string {
  if (killedBy) return killedBy;
  return code !== null && code > 255 ? `0x${code.toString(16).toUpperCase()}` : `exit code ${code}`;
}
