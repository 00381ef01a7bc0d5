/** Opens what a description names as its source. A new kind is one more schema in `kinds.ts` and one more case here. */
import path from 'node:path';
import type { ArrayFile } from './arrays';
import { openImages } from './images/folder';
import type { SourceDescription } from './kinds';
import { openNpyFiles } from './npy';
import { openNpz } from './npz';
import { openJsonl } from './text/jsonl';
import { openText } from './text/windows';

/** @param folder where its paths start from */
export function openSource(source: SourceDescription, folder: string): ArrayFile {
  const at = (file: string) => resolveBeside(folder, file);
  if ('npz' in source) return openNpz(at(source.npz));
  if ('npy' in source) return openNpyFiles(source.npy, at);
  if ('images' in source) return openImages(source, at);
  if ('text' in source) return openText(source, at);
  return openJsonl(source, at);
}

/** A path of a description as a path of this machine; one written with `\` on Windows works everywhere. */
export function resolveBeside(folder: string, file: string): string {
  return path.resolve(folder, path.sep === '/' ? file.replaceAll('\\', '/') : file);
}
