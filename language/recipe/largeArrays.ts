/**
 * JSON whose large arrays lie beside the text, in binary: `FILE.arrays/HASH`, named by the SHA-256 of what is in them. Text
 * would take a third more for bytes and several times as much for numbers, and more of it than one string can hold.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { WhittleError } from '../errors';
import { writeWhole } from './files';

/** Smaller ones stay in the text. */
const LARGE_BYTES = 4096;

/** What stands in the text for an array: bytes that are written in base64, or numbers as float64, little-endian. */
const placeholder = z.strictObject({
  array: z.enum(['base64', 'float64']),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
type Kind = z.infer<typeof placeholder>['array'];

/** Everything is in place before the text is, which is moved there at once; no trace is left of a failure. */
export function writeJson(file: string, content: unknown): void {
  const folder = folderOf(file);
  const known = new Set(arraysIn(folder));
  const named = new Set<string>();
  try {
    const text = JSON.stringify(
      content,
      (_key, value: unknown) => {
        const large = largeArray(value);
        if (!large) return value;
        const sha256 = createHash('sha256').update(large.bytes).digest('hex');
        if (!named.has(sha256) && !known.has(sha256)) {
          mkdirSync(folder, { recursive: true });
          writeWhole(path.join(folder, sha256), large.bytes);
        }
        named.add(sha256);
        return { array: large.kind, sha256 };
      },
      1,
    );
    writeWhole(file, `${text}\n`);
  } catch (error) {
    remove(
      folder,
      [...named].filter((hash) => !known.has(hash)),
    );
    throw error;
  }
  remove(
    folder,
    [...known].filter((hash) => !named.has(hash)),
  );
}

/** @throws WhittleError where an array is missing or is not the one that was written; SyntaxError where it is no JSON */
export function parseJson(text: string, file: string): unknown {
  return JSON.parse(text, (_key, value: unknown) => {
    const known = placeholder.safeParse(value);
    return known.success ? readArray(file, known.data.array, known.data.sha256) : value;
  });
}

const folderOf = (file: string): string => `${file}.arrays`;

function largeArray(value: unknown): { kind: Kind; bytes: Uint8Array } | undefined {
  if (typeof value === 'string' && value.length >= (LARGE_BYTES * 4) / 3) {
    const bytes = Buffer.from(value, 'base64');
    return bytes.toString('base64') === value ? { kind: 'base64', bytes } : undefined;
  }
  if (!Array.isArray(value) || value.length < LARGE_BYTES / 8) return undefined;
  if (!value.every((item): item is number => Number.isFinite(item))) return undefined;
  const bytes = Buffer.alloc(8 * value.length);
  value.forEach((item, i) => bytes.writeDoubleLE(item, 8 * i));
  return { kind: 'float64', bytes };
}

function readArray(file: string, kind: Kind, sha256: string): unknown {
  const bytes = arrayBytes(file, sha256);
  if (kind === 'base64') return bytes.toString('base64');
  return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}

function arrayBytes(file: string, sha256: string): Buffer {
  const place = path.join(folderOf(file), sha256);
  let bytes: Buffer;
  try {
    bytes = readFileSync(place);
  } catch (cause) {
    throw new WhittleError(`cannot read ${place}`, {
      cause,
      hint: `It is part of ${path.basename(file)}: keep the two together`,
    });
  }
  if (createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
  throw new WhittleError(`${place} is not what was written`);
}

function arraysIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch {
    return []; // there is none yet
  }
}

/** The folder goes with the last array in it. */
function remove(folder: string, hashes: readonly string[]): void {
  for (const hash of hashes) rmSync(path.join(folder, hash), { force: true });
  if (hashes.length > 0 && readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}
