/**
 * What every layer of a graph does, whatever it runs on.
 *
 * Parameters are the elements of trained tensors, each counted once, for the first layer in order that reads it. A tensor
 * is trained when it is floating point or quantised and a layer computes with it: with more than one element anywhere, of
 * any size in a slot made for weights (a bias of one channel). Scales, zero points, running statistics of normalisation,
 * thresholds, shapes and indices are not; the first three count among the stored bytes. Tables that a model computes with
 * but never trained (rotary angles, float masks) cannot be told from weights, and count.
 */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { Constants } from './constants';
import { measureLayer, quantisedType, type Surroundings } from './layer';
import { FREE, type Measure } from './measure';
import type { Workload } from './workload';

export interface Workloads {
  readonly facts: Facts;
  /** The layer of a node of the graph, by its id. */
  of(node: string): Workload;
  /** Whether a value never changes between runs. */
  isConstant(value: string): boolean;
  /** The quantised codes that a DequantizeLinear turns into this activation. */
  codes(value: string): string | undefined;
}

const ofFacts = new WeakMap<Facts, { graph: Graph; workloads: Workloads }>();

/** Kept with the facts, which are of one state of one graph. */
export function workloads(graph: Graph, facts: Facts): Workloads {
  const known = ofFacts.get(facts);
  if (known?.graph === graph) return known.workloads;
  const fresh = findWorkloads(graph, facts);
  ofFacts.set(facts, { graph, workloads: fresh });
  return fresh;
}

function findWorkloads(graph: Graph, facts: Facts): Workloads {
  const constants = new Constants({
    nodes: graph.order,
    facts,
    tensor: (name) => graph.initializer(name),
    outer: () => undefined,
  });
  const around: Surroundings = {
    facts,
    constants,
    functions: graph.model.functions,
    quantisedType: (value) => quantisedType(graph.producer(value), facts),
  };
  const attributed = new Map<string, Workload>();
  const taken = new Set<Tensor>();
  for (const node of graph.order)
    attributed.set(node.id, attribute(measureLayer(node, around), taken));
  return {
    facts,
    of: (id) => attributed.get(id) ?? FREE.workload,
    isConstant: (value) => constants.of(value) !== undefined,
    codes: (value) => {
      if (around.quantisedType(value) === undefined || constants.of(value)) return undefined;
      return graph.producer(value)?.inputs[0];
    },
  };
}

/** Leaves out the tensors that an earlier layer has read. */
function attribute({ workload, reads }: Measure, taken: Set<Tensor>): Workload {
  let parameters = 0;
  let weightBytes = 0;
  for (const { tensor, parameters: own, bytes } of reads) {
    if (taken.has(tensor)) continue;
    taken.add(tensor);
    parameters += own;
    weightBytes += bytes;
  }
  if (parameters === workload.parameters && weightBytes === workload.weightBytes) return workload;
  return { ...workload, parameters, weightBytes };
}
