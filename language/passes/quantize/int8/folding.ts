/** Nodes that integer kernels take in: batch normalisation as weights, and clipping at zero as the range of the result. */
import { floatAttribute, intAttribute, type Graph, type Node } from '../../../graph/graph';
import { elementCount, tensorNumbers } from '../../../onnx/tensor';
import type { Normalisation } from '../../layers';

/** Nodes that vanish into the one before them; the result keeps the name of the last. */
export interface Fold {
  readonly nodes: readonly string[];
  readonly result: string;
}

/** The normalisation and clipping activation that directly follow a convolution. */
export function foldable(
  graph: Graph,
  conv: Node,
): { normalisation: Normalisation | undefined; fold: Fold } {
  const output = conv.outputs[0]!;
  const next = onlyReader(graph, output);
  const normalisation =
    next?.op === 'BatchNormalization' ? normalisationOf(graph, next) : undefined;
  const fold = normalisation
    ? foldClipping(graph, next!.outputs[0]!, [next!.id])
    : foldClipping(graph, output, []);
  return { normalisation, fold };
}

/** A Relu or a Clip from zero is what saturation at zero point 0 does anyway. */
export function foldClipping(graph: Graph, value: string, before: readonly string[]): Fold {
  const next = onlyReader(graph, value);
  const clips = next?.op === 'Relu' || (next?.op === 'Clip' && clipFloor(graph, next) === 0);
  return clips
    ? { nodes: [...before, next.id], result: next.outputs[0]! }
    : { nodes: before, result: value };
}

function clipFloor(graph: Graph, clip: Node): number | undefined {
  if (graph.opset < 11) return floatAttribute(clip, 'min', -Infinity);
  const min = clip.inputs[1] ? graph.constant(clip.inputs[1]) : undefined;
  return min && elementCount(min.dims) === 1 ? tensorNumbers(min)[0] : undefined;
}

function onlyReader(graph: Graph, value: string): Node | undefined {
  const readers = graph.consumers(value);
  return readers.length === 1 && !graph.isOutput(value) ? readers[0] : undefined;
}

function normalisationOf(graph: Graph, node: Node): Normalisation | undefined {
  const [scale, bias, mean, variance] = node.inputs
    .slice(1)
    .map((input) => graph.constant(resolveIdentity(graph, input)));
  if (!scale || !bias || !mean || !variance || intAttribute(node, 'training_mode', 0))
    return undefined;
  return { scale, bias, mean, variance, epsilon: floatAttribute(node, 'epsilon', 1e-5) };
}

/** Exporters share equal constants through Identity nodes. */
function resolveIdentity(graph: Graph, value: string): string {
  const producer = graph.producer(value);
  return producer?.op === 'Identity' ? resolveIdentity(graph, producer.inputs[0]!) : value;
}

export function foldInto(graph: Graph, producer: string, { nodes, result }: Fold): void {
  if (nodes.length === 0) return;
  const constants = nodes.flatMap((id) => graph.node(id)!.inputs.slice(1));
  for (const id of nodes) graph.remove(id);
  graph.renameOutput(producer, graph.node(producer)!.outputs[0]!, result);
  graph.removeUnused(constants);
}
