/**
 * A thread that ends its process when the parent is gone, and leaves nothing behind: the main thread hears nothing while ONNX
 * Runtime computes. Bundled by itself as dist/watch.js, so that starting it costs next to nothing.
 */
import { rmSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

export interface Watch {
  /** Process number of the parent. */
  readonly parent: number;
  readonly scratch: string;
}

const EVERY_MS = 500;

const { parent, scratch } = workerData as Watch;
setInterval(() => {
  if (isAlive(parent)) return;
  rmSync(scratch, { recursive: true, force: true });
  process.kill(process.pid, 'SIGKILL');
}, EVERY_MS);

/** On POSIX systems an orphan gets another parent; Windows keeps the old number, which then names nobody. */
function isAlive(parent: number): boolean {
  if (process.ppid !== parent) return false;
  try {
    process.kill(parent, 0);
    return true;
  } catch {
    return false;
  }
}
