/**
 * What every layer of a graph does, whatever it runs on.
 *
 * Parameters are the elements of trained tensors, each counted once, for the first layer in order that reads it. A tensor
 * is trained when it is floating point or quantised and a layer computes with it: with more than one element anywhere, of
 * any size in a slot made for weights (a bias of one channel). Scales, zero points, running statistics of normalisation,
 * thresholds, shapes and indices are not; the first three count among the stored bytes. Tables that a model computes with
 * but never trained (rotary angles, float masks) cannot be told from weights, and count.
 */
import type { Facts, ValueFacts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import type { Links } from '../graph/links';
import type { Tensor } from '../onnx/model';
import { Constants } from './constants';
import { codeType, measureLayer, type Surroundings } from './layer';
import { FREE, type Measure } from './measure';
import type { Workload } from './workload';

/** Nodes go by their place in the order of the graph, values by their number. */
export interface Workloads {
  readonly nodes: readonly Node[];
  readonly links: Links;
  /** What is known of each value. */
  readonly values: readonly ValueFacts[];
  /** The layer of each node. */
  readonly layers: readonly Workload[];
  /** The layer of a node, by its id. */
  of(node: string): Workload;
  /** Whether a value never changes between runs. */
  isConstant(value: number): boolean;
  /** The quantised codes that a DequantizeLinear turns into this activation. */
  codes(value: number): number | undefined;
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
  const { order: nodes, links } = graph;
  const values = links.names.map((name) => facts.value(name));
  const constants = new Constants({
    nodes,
    links,
    values,
    tensor: (name) => graph.initializer(name),
    outer: () => undefined,
  });
  const around: Surroundings = {
    nodes,
    links,
    facts,
    values,
    constants,
    functions: graph.model.functions,
  };
  const taken = new Set<Tensor>();
  const layers = nodes.map((_, at) => attribute(measureLayer(at, around), taken));
  let byId: ReadonlyMap<string, Workload> | undefined;
  return {
    nodes,
    links,
    values,
    layers,
    of(id) {
      byId ??= new Map(nodes.map((node, at) => [node.id, layers[at]!]));
      return byId.get(id) ?? FREE.workload;
    },
    isConstant: (value) => constants.of(value) !== undefined,
    codes(value) {
      if (codeType(value, around) === undefined || constants.of(value)) return undefined;
      return links.reads[links.makers[value]!]![0];
    },
  };
}

/** Leaves out the tensors that an earlier layer has read. */
function attribute({ workload, reads }: Measure, taken: Set<Tensor>): Workload {
  if (reads.length === 0) return workload;
  let parameters = 0;
  let weightBytes = 0;
  for (const { tensor, parameters: own, bytes } of reads) {
    if (taken.has(tensor)) continue;
    taken.add(tensor);
    parameters += own;
    weightBytes += bytes;
  }
  if (parameters === workload.parameters && weightBytes === workload.weightBytes) return workload;
  const known = lightened.get(workload);
  if (known?.parameters === parameters && known.weightBytes === weightBytes) return known;
  const lighter = { ...workload, parameters, weightBytes };
  lightened.set(workload, lighter);
  return lighter;
}

/** Layers less the tensors that others read first: the same object as long as it is so. */
const lightened = new WeakMap<Workload, Workload>();
