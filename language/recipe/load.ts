/** A recipe from a file. */
import path from 'node:path';
import { WhittleError } from '../errors';
import { vocabulary } from './bundled';
import { readText, resolveFrom } from './files';
import { parseRecipe, requireRecipe, type Recipe } from './recipe';

export interface LoadedRecipe {
  readonly file: string;
  /** Where its paths start from. */
  readonly folder: string;
  readonly text: string;
  readonly recipe: Recipe;
}

/** @throws WhittleError with file, line and column of the first complaint */
export function loadRecipe(file: string): LoadedRecipe {
  const text = readText(file);
  const folder = path.dirname(path.resolve(file));
  return { file, folder, text, recipe: requireRecipe(parseRecipe(text, vocabulary(folder)), file) };
}

/** The model that a recipe names, or the one given instead. */
export function modelOf({ recipe, folder, file }: LoadedRecipe, given: string | undefined): string {
  if (given !== undefined) return path.resolve(given);
  if (recipe.model !== undefined) return resolveFrom(folder, recipe.model);
  throw new WhittleError(`${file} names no model`, {
    hint: 'Add `model:` to it, or choose a model',
  });
}
