/** What the tests of passes have in common: evidence without a runtime, and preview against the written file. */
import path from 'node:path';
import { estimate } from '../../../language/cost/estimate';
import { counts } from '../../../language/cost/counts';
import { workloads } from '../../../language/cost/workloads';
import { WhittleError } from '../../../language/errors';
import { bindShapes } from '../../../language/graph/bindings';
import type { ShapeBindings } from '../../../language/graph/facts';
import { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { readModelFile } from '../../../language/onnx/read';
import { tensorNumbers } from '../../../language/onnx/tensor';
import { writeModel } from '../../../language/onnx/write';
import type { Evidence, Situation } from '../../../language/passes/pass';
import type { Recipe } from '../../../language/recipe/recipe';
import { previewSteps, runSteps, type Run } from '../../../language/recipe/run';
import type { Base, Outcome } from '../../../language/recipe/steps';
import { bundled } from '../cost/subject';

/** One of each kind. */
export const TARGETS = [
  bundled('mobile.pixel3-cpu'),
  bundled('fpga.zcu102-dpu'),
  bundled('asic.systolic-32x32-ws'),
  bundled('reram.isaac'),
];

export const open = (file: string, bindings: ShapeBindings = {}): Base => {
  const graph = Graph.of(readModelFile(file));
  const { inputs } = bindShapes(graph, bindings);
  return { graph, facts: inferShapes(graph, { inputs }), inputs };
};

const unavailable = () => Promise.reject(new WhittleError('not measured in this test'));

/** Weights as they are; every activation between −1 and 2. */
export const EVIDENCE: Evidence = {
  numbers: (tensor) => tensorNumbers(tensor),
  ranges: (values) => Promise.resolve(new Map(values.map((name) => [name, { min: -1, max: 2 }]))),
  moments: () => Promise.resolve(new Map()),
  grams: unavailable,
  activations: unavailable,
  deviations: unavailable,
  latencies: unavailable,
  progress: () => undefined,
  signal: new AbortController().signal,
};

/** Plans and runs steps. */
export const run = (base: Base, steps: Recipe['steps']): Promise<Run> =>
  runSteps(base, steps, ({ step, request }) => step.pass.plan(request, EVIDENCE), EVIDENCE.signal);

/** The preview by decisions as a file of decisions keeps them, or by stand-ins. */
export function preview(
  base: Base,
  steps: Recipe['steps'],
  decisions?: readonly unknown[],
): Outcome {
  const { outcomes, failure } = previewSteps(base, steps, {
    remembered: (_, position) =>
      decisions && {
        decisions: JSON.parse(JSON.stringify(decisions[position] ?? null)) as unknown,
      },
  });
  if (failure) throw failure.error;
  return outcomes.at(-1)!;
}

/** Everything that is said about a model on every target, layer by layer. */
export function costs({ graph, facts }: Situation) {
  const work = workloads(graph, facts);
  return {
    counts: counts(graph, facts),
    macs: graph.order.map(({ id }) => [id, work.of(id).macs] as const),
    targets: TARGETS.map((target) => estimate(graph, facts, target)),
  };
}

/** Writes what a run made, and opens it again at the shapes of the original. */
export function reopened(base: Base, { graph }: Situation, folder: string): Base {
  const file = path.join(folder, 'written.onnx');
  writeModel(graph.model, graph.toRecord(), graph.opsets, file);
  const shapes = [...base.inputs].map(([name, shape]) => [name, shape as number[]] as const);
  return open(file, Object.fromEntries(shapes));
}
