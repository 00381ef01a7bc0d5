/** Weights kept in files beside the model. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { WhittleError } from '../errors';
import type { ExternalLocation } from './model';
import { FileSource, type Span } from './source';

/**
 * The bytes that an external location names.
 * @throws WhittleError when the file is absent, too short, or lies outside the model's folder (a hostile model could
 * otherwise read any file of the user).
 */
export function resolveExternal(
  { folder, location, offset, length }: ExternalLocation,
  tensor: string,
): Span {
  const file = externalPath(folder, location, tensor);
  if (!existsSync(file))
    throw new WhittleError(`the weights of ${tensor} are in ${location}, which is not there`, {
      where: folder,
      hint: 'Put the file beside the model, under the name that the model gives it',
    });
  const source = sourceOf(file);
  const end = length === undefined ? source.size : offset + length;
  if (offset > end || end > source.size)
    throw new WhittleError(
      `the weights of ${tensor} are at bytes ${offset} to ${end} of ${location}, which has ${source.size}`,
      { where: folder, hint: 'The file is incomplete or belongs to another model' },
    );
  return { source, start: offset, end };
}

/** Whether the file that a location names is there. */
export const existsExternal = ({ folder, location }: ExternalLocation, tensor: string): boolean =>
  existsSync(externalPath(folder, location, tensor));

/** One source for each file, however many tensors lie in it; a new one once the file was replaced. */
function sourceOf(file: string): FileSource {
  const known = sources.get(file)?.deref();
  const { size, mtimeMs } = statSync(file);
  if (known?.size === size && known.modifiedMs === mtimeMs) return known;
  const fresh = new FileSource(file);
  sources.set(file, new WeakRef(fresh));
  return fresh;
}

const sources = new Map<string, WeakRef<FileSource>>();

/**
 * The path that a location names, be there a file or not.
 * @throws WhittleError when it lies outside the model's folder
 */
export function externalPath(folder: string, location: string, tensor: string): string {
  const outside = () =>
    new WhittleError(
      `tensor ${tensor} names external data outside the model's folder: ${location || 'no file at all'}`,
      {
        hint: 'Such models are refused, because they could read any file',
      },
    );
  if (location === '' || path.isAbsolute(location) || /^[a-z]:|\0/i.test(location)) throw outside();
  const root = realpathOr(folder);
  const file = path.resolve(root, ...location.split(/[\\/]/));
  // Both, since a link may lead out of the folder, and `..` may lead out and, through a link, back in.
  for (const candidate of [file, realpathOr(file)]) {
    const relative = path.relative(root, candidate);
    if (relative === '' || /^\.\.([\\/]|$)/.test(relative) || path.isAbsolute(relative))
      throw outside();
  }
  return realpathOr(file);
}

function realpathOr(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}
