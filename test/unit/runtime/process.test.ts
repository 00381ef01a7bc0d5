/** What happens when the runtime crashes, hangs, is missing, or loses its parent; with a runtime that does so on purpose. */
import { buildSync } from 'esbuild';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CancelledError } from '../../../language/errors';
import { runTask, withRuntime } from '../../../language/runtime/runtime';
import { sample, testHost } from './host';

/** Notes its process, and does to it what a file says. */
const RUNTIME = `
const { readFileSync, writeFileSync } = require('node:fs');
exports.env = { versions: {} };
exports.listSupportedBackends = () => [];
exports.InferenceSession = { create() {
  const { NOTE } = process.env;
  const MISCHIEF = readFileSync(NOTE + '.mischief', 'utf8');
  writeFileSync(NOTE, String(process.pid));
  console.log('printed where nobody may print');
  if (MISCHIEF === 'none') return { inputMetadata: [], outputMetadata: [] };
  if (MISCHIEF === 'hang') for (;;);
  if (MISCHIEF === 'exit') process.exit(3);
  if (MISCHIEF === 'throw') throw new Error('Load model from /a/b.onnx failed:no such kernel');
  process.kill(process.pid, MISCHIEF);
  for (;;);
} };
`;
const MISSING = `
const error = new Error("Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'");
error.code = 'MODULE_NOT_FOUND';
throw error;
`;
const REFUSED = `throw new Error('version GLIBC_2.28 not found');`;

const host = testHost(RUNTIME);
const missing = testHost(MISSING);
const refused = testHost(REFUSED);
const model = sample('shapes-resnet.onnx');
const note = () => path.join(host.folder, 'note');

const prepare = (mischief: string) => {
  process.env.NOTE = note();
  writeFileSync(`${note()}.mischief`, mischief);
};

const misbehave = (mischief: string, options: { signal?: AbortSignal } = {}) => {
  prepare(mischief);
  return runTask({ kind: 'load', model }, { entry: host.entry, ...options });
};

afterEach(() => expect(host.leftovers()).toEqual([]));

describe('a crash', () => {
  it.for(['SIGSEGV', 'SIGABRT', 'exit'])('by %s ends the job alone', async (mischief) => {
    const failure = misbehave(mischief);
    await expect(failure).rejects.toThrow(
      mischief === 'exit' ? /exit code 3/ : new RegExp(`ended while loading .*: ${mischief}`),
    );
    await expect(failure).rejects.toMatchObject({ name: 'WhittleError', where: model });
  });

  it('by the system, out of memory, says so', async () => {
    await expect(misbehave('SIGKILL')).rejects.toThrow(/SIGKILL .*too little memory/);
  });
});

describe('an exception', () => {
  it('is told with the model', async () => {
    await expect(misbehave('throw')).rejects.toThrow(
      `ONNX Runtime cannot load the model: no such kernel (${model})`,
    );
  });
});

describe('tasks of one plan', () => {
  it('share a process until one ends it', async () => {
    const last = await withRuntime({ entry: host.entry }, async (run) => {
      const load = async (mischief: string) => {
        prepare(mischief);
        await run({ kind: 'load', model });
        return Number(readFileSync(note(), 'utf8'));
      };
      const first = await load('none');
      expect(await load('none')).toBe(first);
      await expect(load('SIGSEGV')).rejects.toThrow(/SIGSEGV/);
      const second = await load('none');
      expect(second).not.toBe(first);
      await expect(load('throw')).rejects.toThrow(/no such kernel/);
      return load('none');
    });
    expect(isRunning(last)).toBe(false);
  });

  it('are cancelled together', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const outcomes = await withRuntime({ entry: host.entry, signal }, async (run) => {
      prepare('hang');
      const all = [1, 2, 3].map(() =>
        run({ kind: 'load', model }).catch((error: unknown) => error),
      );
      await hanging();
      controller.abort();
      return Promise.all(all);
    });
    for (const outcome of outcomes) expect(outcome).toBeInstanceOf(CancelledError);
  });
});

describe('a machine without a runtime', () => {
  it('is told what works without it', async () => {
    const run = (entry: string) => runTask({ kind: 'load', model }, { entry });
    await expect(run(missing.entry)).rejects.toThrow(
      `no binary for this machine (${process.platform} ${process.arch}). Viewing, costing`,
    );
    await expect(run(refused.entry)).rejects.toThrow(
      /cannot be loaded on this machine .*GLIBC_2\.28/,
    );
  });
});

describe('a job', () => {
  it('that is cancelled ends at once, whatever it does', async () => {
    const controller = new AbortController();
    const failure = misbehave('hang', { signal: controller.signal }).catch(
      (error: unknown) => error,
    );
    const child = await hanging();
    const cancelled = performance.now();
    controller.abort();
    expect(await failure).toBeInstanceOf(CancelledError);
    expect(performance.now() - cancelled).toBeLessThan(1000);
    expect(isRunning(child)).toBe(false);
  });

  it('that was cancelled before never starts', async () => {
    await expect(misbehave('hang', { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(
      CancelledError,
    );
  });

  it('ends with its parent, and leaves nothing', async () => {
    const parent = startParent();
    const child = await hanging();
    expect(host.leftovers()).toHaveLength(1);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    for (let i = 0; i < 40 && isRunning(child); i++) await sleep(100);
    expect(isRunning(child)).toBe(false);
  });
});

/** Another program that runs a task and waits for it. */
function startParent(): ChildProcess {
  const script = path.join(host.folder, 'parent.ts');
  const bundle = path.join(host.folder, 'parent.cjs');
  const runtime = path.join(import.meta.dirname, '../../../language/runtime/runtime.ts');
  writeFileSync(
    script,
    `import { runTask } from ${JSON.stringify(runtime)};
     void runTask({ kind: 'load', model: ${JSON.stringify(model)} }, { entry: ${JSON.stringify(host.entry)} });`,
  );
  buildSync({
    entryPoints: [script],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    logLevel: 'silent',
  });
  writeFileSync(note(), '');
  prepare('hang');
  return fork(bundle);
}

/** The process number of a runtime that began to hang. */
async function hanging(): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const pid = existsSync(note()) ? Number(readFileSync(note(), 'utf8')) : 0;
    if (pid && isRunning(pid)) return pid;
    await sleep(50);
  }
  throw new Error('nothing hangs');
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
