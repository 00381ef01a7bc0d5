/** `whittle sensitivity`: which layers a step of a recipe hurts, one at a time. */
import { loadRecipe, modelOf } from '../recipe/load';
import { stepSensitivity } from '../recipe/sensitivity';
import type { SensitivityLayer } from '../protocol';
import {
  count,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  withProgress,
  type Command,
} from './command';

const sensitivity: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['RECIPE'], {
    ...SHAPE_OPTION,
    model: { type: 'string' },
    step: { type: 'string' },
    metric: { type: 'boolean', default: false },
    samples: { type: 'string' },
  });
  const loaded = loadRecipe((positionals as [string])[0]);
  const model = modelOf(loaded, options.model);
  const question = {
    recipe: loaded.recipe,
    folder: loaded.folder,
    recipeFile: loaded.file,
    model,
    shapes: readShapes(options.shape),
    step: (count('step', options.step) ?? 1) - 1,
    byMetric: options.metric,
    samples: count('samples', options.samples),
  };
  const found = await withProgress(surroundings, options, (progress) =>
    stepSensitivity(question, {
      signal: surroundings.interruption(),
      onProgress: progress,
      runtimeEntry: surroundings.runtimeEntry,
    }),
  );
  const { judge, before, layers, skipped } = found;
  print(surroundings, options, { model, kind: 'measured', ...found }, () => [
    `${found.title} at one layer alone, by ${judge} on ${found.data} (measured)`,
    ...(before === null ? [] : [`  ${judge} before: ${before.toFixed(5)}`]),
    ...table(
      layers.map((layer) => [`  ${layer.node}`, layer.op, ...effect(layer)]),
      [2, 3],
    ),
    ...skipped.map(({ node, reason }) => `  skipped ${node}: ${reason}`),
  ]);
};
export default sensitivity;

function effect({ error, sqnrDb, metric, drop }: SensitivityLayer): [string, string] {
  if (metric !== undefined && drop !== undefined)
    return [metric.toFixed(5), `${drop > 0 ? '−' : '+'}${Math.abs(100 * drop).toFixed(2)} %`];
  if (error === null) return ['broken', 'no number'];
  return [
    `error ${(error ?? 0).toExponential(2)}`,
    sqnrDb == null ? 'equal' : `${sqnrDb.toFixed(1)} dB`,
  ];
}
