/** `whittle apply`: compresses a model by a recipe. */
import path from 'node:path';
import { applyRecipe, type ApplyJob } from '../recipe/apply';
import { outputPath } from '../recipe/files';
import { loadRecipe, modelOf } from '../recipe/load';
import { resultRemarks } from '../recipe/reportTable';
import {
  mebibytes,
  millijoules,
  milliseconds,
  print,
  readArguments,
  readShapes,
  requireBudget,
  SHAPE_OPTION,
  thousands,
  withProgress,
  type Command,
} from './command';
import type { Report } from '../protocol';

const apply: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['RECIPE'], {
    ...SHAPE_OPTION,
    model: { type: 'string' },
    output: { type: 'string', short: 'o' },
    report: { type: 'string' },
    decisions: { type: 'string' },
    replay: { type: 'string' },
    force: { type: 'boolean', default: false },
  });
  const loaded = loadRecipe((positionals as [string])[0]);
  const model = modelOf(loaded, options.model);
  const output = path.resolve(options.output ?? outputPath(model, loaded.file));
  const job: ApplyJob = {
    recipe: loaded.recipe,
    folder: loaded.folder,
    recipeFile: path.resolve(loaded.file),
    recipeText: loaded.text,
    model,
    output,
    overwrite: options.force,
    shapes: readShapes(options.shape),
    decisionsOut: options.decisions,
    replay: options.replay,
    report: options.report && path.resolve(options.report),
  };
  const { content, report } = await withProgress(surroundings, options, (progress) =>
    applyRecipe(job, {
      signal: surroundings.interruption(),
      onProgress: (phase, detail, fraction) => progress(`${phase}: ${detail}`, fraction),
      runtimeEntry: surroundings.runtimeEntry,
    }),
  );
  const { kinds, steps, before, after, fidelity, measured, checks, budget } = content;
  print(
    surroundings,
    options,
    { output, report, kinds, steps, before, after, fidelity, measured, checks, budget },
    () => [
      `wrote ${output}`,
      ...steps.flatMap(({ pass, sites, skipped, seconds, operatorSet, guard, rolledBack }) => [
        `  ${pass}: ${sites} sites in ${seconds.toFixed(1)} s${rolledBack ? ', rolled back' : guard?.dropped ? ', left out' : ''}`,
        ...(operatorSet
          ? [`    operator set raised from ${operatorSet.before} to ${operatorSet.after} first`]
          : []),
        ...skipped.map(({ node, reason }) => `    skipped ${node}: ${reason}`),
      ]),
      ...summary(content),
      ...resultRemarks(content).map((remark) => `  ${remark}`),
      `report: ${report}`,
    ],
  );
  requireBudget(content);
};
export default apply;

function summary({ before, after, fidelity, measured }: Report): string[] {
  const least = after.partial ? 'at least ' : '';
  const lines = [
    `  file      ${mebibytes(before.fileBytes)} → ${mebibytes(after.fileBytes)} (exact)`,
    `  MACs      ${least}${thousands(before.macs ?? 0)} → ${thousands(after.macs ?? 0)} (exact)`,
  ];
  after.targets.forEach((target, i) => {
    const old = before.targets[i]!;
    lines.push(
      `  ${target.title}: ${target.partial ? 'at least ' : ''}${milliseconds(old.latencyMs)} → ${milliseconds(target.latencyMs)}, ${millijoules(old.energyMj)} → ${millijoules(target.energyMj)} (modelled)`,
    );
  });
  if (fidelity.unavailable) lines.push(`  not compared: ${fidelity.unavailable}`);
  else lines.push(`  compared on ${fidelity.samples} samples of ${fidelity.data}`);
  for (const { name, sqnrDb, maxAbs } of fidelity.outputs)
    lines.push(
      `    ${name}: ${sqnrDb === null ? (maxAbs === 0 ? 'equal' : 'no SQNR') : `SQNR ${sqnrDb.toFixed(1)} dB`}`,
    );
  if (fidelity.metric)
    lines.push(
      `  ${fidelity.metric.id}: ${fidelity.metric.before.toFixed(4)} → ${fidelity.metric.after.toFixed(4)} (measured)`,
    );
  if (measured.unavailable) lines.push(`  not timed: ${measured.unavailable}`);
  else
    lines.push(
      `  measured  ${milliseconds(measured.beforeMs)} → ${milliseconds(measured.afterMs)}: ${measured.verdict} (${measured.conditions})`,
    );
  return lines;
}
