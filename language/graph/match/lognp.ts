/**
 * The signed logarithm around codes, as `quantize.quart` writes it: sign(x)·ln(1 + |x|/α) before QuantizeLinear, and
 * sign(y)·(e^|y| − 1)·α behind DequantizeLinear.
 */
import type { Graph, Node } from '../graph';

export interface Transform {
  /** Nodes between the value and the codes, in no order. */
  readonly nodes: readonly Node[];
  /** The QuantizeLinear or DequantizeLinear. */
  readonly linear: Node;
  /** What goes in: the plain value, or the codes. */
  readonly input: string;
}

/** The constant or other operand of a commutative node, beside `value`'s producer op. */
function operands(graph: Graph, node: Node | undefined, op: string): [Node, string] | undefined {
  if (node?.inputs.length !== 2) return undefined;
  for (const at of [0, 1]) {
    const made = graph.producer(node.inputs[at]!);
    if (made?.op === op) return [made, node.inputs[1 - at]!];
  }
  return undefined;
}

const made = (graph: Graph, value: string | undefined, op: string): Node | undefined => {
  const node = value === undefined ? undefined : graph.producer(value);
  return node?.op === op && node.domain === '' ? node : undefined;
};

/** What a QuantizeLinear rounds, where that is the logarithm of a value. */
export function polishedBefore(graph: Graph, quantise: Node): Transform | undefined {
  const product = made(graph, quantise.inputs[0], 'Mul');
  const signed = operands(graph, product, 'Sign');
  const log = signed && made(graph, signed[1], 'Log');
  const shifted = log && made(graph, log.inputs[0], 'Add');
  const sized = operands(graph, shifted, 'Abs');
  const scaled = sized && made(graph, sized[0].inputs[0], 'Mul');
  if (!product || !signed || !log || !shifted || !sized || !scaled) return undefined;
  const input = signed[0].inputs[0]!;
  if (scaled.inputs[0] !== input || !graph.constant(scaled.inputs[1]!)) return undefined;
  return { nodes: [product, signed[0], log, shifted, sized[0], scaled], linear: quantise, input };
}

/** How a value comes from codes, where it is the power of what they stand for. */
export function unpolishedFrom(graph: Graph, value: string): Transform | undefined {
  const product = made(graph, value, 'Mul');
  if (!product || !graph.constant(product.inputs[1]!)) return undefined;
  const inner = made(graph, product.inputs[0], 'Mul');
  const signed = operands(graph, inner, 'Sign');
  const less = signed && made(graph, signed[1], 'Sub');
  const power = less && made(graph, less.inputs[0], 'Exp');
  const size = power && made(graph, power.inputs[0], 'Abs');
  const linear = size && graph.producer(size.inputs[0]!);
  if (!inner || !signed || !less || !power || !size) return undefined;
  if (linear?.op !== 'DequantizeLinear') return undefined;
  if (signed[0].inputs[0] !== size.inputs[0]) return undefined;
  const nodes = [product, inner, signed[0], less, power, size];
  return { nodes, linear, input: linear.inputs[0]! };
}
