/** Costs of situations, kept as long as their facts live: facts are made anew whenever the graph or its shapes change. */
import type { LayerCost, TargetEstimate } from '../cost/cost';
import { estimate } from '../cost/estimate';
import type { TargetProfile } from '../cost/profile';
import type { Workload } from '../cost/workload';
import { workloads, type Workloads } from '../cost/workloads';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { isFloat } from '../onnx/schema';
import { elementCount, tensorDensity } from '../onnx/tensor';
import type { Situation } from '../passes/pass';
import type { LayerNumbers } from './costs';
import type { Side } from './looks';

export type ResolveTarget = (id: string) => TargetProfile;

const estimates = new WeakMap<Facts, Map<TargetProfile, TargetEstimate>>();

/** What a situation takes on a target; computed once. */
export function costOn(
  { graph, facts }: Situation,
  target: TargetProfile,
  resolve: ResolveTarget,
): TargetEstimate {
  const known = estimates.get(facts) ?? new Map<TargetProfile, TargetEstimate>();
  estimates.set(facts, known);
  let cost = known.get(target);
  if (!cost) {
    cost = estimate(graph, facts, target, { resolve });
    known.set(target, cost);
  }
  return cost;
}

export const workOf = ({ graph, facts }: Situation): Workloads => workloads(graph, facts);

const sides = new WeakMap<TargetEstimate, Side>();

/** One side of the picture: a situation with the numbers of its layers on a target. */
export function sideOf(situation: Situation, target: TargetProfile, resolve: ResolveTarget): Side {
  const cost = costOn(situation, target, resolve);
  let side = sides.get(cost);
  if (!side) sides.set(cost, (side = newSide(situation, cost)));
  return side;
}

function newSide({ graph, facts }: Situation, { layers }: TargetEstimate): Side {
  const work = workOf({ graph, facts });
  const costs = new Map(
    work.nodes.map((node, i) => [node.id, numbersOf(graph, node, work.layers[i]!, layers[i]!)]),
  );
  return { graph, facts, costs: (id) => costs.get(id) };
}

function numbersOf(graph: Graph, node: Node, workload: Workload, layer: LayerCost): LayerNumbers {
  const { macs, parameters, inputBytes, outputBytes, weightType, inputType, unknown } = workload;
  const reason = unknown ?? layer.unknown;
  return {
    macs,
    parameters,
    latencyMs: layer.latencyMs,
    energyMj: layer.energyMj,
    activationBytes: inputBytes === null || outputBytes === null ? null : inputBytes + outputBytes,
    estimated: layer.estimated,
    bound: layer.bound,
    weightType,
    inputType,
    density: knownDensity(graph, node),
    ...(reason !== undefined && { unknown: reason }),
  };
}

/** Share of non-zero weights, where a pass knows it without reading them. */
function knownDensity(graph: Graph, node: Node): number | undefined {
  for (const input of node.inputs) {
    const tensor = graph.constant(input);
    if (tensor?.density && isFloat(tensor.elementType))
      return tensorDensity(tensor).nonzeros / Math.max(1, elementCount(tensor.dims));
  }
  return undefined;
}
