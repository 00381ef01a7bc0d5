/**
 * Applying a recipe: plan and run its steps, write the model, have ONNX Runtime run it against the original, and report.
 * Everything is written into a staging folder and moved into place at the very end.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describeError, throwIfCancelled, WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import { readModelFile } from '../onnx/read';
import { writeModel } from '../onnx/write';
import type { Applied, Report } from '../protocol';
import {
  enabledSteps,
  provenanceOf,
  readDecisions,
  writeDecisions,
  type Provenance,
} from './decisions';
import { isSameFile, reportPath, Staging } from './files';
import { guardOf } from './guard';
import { bindModel, inputSizes, openModel, type BoundModel } from './opened';
import { dataRequest, planStep } from './planning';
import { blameStep, quantisedBy, quantisedLayers } from './postconditions';
import type { Recipe } from './recipe';
import { makeReport } from './report';
import { runSteps, type Run } from './run';
import type { Prepared } from './steps';
import { stepChecks } from './stepChecks';
import { verify } from './verify';

export interface ApplyJob {
  readonly recipe: Recipe;
  /** Folder that paths of the recipe start from, and the file where there is one. */
  readonly folder: string;
  readonly recipeFile: string | undefined;
  readonly recipeText: string;
  readonly model: string;
  readonly output: string;
  readonly overwrite: boolean;
  /** Sizes beside those of the recipe; these win. */
  readonly shapes: ShapeBindings;
  /** Where to write the decisions taken. */
  readonly decisionsOut?: string | undefined;
  /** Decisions to repeat instead of planning. */
  readonly replay?: string | undefined;
  readonly report?: string | undefined;
}

export interface ApplyControl {
  readonly signal: AbortSignal;
  readonly onProgress: (phase: string, detail: string, fraction: number) => void;
  readonly runtimeEntry?: string | undefined;
}

/** How the whole divides: planning and running the steps, writing, checking, measuring. */
const SHARE = { steps: 0.6, write: 0.65 };

/**
 * @throws WhittleError when a step cannot run, the output exists, or ONNX Runtime refuses the result of a model that it
 *   accepts; CancelledError when the signal fires. Nothing is left behind then.
 */
export async function applyRecipe(
  job: ApplyJob,
  control: ApplyControl,
): Promise<Applied & { report: string; content: Report }> {
  const { recipe, output } = job;
  const report = job.report ?? reportPath(output);
  refuseOverwriting(job, report);
  const base = bindModel(openModel(job.model), { ...recipe.shapes, ...job.shapes });
  const provenance = await provenanceOf(job.model, base, recipe, job.folder);
  const seconds: number[] = [];
  const run = await runAll(job, base, provenance, seconds, control);

  const { graph } = run.outcomes.at(-1)?.situation ?? base;
  const staging = new Staging(output);
  try {
    control.onProgress('write', path.basename(output), SHARE.steps);
    const written = writeModel(
      graph.model,
      graph.toRecord(),
      graph.opsets,
      staging.path(output),
      control.signal,
    );
    readModelFile(written.model);
    const checks = await verify(
      {
        reference: job.model,
        candidate: written.model,
        evaluation: dataRequest(recipe.evaluation, job),
        calibration: dataRequest(recipe.calibration, job),
        sizes: inputSizes(base),
        tolerance: recipe.tolerance,
        quantised: quantisedLayers(base.graph, graph),
        quantisedBy: (layer) => quantisedBy(run, base.graph, layer),
        blame: (isWrong) =>
          blameStep(run, isWrong, {
            data: dataRequest(recipe.calibration, job),
            sizes: inputSizes(base),
            ...control,
            onProgress: (detail) => control.onProgress('check', detail, SHARE.write),
          }),
      },
      {
        ...control,
        onProgress: (phase, detail, fraction) =>
          control.onProgress(phase, detail, SHARE.write + (1 - SHARE.write) * fraction),
      },
    );
    const content = await makeReport({
      job,
      base,
      run,
      seconds,
      provenance,
      written: written.model,
      checks,
    });
    const text = `${JSON.stringify(content, null, 1)}\n`;
    const beside = path.dirname(path.resolve(report)) === path.dirname(path.resolve(output));
    if (beside) writeFileSync(staging.path(report), text);
    throwIfCancelled(control.signal);
    staging.commit([
      output,
      ...(written.external ? [`${output}.data`] : []),
      ...(beside ? [report] : []),
    ]);
    if (!beside) writeText(report, text);
    if (job.decisionsOut) writeDecisions(job.decisionsOut, provenance, run);
    return { output, report, content };
  } finally {
    staging.discard();
  }
}

function refuseOverwriting(
  { output, model, overwrite, recipeFile }: ApplyJob,
  report: string,
): void {
  for (const target of [output, report, `${output}.data`])
    for (const source of [model, recipeFile])
      if (source && isSameFile(target, source))
        throw new WhittleError(`${target} is what the recipe is applied to`, {
          hint: 'Choose another output; the source is never written to',
        });
  const existing = [output, report].find((file) => existsSync(file));
  if (existing && !overwrite)
    throw new WhittleError(`${existing} exists already`, { hint: 'Add --force to replace it' });
}

async function runAll(
  job: ApplyJob,
  base: BoundModel,
  provenance: Provenance,
  seconds: number[],
  control: ApplyControl,
): Promise<Run> {
  const { signal, onProgress, runtimeEntry } = control;
  const steps = enabledSteps(job.recipe.steps);
  const given = job.replay ? readDecisions(job.replay, provenance).steps : undefined;
  const data = dataRequest(job.recipe.calibration, job);
  const sizes = inputSizes(base);
  let started = performance.now();
  let share = 0;
  const told = (detail: string) => onProgress('check', detail, share);
  const plan = async (prepared: Prepared, position: number): Promise<unknown> => {
    const { pass } = prepared.step;
    const progress = (detail: string) =>
      onProgress(pass.id, detail, (SHARE.steps * position) / steps.length);
    if (position > 0) seconds.push((performance.now() - started) / 1000);
    started = performance.now();
    progress(`${prepared.request.sites.length} sites`);
    share = (SHARE.steps * (position + 1)) / steps.length;
    if (given) return given[position]!.decisions;
    return planStep(prepared, { data, sizes, signal, onProgress: progress, runtimeEntry });
  };
  const guard = guardOf(job.recipe, job.folder, {
    dropped: given?.map(({ dropped = false }) => dropped),
    sizes,
    signal,
    runtimeEntry,
  });
  const check = stepChecks(
    {
      reference: job.model,
      evaluation: dataRequest(job.recipe.evaluation, job),
      calibration: data,
      sizes,
      tolerance: job.recipe.tolerance,
      planning: { data, sizes, signal, runtimeEntry, onProgress: told },
      quantised: (after) => quantisedLayers(base.graph, after),
      steps: steps.length,
      repeated: given?.map(({ rolledBack }) => rolledBack),
    },
    { ...control, onProgress: (_, detail) => told(detail) },
  );
  const run = await runSteps(base, steps, plan, signal, { check, guard });
  if (steps.length) seconds.push((performance.now() - started) / 1000);
  return run;
}

function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new WhittleError(`cannot write ${file}: ${describeError(error)}`);
  }
}
