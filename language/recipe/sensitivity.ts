/** The sensitivity of a model to one step of a recipe, layer by layer. */
import path from 'node:path';
import { variantsOf, type Variants } from '../analyses/sensitivity';
import { relativeDrop } from '../data/metrics';
import { WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { writeModel } from '../onnx/write';
import type { Evidence } from '../passes/pass';
import type { Sensitivity, SensitivityLayer } from '../protocol';
import { runTask } from '../runtime/runtime';
import { withScratch } from '../runtime/scratch';
import { generatedData, type DataRequest, type Evaluation } from '../runtime/tasks';
import { cached } from './cache';
import { provenanceOf } from './decisions';
import { gatherEvidence } from './evidence';
import { bindModel, inputSizes, openModel } from './opened';
import { dataRequest, evidenceOptions, planStep, requireData } from './planning';
import type { Recipe, Step } from './recipe';
import { runSteps } from './run';
import { prepareStep } from './steps';

export interface SensitivityJob {
  readonly recipe: Recipe;
  readonly folder: string;
  readonly recipeFile: string | undefined;
  readonly model: string;
  readonly shapes: ShapeBindings;
  /** Position in the recipe, from 0. */
  readonly step: number;
  /** Judge by the metric of the recipe's evaluation data, not by the error of the outputs. */
  readonly byMetric: boolean;
  /** Instead of as many as the recipe says. */
  readonly samples?: number | undefined;
}

export interface SensitivityControl {
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string, fraction: number) => void;
  readonly runtimeEntry?: string | undefined;
}

/** How the whole divides: the steps before, the changed models, judging them. */
const SHARE = { before: 0.2, variants: 0.4 };

/**
 * The steps before are done in full; the step itself to one layer at a time. Kept by the content of model, steps and data.
 * @throws WhittleError when there is no such step, or it can change no layer; CancelledError when the signal fires
 */
export async function stepSensitivity(
  job: SensitivityJob,
  control: SensitivityControl,
): Promise<Sensitivity> {
  const { folder, model } = job;
  const step = stepOf(job);
  const recipe = upTo(job, step);
  const base = bindModel(openModel(model), { ...recipe.shapes, ...job.shapes });
  if (job.byMetric && !recipe.evaluation)
    throw new WhittleError('the metric needs evaluation data', {
      hint: 'Add `evaluation: { dataset: NAME.dataset.yaml }` to the recipe',
    });
  const calibrated = await provenanceOf(model, base, recipe, folder);
  const evaluated = { ...recipe, calibration: recipe.evaluation };
  const { data } = await provenanceOf(model, base, evaluated, folder);
  const { calibration, evaluation } = recipe;
  const counts = [calibration?.samples ?? null, evaluation?.samples ?? null];
  const key = [calibrated, data, counts, job.byMetric];
  return cached('sensitivity', key, () => analyse({ job, step, recipe, base }, control));
}

function stepOf({ recipe, step: position }: SensitivityJob): Step {
  const step = recipe.steps[position];
  if (!step)
    throw new WhittleError(`the recipe has no step ${position + 1}`, {
      hint: `It has ${recipe.steps.length}`,
    });
  return { ...step, enabled: true };
}

/** The recipe as far as its result matters here. */
function upTo({ recipe, samples }: SensitivityJob, step: Step): Recipe {
  const { calibration, evaluation } = recipe;
  return {
    ...recipe,
    ...(samples && calibration && { calibration: { ...calibration, samples } }),
    ...(samples && evaluation && { evaluation: { ...evaluation, samples } }),
    steps: [...recipe.steps.slice(0, step.index), step],
  };
}

interface Subject {
  readonly job: SensitivityJob;
  readonly step: Step;
  readonly recipe: Recipe;
  readonly base: ReturnType<typeof bindModel>;
}

async function analyse(
  { job, step, recipe, base }: Subject,
  { signal, onProgress, runtimeEntry }: SensitivityControl,
): Promise<Sensitivity> {
  const calibration = dataRequest(recipe.calibration, job);
  const evaluation = dataRequest(recipe.evaluation, job);
  let [from, to, fraction] = [0, 0, 0];
  const options = {
    data: calibration,
    sizes: inputSizes(base),
    signal,
    onProgress: (detail: string, part = 0) => {
      fraction = Math.max(fraction, from + (to - from) * part);
      onProgress(detail, fraction);
    },
    runtimeEntry,
  };
  const earlier = recipe.steps.slice(0, -1);
  const plan = (prepared: Parameters<typeof planStep>[0]) => planStep(prepared, options);
  const { outcomes } = await runSteps(base, earlier, plan, signal);
  const now = outcomes.at(-1)?.situation ?? base;
  const prepared = prepareStep(base, now, step);
  requireData(prepared, calibration);
  const judgedOn = calibration ?? evaluation ?? generatedData();
  const evidence = gatherEvidence(
    prepared.request,
    evidenceOptions({ ...options, data: judgedOn }),
  );
  const found = await variantsOf({
    pass: step.pass,
    request: prepared.request,
    evidence,
    onLayer(done, total) {
      from = to = SHARE.before + ((SHARE.variants - SHARE.before) * done) / total;
    },
  });
  [from, to] = [SHARE.variants, 1];
  const judged = job.byMetric
    ? await byMetric(now.graph, found, evaluation!, options)
    : await byOutputs(found, evidence, judgedOn);
  return {
    pass: step.pass.id,
    title: step.pass.title,
    step: step.index,
    ...judged,
    layers: judged.layers.map((layer) => ({ ...layer, op: now.graph.node(layer.node)?.op ?? '' })),
    skipped: [...prepared.refused, ...found.skipped],
  };
}

type Judged = Pick<Sensitivity, 'judge' | 'data' | 'before'> & {
  readonly layers: readonly Omit<SensitivityLayer, 'op'>[];
};

async function byOutputs(
  { variants }: Variants,
  evidence: Evidence,
  data: DataRequest,
): Promise<Judged> {
  const deviations = await evidence.deviations(
    variants.map(({ graph }) => graph),
    variants.map(({ node }) => node),
  );
  const layers = variants
    .map(({ node }, i) => ({ node, error: deviations[i]! }))
    .sort((a, b) => b.error - a.error)
    .map(({ node, error }) => ({
      node,
      error: Number.isFinite(error) ? error : null,
      sqnrDb: error > 0 && Number.isFinite(error) ? -10 * Math.log10(error) : null,
    }));
  return { judge: 'output error', data: nameOf(data), before: null, layers };
}

interface MetricOptions {
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string, part: number) => void;
  readonly runtimeEntry?: string | undefined;
}

async function byMetric(
  graph: Graph,
  { variants }: Variants,
  data: DataRequest,
  options: MetricOptions,
): Promise<Judged> {
  const of = (i: number, what: string) => (done: number) =>
    options.onProgress(what, (i + done) / (variants.length + 1));
  const before = await evaluate(graph, data, options, of(0, 'judging the model without the step'));
  const layers: { node: string; metric: number; drop: number }[] = [];
  for (const [i, { node, graph: changed }] of variants.entries()) {
    const told = of(i + 1, `${before.metric} with ${node} alone`);
    const { value } = await evaluate(changed, data, options, told);
    layers.push({ node, metric: value, drop: relativeDrop(before, before.value, value) });
  }
  layers.sort((a, b) => b.drop - a.drop);
  return { judge: before.metric, data: before.data, before: before.value, layers };
}

async function evaluate(
  graph: Graph,
  data: DataRequest,
  { sizes, signal, runtimeEntry }: MetricOptions,
  onProgress: (done: number) => void,
): Promise<Evaluation> {
  return withScratch((folder) => {
    const model = path.join(folder, 'model.onnx');
    writeModel(graph.model, graph.toRecord(), graph.opsets, model, signal);
    return runTask(
      { kind: 'evaluate', model, data, shapes: sizes },
      {
        signal,
        entry: runtimeEntry,
        onProgress: ({ done, total }) => onProgress(done / Math.max(1, total)),
      },
    );
  });
}

function nameOf({ dataset }: DataRequest): string {
  if (typeof dataset === 'string') return path.basename(dataset);
  return 'generated' in dataset.source ? 'made-up inputs' : 'the recipe';
}
