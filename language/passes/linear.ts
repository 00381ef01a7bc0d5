/** Products of an activation with a constant matrix, whatever their operator and however the matrix is stored. */
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import { floatAttribute, intAttribute, type Graph, type Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { tensorNumbers } from '../onnx/tensor';
import { isQuantised, weightInputs } from './weights';

export interface Matrix {
  /** K, input channels. */
  readonly rows: number;
  /** N, output channels. */
  readonly columns: number;
  /** Row after row. */
  readonly values: Float32Array;
}

/** A product of an activation with a constant matrix. */
export interface Linear {
  readonly node: string;
  readonly activation: string;
  /** K × N as it multiplies from the right. */
  readonly rows: number;
  readonly columns: number;
  /** The stored matrix is N × K. */
  readonly transposed: boolean;
  readonly type: 'float32' | 'float16';
}

/** The layer at a node, the reason why it is none, or undefined where nobody would expect one. */
export function linearOf(graph: Graph, facts: Facts, node: Node): Linear | string | undefined {
  if ((node.op !== 'MatMul' && node.op !== 'Gemm') || node.domain !== '') return undefined;
  if (node.inputs.some((input) => isQuantised(graph, input))) return 'it is quantised already';
  const [weight] = weightInputs(graph, node);
  if (!weight) return node.op === 'MatMul' ? undefined : 'its weight is not a constant';
  if (weight.index !== 1) return 'its constant is the left operand';
  const { tensor, views } = weight;
  if (tensor.dims.length !== 2) return 'its weight is not a matrix';
  if (views.some((view) => view.op !== 'Transpose' && view.op !== 'Identity'))
    return 'its weight passes through another layout first';
  if (tensor.elementType !== 'float32' && tensor.elementType !== 'float16')
    return `its weights are ${tensor.elementType}`;
  const activation = node.inputs[0]!;
  const { type } = facts.value(activation);
  if (type.kind === 'tensor' && !matches(type.elementType, tensor.elementType))
    return `it computes in ${type.elementType}`;
  if (node.op === 'Gemm') {
    if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1)
      return 'its factors alpha and beta are not 1';
    if (intAttribute(node, 'transA', 0)) return 'its input is transposed';
  }
  const flips = views.filter((view) => view.op === 'Transpose').length;
  const transposed = (flips + intAttribute(node, 'transB', 0)) % 2 === 1;
  const [first, second] = tensor.dims as [number, number];
  const [rows, columns] = transposed ? [second, first] : [first, second];
  return { node: node.id, activation, rows, columns, transposed, type: tensor.elementType };
}

/** The same for what is computed in float32 alone. */
export function floatLinearOf(graph: Graph, facts: Facts, node: Node): Linear | string | undefined {
  const layer = linearOf(graph, facts, node);
  if (typeof layer !== 'object' || layer.type === 'float32') return layer;
  return `it computes in ${layer.type}; only float32 layers are quantised`;
}

const matches = (type: ElementType, weight: ElementType): boolean =>
  type === weight || type === 'unknown';

export const weightOf = (graph: Graph, layer: Linear): Tensor =>
  weightInputs(graph, graph.node(layer.node)!)[0]!.tensor;

/** Input channels first. */
export function matrixOf(tensor: Tensor, { rows, columns, transposed }: Linear): Matrix {
  const stored = tensorNumbers(tensor);
  const values = new Float32Array(rows * columns);
  if (!transposed) values.set(stored);
  else
    for (let column = 0; column < columns; column++)
      for (let row = 0; row < rows; row++)
        values[row * columns + column] = stored[column * rows + row]!;
  for (const value of values)
    if (!Number.isFinite(value))
      throw new WhittleError(`the weight ${tensor.name} holds ${value}`, {
        hint: 'Leave its layer out with `except`',
      });
  return { rows, columns, values };
}

export interface Group {
  readonly value: string;
  readonly layers: readonly Linear[];
}

/** Layers that read the same value, in the order of the graph. */
export function groupsOf(layers: readonly Linear[]): Group[] {
  const groups = new Map<string, Linear[]>();
  for (const layer of layers) {
    const group = groups.get(layer.activation);
    if (group) group.push(layer);
    else groups.set(layer.activation, [layer]);
  }
  return [...groups].map(([value, members]) => ({ value, layers: members }));
}
