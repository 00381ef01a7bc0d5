/**
 * Asks ONNX Runtime to do something, in a process of its own: some models kill the process that runs them, others cannot be
 * interrupted, and all of them want memory that should be given back. Every task gets a fresh process: it costs about a
 * fifth of a second, against which a kept one would have to be proven healthy after each task.
 */
import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { CancelledError, throwIfCancelled, WhittleError } from '../errors';
import { withScratch } from './scratch';
import { modelsOf, type HostMessage, type ResultOf, type Task, type TaskProgress } from './tasks';

export interface RunOptions {
  /** Kills the process at once. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined;
  /** The script of the process; default: runtime.js beside this program. */
  readonly entry?: string | undefined;
}

/**
 * @throws WhittleError saying what happened to which model: it is damaged, ONNX Runtime refuses or crashes on it, or has no
 *   binary for this machine. CancelledError when the signal fires.
 */
export async function runTask<T extends Task>(
  task: T,
  options: RunOptions = {},
): Promise<ResultOf<T>> {
  throwIfCancelled(options.signal);
  return withScratch((scratch) => supervise(task, scratch, options) as Promise<ResultOf<T>>);
}

type Answer = Exclude<HostMessage, { kind: 'progress' }>;

/** The end of what the process wrote to stderr, kept for the error of a crash. */
const STDERR_TAIL = 2000;

function supervise(task: Task, scratch: string, options: RunOptions): Promise<unknown> {
  const { signal, onProgress } = options;
  return new Promise((resolve, reject) => {
    const child = startHost(options.entry ?? defaultEntry(), scratch);
    const kill = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    let stage = 'starting ONNX Runtime';
    let stderr = '';
    let answer: Answer | undefined;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_TAIL);
    });
    child.on('message', (message: HostMessage) => {
      if (message.kind === 'progress') {
        stage = message.progress.stage;
        onProgress?.(message.progress);
        return;
      }
      answer = message;
      kill();
    });
    child.on('error', (error) => {
      if (child.pid === undefined) reject(crashed(task, stage, error.message, stderr));
    });
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', kill);
      if (answer?.kind === 'result') resolve(answer.result);
      else if (signal?.aborted) reject(new CancelledError());
      else if (answer) reject(new WhittleError(answer.what, answer));
      else reject(crashed(task, stage, exitReason(code, killedBy), stderr));
    });
    child.send(task, () => undefined); // a process that is gone already says so by itself
    if (signal?.aborted) kill();
  });
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
