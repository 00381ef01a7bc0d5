/**
 * Turns operators between DequantizeLinear and QuantizeLinear into the operators that compute on integers, for runtimes
 * that do not fuse: QLinearConv, and ONNX Runtime's QGemm, MatMulIntegerToFloat and QLinearAdd.
 */
import type { Graph, Node } from '../graph/graph';

const MICROSOFT = 'com.microsoft';

/** Operators that compute on codes as they are, at the scale of their input. */
const ON_CODES = new Set([
  ...['MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Identity'],
]);

/** @param nodes those to turn, in order; what cannot be turned stays as it is, with the same result */
export function toIntegerOperators(graph: Graph, nodes: readonly string[]): void {
  for (const id of nodes) {
    const node = graph.node(id);
    if (node) turn(graph, node);
  }
  for (const node of graph.order)
    if (node.op === 'DequantizeLinear' && isUnread(graph, node.outputs[0]!)) graph.remove(node.id);
}

const isUnread = (graph: Graph, value: string): boolean =>
  graph.consumers(value).length === 0 && !graph.isOutput(value);

function turn(graph: Graph, node: Node): void {
  switch (node.op) {
    case 'Conv':
      turnConvolution(graph, node);
      break;
    case 'Gemm':
      turnGemm(graph, node);
      break;
    case 'MatMul':
      turnProduct(graph, node);
      break;
    case 'Add':
      turnSum(graph, node);
      break;
    default:
      if (ON_CODES.has(node.op)) turnView(graph, node);
  }
}

/** Codes, scale and zero point behind a DequantizeLinear. */
type Coded = readonly [string, string, string];

function codesOf(graph: Graph, value: string | undefined): Coded | undefined {
  const producer = value === undefined ? undefined : graph.producer(value);
  if (producer?.op !== 'DequantizeLinear') return undefined;
  const [codes, scale, zeroPoint = ''] = producer.inputs as [string, string, string?];
  return [codes, scale, zeroPoint];
}

/** The QuantizeLinear that is all that reads a node's result. */
function quantiserOf(graph: Graph, node: Node): Node | undefined {
  const output = node.outputs[0] ?? '';
  const [reader, ...others] = graph.consumers(output);
  const alone = others.length === 0 && !graph.isOutput(output);
  return alone && reader?.op === 'QuantizeLinear' ? reader : undefined;
}

function takePlaceOf(
  graph: Graph,
  node: Node,
  quantiser: Node,
  change: { op: string; domain: string; inputs: readonly string[] },
): void {
  graph.remove(quantiser.id);
  graph.replace(node.id, { ...change, outputs: [quantiser.outputs[0]!] });
}

function turnConvolution(graph: Graph, node: Node): void {
  const [input, weight] = node.inputs.map((value) => codesOf(graph, value));
  const quantiser = quantiserOf(graph, node);
  if (!input || !weight || !quantiser) return;
  const bias = codesOf(graph, node.inputs[2]);
  if (node.inputs[2] && !bias) return;
  const [, scale, zeroPoint] = quantiser.inputs as [string, string, string];
  const inputs = [...input, ...weight, scale, zeroPoint, ...(bias ? [bias[0]] : [])];
  takePlaceOf(graph, node, quantiser, { op: 'QLinearConv', domain: '', inputs });
}

function turnGemm(graph: Graph, node: Node): void {
  const [input, weight] = node.inputs.map((value) => codesOf(graph, value));
  const bias = codesOf(graph, node.inputs[2]);
  if (!input || !weight || (node.inputs[2] && !bias)) return;
  const attributes = new Map([...node.attributes].filter(([name]) => name !== 'beta'));
  graph.requireOpset(MICROSOFT, 1);
  const inputs = [...input, ...weight, ...(bias ? [bias[0]] : [])];
  graph.replace(node.id, { op: 'QGemm', domain: MICROSOFT, inputs, attributes });
}

function turnProduct(graph: Graph, node: Node): void {
  const [left, right] = node.inputs.map((value) => codesOf(graph, value));
  if (!left || !right) return;
  graph.requireOpset(MICROSOFT, 1);
  graph.replace(node.id, {
    op: 'MatMulIntegerToFloat',
    domain: MICROSOFT,
    inputs: [left[0], right[0], left[1], right[1], left[2], right[2]],
  });
}

function turnSum(graph: Graph, node: Node): void {
  const [left, right] = node.inputs.map((value) => codesOf(graph, value));
  const quantiser = quantiserOf(graph, node);
  if (!left || !right || !quantiser) return;
  graph.requireOpset(MICROSOFT, 1);
  const [, scale, zeroPoint] = quantiser.inputs as [string, string, string];
  takePlaceOf(graph, node, quantiser, {
    op: 'QLinearAdd',
    domain: MICROSOFT,
    inputs: [...left, ...right, scale, zeroPoint],
  });
}

function turnView(graph: Graph, node: Node): void {
  const input = codesOf(graph, node.inputs[0]);
  const quantiser = quantiserOf(graph, node);
  if (!input || !quantiser) return;
  takePlaceOf(graph, node, quantiser, {
    op: node.op,
    domain: node.domain,
    inputs: [input[0], ...node.inputs.slice(1)],
  });
}
