/**
 * How much of a model's arithmetic is where, for shares and budgets within a pass. What a run costs is for cost models to
 * say; here free sizes count as a nominal length.
 */
import type { Facts, InnerFacts } from '../graph/facts';
import { intAttribute, stringAttribute, type Graph, type Node } from '../graph/graph';
import type { Dim, Shape } from '../onnx/model';

const NOMINAL = 16;

/** Multiply–accumulates of a node that multiplies matrices or convolves; 0 of others. */
export function macsOf(facts: Facts, node: Node): number {
  const shape = (value = '') => facts.value(value).shape;
  switch (node.op) {
    case 'Conv':
    case 'FusedConv':
      return volume(shape(node.outputs[0])) * volume(shape(node.inputs[1])?.slice(1));
    case 'ConvTranspose':
      return volume(shape(node.inputs[0])) * volume(shape(node.inputs[1])?.slice(1));
    case 'Gemm': {
      const depth = shape(node.inputs[0])?.[intAttribute(node, 'transA', 0) ? 0 : 1];
      return volume(shape(node.outputs[0])) * size(depth);
    }
    case 'MatMul':
    case 'FusedMatMul':
      return volume(shape(node.outputs[0])) * size(shape(node.inputs[0])?.at(-1));
    case 'Einsum':
      return einsum(facts, node);
    default:
      return facts.inner(node).reduce((sum, body) => sum + macsInside(body, body.nodes), 0);
  }
}

/** Every combination of the labels that its operands have. */
function einsum(facts: Facts, node: Node): number {
  const [left = ''] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->');
  const sizes = new Map<string, number>();
  left.split(',').forEach((labels, operand) => {
    const shape = facts.value(node.inputs[operand] ?? '').shape ?? [];
    Array.from(labels).forEach((label, axis) => sizes.set(label, size(shape[axis])));
  });
  return [...sizes.values()].reduce((a, b) => a * b, 1);
}

/** The same of some nodes of a body, all its runs together. */
export const macsInside = ({ times, facts }: InnerFacts, nodes: readonly Node[]): number =>
  (times ?? NOMINAL) * macsOfAll(facts, nodes);

const macsOfAll = (facts: Facts, nodes: readonly Node[]): number =>
  nodes.reduce((sum, node) => sum + macsOf(facts, node), 0);

export const totalMacs = (graph: Graph, facts: Facts): number => macsOfAll(facts, graph.order);

const volume = (shape: Shape | undefined): number =>
  (shape ?? []).reduce<number>((product, dim) => product * size(dim), 1);

const size = (dim: Dim | undefined): number => (typeof dim === 'number' ? dim : NOMINAL);
