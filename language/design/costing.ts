/** Costs of situations, kept as long as their facts live: facts are made anew whenever the graph or its shapes change. */
import type { TargetEstimate } from '../cost/cost';
import { estimate } from '../cost/estimate';
import type { TargetProfile } from '../cost/profile';
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
const works = new WeakMap<Facts, Workloads>();

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

export function workOf({ graph, facts }: Situation): Workloads {
  let work = works.get(facts);
  if (!work) {
    work = workloads(graph, facts);
    works.set(facts, work);
  }
  return work;
}

/** One side of the picture: a situation with the numbers of its layers on a target. */
export function sideOf(situation: Situation, target: TargetProfile, resolve: ResolveTarget): Side {
  const { graph, facts } = situation;
  const cost = costOn(situation, target, resolve);
  const work = workOf(situation);
  const position = new Map(graph.order.map((node, i) => [node.id, i]));
  return {
    graph,
    facts,
    costs(id): LayerNumbers | undefined {
      const node = graph.node(id);
      const layer = cost.layers[position.get(id) ?? -1];
      if (!node || !layer) return undefined;
      const { macs, parameters, inputBytes, outputBytes, weightType, inputType, unknown } =
        work.of(id);
      const reason = unknown ?? layer.unknown;
      return {
        macs,
        parameters,
        latencyMs: layer.latencyMs,
        energyMj: layer.energyMj,
        activationBytes:
          inputBytes === null || outputBytes === null ? null : inputBytes + outputBytes,
        estimated: layer.estimated,
        bound: layer.bound,
        weightType,
        inputType,
        density: knownDensity(graph, node),
        ...(reason !== undefined && { unknown: reason }),
      };
    },
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
