/** XᵀX of values inside a model as NumPy arrays, a file each, in a folder that is complete or not there. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { npyHeader } from '../data/npy';
import { WhittleError } from '../errors';
import { Staging } from '../recipe/files';
import { ArrayReader } from '../runtime/arrays';
import type { Grams } from '../runtime/tasks';

/** What is listed of a matrix: `size` × `size` float64 in `file`, the sum over `rows` rows of X. */
export interface GramFile {
  readonly name: string;
  readonly file: string;
  readonly rows: number;
  readonly size: number;
}

/**
 * @param measure writes the matrices one after the other to the file that it is given
 * @throws WhittleError where the folder exists or cannot be made
 */
export async function writeGramFiles(
  folder: string,
  measure: (into: string) => Promise<Grams>,
): Promise<{ readonly files: readonly GramFile[]; readonly skipped: Grams['skipped'] }> {
  if (existsSync(folder))
    throw new WhittleError(`${folder} exists already`, { hint: 'Name a folder that does not' });
  const staging = new Staging(folder);
  try {
    const raw = staging.path(`${folder}.raw`);
    const { grams, skipped } = await measure(raw);
    const staged = staging.path(folder);
    mkdirSync(staged);
    const files = unpack(grams, raw, staged);
    writeFileSync(path.join(staged, 'index.json'), `${JSON.stringify(files, null, 1)}\n`);
    staging.commit([folder]);
    return { files, skipped };
  } finally {
    staging.discard();
  }
}

/** A matrix is in memory at a time. */
function unpack(grams: Grams['grams'], raw: string, folder: string): GramFile[] {
  const reader = new ArrayReader(raw);
  try {
    return [...grams].map(([name, { rows, size, start }], i) => {
      const file = `${i}.npy`;
      const elements = reader.read(start, new Float64Array(size * size));
      writeFileSync(
        path.join(folder, file),
        Buffer.concat([npyHeader('<f8', [size, size]), new Uint8Array(elements.buffer)]),
      );
      return { name, file, rows, size };
    });
  } finally {
    reader.close();
  }
}
