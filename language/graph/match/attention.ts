/** Finds attention: softmax(q·kᵀ) · v, with whatever scale, mask or bias stands between. */
import { fixedShape, type Facts } from '../facts';
import { intAttribute, type Graph, type Node } from '../graph';

export interface AttentionCore {
  readonly softmax: Node;
  /** The value of the probabilities as the second product reads it: [batch, heads, queries, keys] in most models. */
  readonly probabilities: string;
  /** q·kᵀ and p·v. */
  readonly scores: Node;
  readonly product: Node;
}

/** Between the two products: nothing that mixes queries. */
const BEFORE_SOFTMAX = new Set([
  'Div',
  'Mul',
  'Add',
  'Sub',
  'Where',
  'Cast',
  'Identity',
  'Clip',
  'Max',
  'Min',
]);
const AFTER_SOFTMAX = new Set(['Identity', 'Cast', 'Dropout', 'Where', 'Mul']);
const FARTHEST = 8;

export function attentionCores(graph: Graph, facts: Facts): AttentionCore[] {
  const cores: AttentionCore[] = [];
  for (const softmax of graph.order) {
    if (softmax.op !== 'Softmax' || !isOverLastAxis(graph, facts, softmax)) continue;
    const scores = productBefore(graph, softmax.inputs[0] ?? '');
    const after = productAfter(graph, softmax.outputs[0] ?? '');
    if (scores && after) cores.push({ softmax, scores, ...after });
  }
  return cores;
}

function isOverLastAxis(graph: Graph, facts: Facts, softmax: Node): boolean {
  const rank = facts.value(softmax.inputs[0] ?? '').shape?.length;
  const axis = intAttribute(softmax, 'axis', graph.opset >= 13 ? -1 : 1);
  return axis === -1 || axis === (rank ?? NaN) - 1;
}

/** The product of two activations that the softmax normalises. */
function productBefore(graph: Graph, value: string, steps = 0): Node | undefined {
  const producer = graph.producer(value);
  if (!producer || steps > FARTHEST) return undefined;
  if (isProduct(graph, producer)) return producer;
  if (!BEFORE_SOFTMAX.has(producer.op)) return undefined;
  for (const input of producer.inputs) {
    const found = productBefore(graph, input, steps + 1);
    if (found) return found;
  }
  return undefined;
}

function productAfter(
  graph: Graph,
  value: string,
  steps = 0,
): Pick<AttentionCore, 'probabilities' | 'product'> | undefined {
  if (steps > FARTHEST) return undefined;
  for (const reader of graph.consumers(value)) {
    if (isProduct(graph, reader) && reader.inputs[0] === value)
      return { probabilities: value, product: reader };
    if (!AFTER_SOFTMAX.has(reader.op)) continue;
    const found = productAfter(graph, reader.outputs[0] ?? '', steps + 1);
    if (found) return found;
  }
  return undefined;
}

const isProduct = (graph: Graph, node: Node): boolean =>
  (node.op === 'MatMul' || node.op === 'FusedMatMul') &&
  node.inputs.every((input) => !graph.constant(input));

/** What may stand between the attention product and the residual sum. */
const ON_BRANCH = new Set([
  'Transpose',
  'Reshape',
  'MatMul',
  'Gemm',
  'Add',
  'Mul',
  'Cast',
  'Identity',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
]);
const LONGEST_BRANCH = 24;

export interface ResidualSum {
  readonly sum: Node;
  /** The stream before the attention, and with its result added. */
  readonly before: string;
  readonly after: string;
}

/** The sum that adds the attention's result to the residual stream; undefined where there is none. */
export function residualAfter(graph: Graph, facts: Facts, product: Node): ResidualSum | undefined {
  let value = product.outputs[0] ?? '';
  for (let steps = 0; steps < LONGEST_BRANCH; steps++) {
    const readers = graph.consumers(value).filter((reader) => reader.op !== 'Shape');
    const [reader] = readers;
    if (readers.length !== 1 || !reader || !ON_BRANCH.has(reader.op)) return undefined;
    const other = reader.inputs.find((input) => input !== value && !graph.constant(input));
    const output = reader.outputs[0] ?? '';
    if (reader.op === 'Add' && other !== undefined && sameShape(facts, other, output))
      return { sum: reader, before: other, after: output };
    value = output;
  }
  return undefined;
}

function sameShape(facts: Facts, a: string, b: string): boolean {
  const [left, right] = [a, b].map((value) => fixedShape(facts.value(value).shape));
  return left !== undefined && left.join() === right?.join();
}
