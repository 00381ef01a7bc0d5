/** Temporary files that are gone when the work is done, however it ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Runs `work` with a folder of its own and removes the folder afterwards. */
export async function withScratch<T>(
  work: (folder: string) => Promise<T>,
  inside = os.tmpdir(),
): Promise<T> {
  const folder = await mkdtemp(path.join(inside, 'whittle-'));
  try {
    return await work(folder);
  } finally {
    // Windows lets go of the files of a killed process only after a moment. What the work made of itself counts, not this.
    const patiently = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 };
    await rm(folder, patiently).catch(() => undefined);
  }
}
