/** What a result has to keep to, and which step and layer is to blame where it does not. */
import path from 'node:path';
import { variantsOf } from '../analyses/sensitivity';
import { CancelledError, WhittleError } from '../errors';
import { checkGraph } from '../graph/check';
import type { Graph, Node } from '../graph/graph';
import { writeModel } from '../onnx/write';
import type { Situation } from '../passes/pass';
import type { Fidelity } from '../protocol';
import { withScratch } from '../runtime/scratch';
import { gatherEvidence } from './evidence';
import { evidenceOptions, type PlanningOptions } from './planning';
import type { Run } from './run';
import type { RecipeContent } from './schema';
import type { Outcome } from './steps';

/** Answers what is wrong with a model, or undefined. */
export type Check = (model: string) => Promise<string | undefined>;

export interface Blame {
  /** The first step after which it is wrong, as people count. */
  readonly step: number;
  readonly pass: string;
  /** A layer that is wrong already when the step changes it alone. */
  readonly node: string | undefined;
}

/**
 * @param known complaints about the model as it was given
 * @throws WhittleError for a complaint about the result of a step that is not among them
 */
export function requireValid({ step, situation }: Outcome, known: ReadonlySet<string>): void {
  const broken = checkGraph(situation.graph).find((problem) => !known.has(problem));
  if (broken === undefined) return;
  throw new WhittleError(`the result is not a valid model: ${broken}`, {
    where: `step ${step.index + 1}, ${step.pass.id}`,
    hint: 'Nothing was written. Leave the step out',
  });
}

/** More layers than this are not tried one by one. */
const MAX_TRIED = 100;

/** @returns undefined when no step by itself makes it wrong */
export async function blameStep(
  run: Run,
  isWrong: Check,
  options: PlanningOptions,
): Promise<Blame | undefined> {
  for (const [i, outcome] of run.outcomes.entries()) {
    const { step, situation } = outcome;
    options.onProgress(`looking for the step to blame: ${step.pass.id}`);
    if (!(await checkGraphFile(situation.graph, isWrong))) continue;
    const before = run.attempts.find((attempt) => attempt.outcome === outcome)!.before;
    const node = await blameLayer(outcome, before, isWrong, options);
    return { step: run.outcomes[i]!.step.index + 1, pass: step.pass.id, node };
  }
  return undefined;
}

/** A layer that is wrong already when the step changes it alone; undefined where its layers cannot be told apart. */
export async function blameLayer(
  outcome: Outcome,
  before: Situation,
  isWrong: Check,
  options: PlanningOptions,
): Promise<string | undefined> {
  try {
    return await firstWrong(outcome, before, isWrong, options);
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    return undefined;
  }
}

async function firstWrong(
  { step, sites }: Outcome,
  before: Situation,
  isWrong: Check,
  options: PlanningOptions,
): Promise<string | undefined> {
  if (sites.length > MAX_TRIED) return undefined;
  const request = { ...before, sites, parameters: step.parameters };
  const evidence = gatherEvidence(request, evidenceOptions(options));
  const { variants } = await variantsOf({ pass: step.pass, request, evidence });
  for (const { node, graph } of variants) if (await checkGraphFile(graph, isWrong)) return node;
  return undefined;
}

export function checkGraphFile(graph: Graph, isWrong: Check): Promise<string | undefined> {
  return withScratch((folder) => {
    const file = path.join(folder, 'model.onnx');
    writeModel(graph.model, graph.toRecord(), graph.opsets, file);
    return isWrong(file);
  });
}

// ---- tolerance

export type Tolerance = NonNullable<RecipeContent['tolerance']>;

/** The first output that is further from the original than declared. */
export function beyondTolerance(
  { sqnr, cosine, maxAbs }: Tolerance,
  outputs: Fidelity['outputs'],
): string | undefined {
  for (const output of outputs) {
    const { name } = output;
    if (sqnr !== undefined && output.sqnrDb !== null && output.sqnrDb < sqnr)
      return `output ${name} has an SQNR of ${output.sqnrDb.toFixed(1)} dB, less than ${sqnr} dB`;
    if (cosine !== undefined && output.cosine !== null && output.cosine < cosine)
      return `output ${name} has a cosine of ${output.cosine.toFixed(4)} to the original, less than ${cosine}`;
    if (maxAbs !== undefined && output.maxAbs !== null && output.maxAbs > maxAbs)
      return `output ${name} differs by up to ${output.maxAbs.toPrecision(4)}, more than ${maxAbs}`;
    if (output.maxAbs === null && output.sqnrDb === null)
      return `output ${name} cannot be compared with the original`;
  }
  return undefined;
}

// ---- kernels

/** The step that made a layer run on integers. */
export function quantisedBy({ outcomes }: Run, original: Graph, layer: string): Blame | undefined {
  const found = outcomes.find(({ situation }) =>
    quantisedLayers(original, situation.graph).includes(layer),
  );
  return found && { step: found.step.index + 1, pass: found.step.pass.id, node: layer };
}

const PRODUCTS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);
/** Kernels that compute such layers in floating point. */
const FLOAT_KERNEL = /(^|\.)(Fused)?(Conv|ConvTranspose|Gemm|MatMul)$/;

/** Layers whose weights and input are quantised now and were not before: they should run on integers. */
export function quantisedLayers(before: Graph, after: Graph): readonly string[] {
  return after.order
    .filter((node) => isQuantised(after, node))
    .filter(({ id }) => {
      const old = before.node(id);
      return !old || !isQuantised(before, old);
    })
    .map(({ id }) => id);
}

const isQuantised = (graph: Graph, { op, inputs }: Node): boolean =>
  PRODUCTS.has(op) &&
  inputs.slice(0, 2).every((input) => graph.producer(input)?.op === 'DequantizeLinear');

/** Of layers that should run on integers, those that ONNX Runtime computes in floating point all the same. */
export function unfusedLayers(
  layers: readonly string[],
  executed: ReadonlyMap<string, string>,
): { node: string; kernel: string }[] {
  return layers.flatMap((node) => {
    const kernel = executed.get(node);
    return kernel !== undefined && FLOAT_KERNEL.test(kernel) ? [{ node, kernel }] : [];
  });
}
