/** Data sets for a recipe: which ones feed its model. Names of files say nothing; descriptions do. */
import path from 'node:path';
import { readDescription } from '../data/description';
import { describeError } from '../errors';
import type { DataChoice } from '../protocol';
import { modelReference } from '../recipe/files';

/** @param inputs names of the model's inputs */
export function dataChoice(file: string, folder: string, inputs: readonly string[]): DataChoice {
  const about = { file, reference: modelReference(folder, file) };
  try {
    const description = readDescription(file);
    const fed = 'inputs' in description ? Object.keys(description.inputs) : inputs;
    return {
      ...about,
      unfed: inputs.filter((name) => !fed.includes(name)),
      metric: description.metric?.id ?? null,
      error: null,
    };
  } catch (error) {
    return { ...about, unfed: inputs, metric: null, error: describeError(error) };
  }
}

export const byFile = (a: DataChoice, b: DataChoice): number =>
  path.basename(a.file).localeCompare(path.basename(b.file));
