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
import { Constants, type Scope } from './constants';
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
  /** The nodes that a step assigned to a target. */
  readonly assigned: readonly number[];
  /** The layer of a node, by its id. */
  of(node: string): Workload;
  /** Whether a value never changes between runs. */
  isConstant(value: number): boolean;
  /** The quantised codes that a DequantizeLinear turns into this activation. */
  codes(value: number): number | undefined;
}

interface Found extends Workloads {
  readonly around: Surroundings;
  /** By value: the initializer of its name, where no node makes it. */
  readonly tensors: readonly (Tensor | undefined)[];
  readonly measures: readonly Measure[];
}

const ofFacts = new WeakMap<Facts, { graph: Graph; workloads: Found }>();
/** The last that were found of graphs with these links: the next state differs from it in a few layers. */
const latest = new WeakMap<Links, Found>();

/** Kept with the facts, which are of one state of one graph. */
export function workloads(graph: Graph, facts: Facts): Workloads {
  const known = ofFacts.get(facts);
  if (known?.graph === graph) return known.workloads;
  const before = latest.get(graph.links);
  const fresh = before ? foundAgain(graph, facts, before) : foundFirst(graph, facts);
  ofFacts.set(facts, { graph, workloads: fresh });
  latest.set(graph.links, fresh);
  return fresh;
}

function scopeOf(graph: Graph, facts: Facts): Scope {
  const { order: nodes, links } = graph;
  return {
    nodes,
    links,
    values: links.names.map((name) => facts.value(name)),
    tensor: (name) => graph.initializer(name),
    outer: () => undefined,
  };
}

function foundFirst(graph: Graph, facts: Facts): Found {
  const scope = scopeOf(graph, facts);
  const constants = Constants.of(scope);
  const around = { ...scope, facts, constants, functions: graph.model.functions };
  const measures = scope.nodes.map((_, at) => measureLayer(at, around));
  const layers = attributed(measures);
  return found(around, tensorsOf(graph), measures, layers, assignedOf(scope.nodes));
}

/** Measures what is not as it was before, and what reads that. */
function foundAgain(graph: Graph, facts: Facts, before: Found): Found {
  const scope = scopeOf(graph, facts);
  const { nodes, links, values } = scope;
  const changed = new Uint8Array(nodes.length);
  const change = (readers: readonly number[]) => {
    for (const at of readers) changed[at] = 1;
  };
  let areMoved = false;
  for (let at = 0; at < nodes.length; at++)
    if (nodes[at] !== before.nodes[at]) {
      changed[at] = 1;
      areMoved ||= nodes[at]!.assigned !== before.nodes[at]!.assigned;
      for (const value of links.writes[at]!) change(links.readers[value]!);
    }
  const changedValues: number[] = [];
  const tensors = tensorsOf(graph);
  for (let value = 0; value < values.length; value++) {
    if (values[value] === before.values[value] && tensors[value] === before.tensors[value])
      continue;
    changedValues.push(value);
    change(links.readers[value]!);
    const maker = links.makers[value]!;
    if (maker !== -1) changed[maker] = 1;
  }
  // What reads codes looks behind the DequantizeLinear, and integer products at the limits of what they read.
  for (let at = 0; at < nodes.length; at++)
    if (nodes[at]!.op === 'MatMulInteger') changed[at] = 1;
    else if (changed[at] && nodes[at]!.op === 'DequantizeLinear')
      for (const value of links.writes[at]!) change(links.readers[value]!);

  const constants = before.around.constants.next(scope, changedValues, changed);
  const around = { ...scope, facts, constants, functions: graph.model.functions };
  const measures = [...before.measures];
  const layers = [...before.layers];
  let readsAlike = true;
  for (let at = 0; at < nodes.length; at++) {
    if (!changed[at]) continue;
    const was = measures[at]!;
    const is = (measures[at] = measureLayer(at, around));
    layers[at] = is.workload;
    readsAlike &&= before.layers[at] === was.workload && sameReads(was, is);
  }
  return found(
    around,
    tensors,
    measures,
    readsAlike ? layers : attributed(measures),
    areMoved ? assignedOf(nodes) : before.assigned,
  );
}

function assignedOf(nodes: readonly Node[]): number[] {
  const places: number[] = [];
  for (let at = 0; at < nodes.length; at++) if (nodes[at]!.assigned !== undefined) places.push(at);
  return places;
}

function tensorsOf(graph: Graph): (Tensor | undefined)[] {
  const { names, makers } = graph.links;
  return names.map((name, value) => (makers[value] === -1 ? graph.initializer(name) : undefined));
}

/** Whether the same tensors are left for later layers. */
const sameReads = (a: Measure, b: Measure): boolean =>
  a.reads.length === b.reads.length &&
  a.reads.every(({ tensor, parameters, bytes }, i) => {
    const other = b.reads[i]!;
    return tensor === other.tensor && parameters === other.parameters && bytes === other.bytes;
  });

function found(
  around: Surroundings,
  tensors: Found['tensors'],
  measures: readonly Measure[],
  layers: readonly Workload[],
  assigned: readonly number[],
): Found {
  const { nodes, links, values, constants } = around;
  let byId: ReadonlyMap<string, Workload> | undefined;
  return {
    nodes,
    links,
    values,
    layers,
    assigned,
    measures,
    around,
    tensors,
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

/** Every tensor counts for the first layer that reads it. */
function attributed(measures: readonly Measure[]): Workload[] {
  const taken = new Set<Tensor>();
  return measures.map((measure) => attribute(measure, taken));
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
