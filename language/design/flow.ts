/**
 * What is drawn of a graph, and what flows between it. Three kinds of nodes: layers are drawn; conversions
 * (QuantizeLinear, DequantizeLinear) belong to the layer that they serve, and lines pass through them; plumbing computes
 * from sizes and constants alone (shapes, masks, positions), whatever the exporter wrote it with, and is left out.
 */
import { captures, type Graph, type Node } from '../graph/graph';
import { elementCount } from '../onnx/tensor';

export interface Flow {
  /** In the order of the graph. */
  readonly layers: readonly Node[];
  isLayer(id: string): boolean;
  /** The layer that a conversion belongs to. */
  serves(id: string): string | undefined;
  /** What a layer reads, each value once. */
  sources(layer: string): readonly Source[];
  /** What a graph output gives out. */
  outputSources(output: string): readonly Source[];
}

export interface Source {
  /** A layer, or a graph input. */
  readonly kind: 'layer' | 'input';
  readonly id: string;
  /** The value as its source produces it. */
  readonly value: string;
}

const CONVERSIONS = new Set(['QuantizeLinear', 'DequantizeLinear']);
const SIZES = new Set(['Shape', 'Size']);
/** Results differ from run to run although nothing is fed. */
const RANDOM = new Set(['RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike']);
/** Operators that look a trained table up or multiply by it: layers even where their other input never changes. */
const LOOKUPS = new Set(['Gather', 'GatherElements', 'GatherND', 'MatMul', 'Gemm', 'Conv']);
const SMALLEST_TABLE = 256;

const NONE: readonly Source[] = [];
const original = new WeakMap<Graph, Flow>();

/** The flow of a model as it came. */
export function flowOf(graph: Graph): Flow {
  let flow = original.get(graph);
  if (!flow) original.set(graph, (flow = trace(graph, chooseLayers(graph))));
  return flow;
}

/** The flow of an edited model: nodes of the original keep the part they had there, so that the picture stays still. */
export function editedFlow(graph: Graph, before: Graph): Flow {
  if (graph === before) return flowOf(before);
  const earlier = flowOf(before);
  const chosen = chooseLayers(graph);
  const layers = new Set<string>();
  for (const node of graph.order)
    if (
      (before.node(node.id) ? earlier : { isLayer: (id: string) => chosen.has(id) }).isLayer(
        node.id,
      )
    )
      layers.add(node.id);
  return trace(graph, layers);
}

/** Ids of the nodes that are drawn; all of them where nothing else would be. */
function chooseLayers(graph: Graph): ReadonlySet<string> {
  const fed = fedValues(graph);
  const isConversion = (node: Node) => CONVERSIONS.has(node.op);
  const drawn = graph.order.filter(
    (node) =>
      !isConversion(node) &&
      (node.outputs.some((output) => fed.has(output) || graph.isOutput(output)) ||
        looksUpTable(node, graph)),
  );
  const layers = new Set(drawn.map((node) => node.id));
  const isLayer = (id: string) => layers.has(id);
  for (const node of graph.order)
    if (isConversion(node) && served(node, graph, isLayer) === undefined) layers.add(node.id);
  return layers.size > 0 ? layers : new Set(graph.order.map((node) => node.id));
}

/** Values that depend on the elements of an input, not only on its sizes. */
function fedValues(graph: Graph): ReadonlySet<string> {
  const fed = new Set(graph.inputs.map((input) => input.name));
  for (const node of graph.order) {
    if (SIZES.has(node.op)) continue;
    const reads =
      RANDOM.has(node.op) || [...node.inputs, ...captures(node)].some((v) => fed.has(v));
    if (reads) for (const output of node.outputs) fed.add(output);
  }
  return fed;
}

function looksUpTable(node: Node, graph: Graph): boolean {
  if (!LOOKUPS.has(node.op)) return false;
  return node.inputs.some((input) => {
    const tensor = graph.constant(input);
    if (!tensor?.elementType.includes('float')) return false;
    return tensor.dims.length > 1 && elementCount(tensor.dims) >= SMALLEST_TABLE;
  });
}

/** The layer that a conversion serves: the one it was put in for, else the next one after it, else the one before it. */
function served(
  conversion: Node,
  graph: Graph,
  isLayer: (id: string) => boolean,
): string | undefined {
  if (conversion.inserted && isLayer(conversion.origin)) return conversion.origin;
  const seen = new Set([conversion.id]);
  const queue = [conversion];
  for (const node of queue)
    for (const output of node.outputs)
      for (const reader of graph.consumers(output)) {
        if (isLayer(reader.id)) return reader.id;
        if (!CONVERSIONS.has(reader.op) || seen.has(reader.id)) continue;
        seen.add(reader.id);
        queue.push(reader);
      }
  let before = graph.producer(conversion.inputs[0] ?? '');
  for (let steps = 0; before && CONVERSIONS.has(before.op) && steps < graph.size; steps++)
    before = graph.producer(before.inputs[0] ?? '');
  return before && isLayer(before.id) ? before.id : undefined;
}

function trace(graph: Graph, layers: ReadonlySet<string>): Flow {
  const isLayer = (id: string) => layers.has(id);
  const origins = new Map<string, readonly Source[]>();
  for (const { name } of graph.inputs)
    origins.set(name, [{ kind: 'input', id: name, value: name }]);
  const reads = new Map<string, readonly Source[]>();
  for (const node of graph.order) {
    if (isLayer(node.id)) {
      reads.set(node.id, merged([...node.inputs, ...captures(node)], origins));
      for (const value of node.outputs) origins.set(value, [{ kind: 'layer', id: node.id, value }]);
    } else if (!SIZES.has(node.op)) {
      const inputs = CONVERSIONS.has(node.op) ? node.inputs.slice(0, 1) : node.inputs;
      const passed = merged(inputs, origins);
      if (passed.length > 0) for (const value of node.outputs) origins.set(value, passed);
    }
  }
  return {
    layers: graph.order.filter((node) => isLayer(node.id)),
    isLayer,
    serves: (id) => {
      const node = graph.node(id);
      return node && CONVERSIONS.has(node.op) && !isLayer(id)
        ? served(node, graph, isLayer)
        : undefined;
    },
    sources: (layer) => reads.get(layer) ?? NONE,
    outputSources: (output) => origins.get(output) ?? NONE,
  };
}

/** The sources of several values, each value once. */
function merged(
  values: readonly string[],
  origins: ReadonlyMap<string, readonly Source[]>,
): readonly Source[] {
  const found = values.flatMap((value) => origins.get(value) ?? NONE);
  if (found.length < 2) return found;
  return [...new Map(found.map((source) => [source.value, source])).values()];
}
