/** The kinds of sources that a description may name. A new kind is one more entry here. */
import path from 'node:path';
import { z } from 'zod';
import type { StoredArray } from './npy';
import { openNpz } from './npz';

/** Something that holds arrays by name, each with one row per sample. */
export interface ArrayFile {
  readonly file: string;
  /** @throws WhittleError naming file and array when it is not there or cannot be used */
  array(name: string): StoredArray;
}

export interface SourceKind {
  /** What stands behind the kind in the description. */
  readonly location: z.ZodType;
  open(location: unknown, folder: string): ArrayFile;
}

export const SOURCES: Readonly<Record<string, SourceKind>> = {
  npz: kind(z.string().min(1).describe('An .npz file, as numpy.savez writes it'), (file, folder) =>
    openNpz(resolveBeside(folder, file)),
  ),
};

/** A path of a description as a path of this machine; one written with `\` on Windows works everywhere. */
export function resolveBeside(folder: string, file: string): string {
  return path.resolve(folder, path.sep === '/' ? file.replaceAll('\\', '/') : file);
}

function kind<Location>(
  location: z.ZodType<Location>,
  open: (location: Location, folder: string) => ArrayFile,
): SourceKind {
  return { location, open: (value, folder) => open(location.parse(value), folder) };
}
