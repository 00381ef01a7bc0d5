/** Results that take long and depend on content alone, kept between runs in the folder that the system has for such. */
import { mkdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { textHash, writeWhole } from './files';

/** @param key everything that the result depends on, as plain JSON */
export async function cached<T>(kind: string, key: unknown, work: () => Promise<T>): Promise<T> {
  const file = path.join(cacheFolder(), kind, `${textHash(JSON.stringify([FORMAT, key]))}.json`);
  const known = readKept(file);
  if (known !== undefined) return known as T;
  const result = await work();
  keep(file, result);
  return result;
}

/** Raised when results of older versions would be misread. */
const FORMAT = 1;

function readKept(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // absent, or cut short by a crash: it is computed again
  }
}

function keep(file: string, result: unknown): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeWhole(file, JSON.stringify(result));
  } catch {
    // A cache that cannot be written costs time, nothing else.
  }
}

function cacheFolder(): string {
  const { WHITTLE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (WHITTLE_CACHE) return WHITTLE_CACHE;
  if (XDG_CACHE_HOME) return path.join(XDG_CACHE_HOME, 'whittle');
  if (process.platform === 'win32' && LOCALAPPDATA) return path.join(LOCALAPPDATA, 'whittle');
  const caches = process.platform === 'darwin' ? 'Library/Caches' : '.cache';
  return path.join(os.homedir(), caches, 'whittle');
}
