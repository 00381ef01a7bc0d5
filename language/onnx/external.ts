/** Weights kept in files beside the model. */
import { existsSync, realpathSync } from 'node:fs';
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
  const source = new FileSource(file);
  const end = length === undefined ? source.size : offset + length;
  if (offset > end || end > source.size)
    throw new WhittleError(
      `the weights of ${tensor} are at bytes ${offset} to ${end} of ${location}, which has ${source.size}`,
      { where: folder, hint: 'The file is incomplete or belongs to another model' },
    );
  return { source, start: offset, end };
}

function externalPath(folder: string, location: string, tensor: string): string {
  const outside = () =>
    new WhittleError(
      `tensor ${tensor} names external data outside the model's folder: ${location}`,
      {
        hint: 'Such models are refused, because they could read any file',
      },
    );
  if (location === '' || path.isAbsolute(location) || /^[a-z]:/i.test(location)) throw outside();
  const root = realpathOr(folder);
  const file = path.resolve(root, ...location.split(/[\\/]/));
  const real = realpathOr(file);
  const relative = path.relative(root, real);
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) throw outside();
  return real;
}

function realpathOr(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}
