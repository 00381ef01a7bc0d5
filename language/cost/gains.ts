/**
 * Why a change of the model gains nothing on a target: zeros that its kernels multiply all the same, codes that it widens
 * first, channels that its blocks round up again. For people who see a step and no difference.
 */
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { WhittleError } from '../errors';
import type { LayerCost, TargetEstimate } from './cost';
import { isCode } from './measure';
import { patternTitle } from './patterns';
import { atPrecision, type Precision } from './precision';
import type { TargetProfile } from './profile';
import type { Workload } from './workload';
import { workloads } from './workloads';

/** A model and what it takes on a target. */
export interface Costed {
  readonly graph: Graph;
  readonly facts: Facts;
  readonly cost: TargetEstimate;
}

/** One reason, with the layers that it holds for. */
export interface NoGain {
  readonly reason: string;
  /** Ids of nodes. */
  readonly layers: readonly string[];
}

/** A layer gains something from this share of its latency on. */
const GAIN = 0.02;

/** For the layers whose work became smaller while their time did not, the reasons, the most frequent first. */
export function withoutGain(
  before: Costed,
  after: Costed,
  target: TargetProfile,
  { as, only }: { readonly as?: Precision; readonly only?: ReadonlySet<string> } = {},
): NoGain[] {
  const was = new Map(layersOf(before, target, as).map((layer) => [layer.node.id, layer] as const));
  const layers = new Map<string, string[]>();
  for (const now of layersOf(after, target, as)) {
    const node = now.node.id;
    if (only && !only.has(node)) continue;
    const then = was.get(now.node.origin);
    const reason = then && noGainOf({ before: then, after: now, target });
    if (reason === undefined) continue;
    const known = layers.get(reason);
    if (known) known.push(node);
    else layers.set(reason, [node]);
  }
  return [...layers]
    .map(([reason, nodes]) => ({ reason, layers: nodes }))
    .sort((a, b) => b.layers.length - a.layers.length);
}

interface CostedLayer {
  readonly node: Node;
  readonly workload: Workload;
  /** As the model has it, whatever the target makes of it. */
  readonly own: Pick<Workload, 'weightType' | 'inputType'>;
  /** Zeros of weights that are the same tensor as before are nobody's step. */
  readonly weights: readonly unknown[];
  readonly cost: LayerCost;
}

function layersOf(
  { graph, facts, cost }: Costed,
  target: TargetProfile,
  as: Precision | undefined,
): CostedLayer[] {
  const work = workloads(graph, facts);
  const precision = target.runsAt ?? as;
  return graph.order.map((node, at) => {
    const workload = work.layers[at]!;
    return {
      node,
      workload: precision ? atPrecision(workload, precision) : workload,
      own: workload,
      weights: node.inputs.map((name) => graph.constant(name)),
      cost: cost.layers[at]!,
    };
  });
}

interface Comparison {
  readonly before: CostedLayer;
  readonly after: CostedLayer;
  readonly target: TargetProfile;
}

function noGainOf(comparison: Comparison): string | undefined {
  const { before, after } = comparison;
  const [then, now] = [before.cost.latencyMs, after.cost.latencyMs];
  const isWork = (after.workload.macs ?? 0) > 0 && after.cost.assigned === before.cost.assigned;
  if (!isWork || then === null || now === null || now < then * (1 - GAIN)) return undefined;
  return fewerNonzeros(comparison) ?? narrower(comparison) ?? smaller(comparison);
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

// ---- zeros

function fewerNonzeros({ before, after, target }: Comparison): string | undefined {
  if (after.weights.every((tensor, i) => tensor === before.weights[i])) return undefined;
  const zeros = 1 - density(after.workload);
  if (zeros - (1 - density(before.workload)) < 0.01) return undefined;
  const title = structureTitle(after.workload);
  switch (target.kind) {
    case 'mobile':
    case 'host':
      return target.sparseKernels
        ? `${target.id} has no kernel for these zeros (${title}, ${percent(zeros)}) in this kind of layer and precision, or there are too few`
        : `zeros (${title}) are multiplied like any other weight: ${target.id} has no sparse kernels`;
    case 'fpga':
      if (target.design === 'dataflow')
        return `zeros (${title}) are multiplied like any other weight: an engine is as large as its layer; channels that are cut out are not`;
      return `zeros (${title}) are multiplied like any other weight on the overlay; channels that are cut out are not`;
    case 'asic':
      if (target.design === 'blocked')
        return `zeros (${title}) are multiplied like any other weight, and weights count as incompressible`;
      return target.zeroGating
        ? `zeros (${title}) save the energy of a multiplication and not its cycle`
        : `zeros (${title}) are multiplied like any other weight`;
    case 'reram':
      return `crossbars hold zeros (${title}) as they hold weights; only rows and columns without any weight are left out`;
  }
}

function density(workload: Workload): number {
  try {
    return workload.sparsity().density;
  } catch (error) {
    if (error instanceof WhittleError) return 1;
    throw error;
  }
}

function structureTitle(workload: Workload): string {
  try {
    return patternTitle(workload.structure().pattern);
  } catch (error) {
    if (error instanceof WhittleError) return 'unstructured';
    throw error;
  }
}

// ---- precision

function narrower({ before, after, target }: Comparison): string | undefined {
  const [was, is] = [before.own, after.own];
  const isInteger = (type: Workload['inputType']) => type !== undefined && isCode(type);
  const narrowsWeights = isInteger(is.weightType) && !isInteger(was.weightType);
  if (!narrowsWeights) return undefined;
  if (target.runsAt === 'int8') return `${target.id} runs in int8 whatever the model holds`;
  if (!isInteger(is.inputType))
    return `only the weights are narrow: they are widened before they are multiplied, and ${boundBy(after.cost)}`;
  if (target.kind === 'mobile' && !target.precisions.int8)
    return `${target.id} has no rates for int8: it is costed as floating point`;
  return `int8 is no faster here: ${boundBy(after.cost)}`;
}

// ---- size

function smaller({ before, after, target }: Comparison): string | undefined {
  const [was, is] = [before.workload.macs ?? 0, after.workload.macs ?? 0];
  if (is >= was) return undefined;
  const { cost } = after;
  if (cost.bound === 'overhead') return `it is bound by its start, whatever it multiplies`;
  if (target.kind === 'fpga' && target.design === 'dataflow')
    return `other layers of the pipeline take the time; its engine became smaller`;
  if (target.kind === 'fpga')
    return `channels and widths are rounded up to blocks of ${target.overlay.inputChannels} × ${target.overlay.outputChannels} channels and ${target.overlay.pixels} pixels`;
  if (target.kind === 'asic' && target.design === 'blocked')
    return `outputs are made in units of ${target.unit.height}×${target.unit.width}×${target.unit.depth}, from ${target.unit.inputs} inputs at a time, and ${boundBy(cost)}`;
  if (target.kind === 'asic')
    return `sizes are rounded up to folds of ${target.array.rows}×${target.array.columns}`;
  if (target.kind === 'reram')
    return `every output position takes the same reads, however few rows and columns are in use`;
  return `less is multiplied, and ${boundBy(cost)}`;
}

const boundBy = ({ bound }: LayerCost): string =>
  bound === 'compute' ? 'arithmetic is what takes the time' : `${bound} is what takes the time`;
