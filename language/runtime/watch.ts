/**
 * Ends this process when its parent is gone, and leaves nothing behind. Runs in a thread of its own, because the main one hears
 * nothing while ONNX Runtime computes.
 */
import { rmSync } from 'node:fs';

export interface Watch {
  /** Process number of the parent. */
  readonly parent: number;
  readonly scratch: string;
}

const EVERY_MS = 500;

export function watchParent({ parent, scratch }: Watch): void {
  setInterval(() => {
    if (isAlive(parent)) return;
    rmSync(scratch, { recursive: true, force: true });
    process.kill(process.pid, 'SIGKILL');
  }, EVERY_MS);
}

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
