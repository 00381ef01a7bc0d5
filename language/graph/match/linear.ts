/** Finds layers that multiply activations by a weight, with the bias that may follow, in float and quantised spellings. */
import { intAttribute, intsAttribute, stringAttribute, type Node } from '../graph';
import { isPassing, otherInput, type View } from './view';

export interface Linear {
  readonly node: string;
  /** The activations that it reads, before any quantisation of them. */
  readonly input: string;
  readonly weight: { readonly value: string; readonly input: number };
  readonly bias:
    { readonly node: string; readonly value: string; readonly input: number } | undefined;
  /** The result, with the bias. */
  readonly output: string;
  /** Features read and made; undefined where the weight's shape is not known. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** A convolution with kernel 1: features are on axis 1. */
  readonly isConvolution: boolean;
  /** The product, and what rescales it and adds the bias. */
  readonly nodes: readonly string[];
}

export interface Linears {
  readonly all: readonly Linear[];
  readonly byNode: ReadonlyMap<string, Linear>;
  /** By the product, the result with its bias and everything between. */
  readonly byValue: ReadonlyMap<string, Linear>;
}

/** Inputs by operator: the activations and the weight, and a bias among the inputs. */
const SPELLINGS: Readonly<Record<string, { data: number; weight: number; bias?: number }>> = {
  Gemm: { data: 0, weight: 1, bias: 2 },
  FusedGemm: { data: 0, weight: 1, bias: 2 },
  GemmFloat8: { data: 0, weight: 1, bias: 2 },
  Conv: { data: 0, weight: 1, bias: 2 },
  FusedConv: { data: 0, weight: 1, bias: 2 },
  MatMulNBits: { data: 0, weight: 1, bias: 5 },
  MatMulBnb4: { data: 0, weight: 1 },
  MatMulInteger: { data: 0, weight: 1 },
  ConvInteger: { data: 0, weight: 1 },
  MatMulIntegerToFloat: { data: 0, weight: 1, bias: 6 },
  DynamicQuantizeMatMul: { data: 0, weight: 1, bias: 4 },
  QLinearMatMul: { data: 0, weight: 3 },
  QLinearConv: { data: 0, weight: 3, bias: 8 },
  QGemm: { data: 0, weight: 3, bias: 6 },
};
const EITHER_SIDE = new Set(['MatMul', 'FusedMatMul', 'Einsum']);

export function findLinears(view: View): Linears {
  const all: Linear[] = [];
  const byNode = new Map<string, Linear>();
  const byValue = new Map<string, Linear>();
  for (const node of view.nodes) {
    const linear = linearAt(view, node);
    if (!linear) continue;
    all.push(linear);
    byNode.set(node.id, linear);
    for (const id of linear.nodes)
      for (const output of view.graph.node(id)!.outputs) if (output) byValue.set(output, linear);
  }
  return { all, byNode, byValue };
}

function linearAt(view: View, node: Node): Linear | undefined {
  const spelling = spellingOf(view, node);
  if (!spelling) return undefined;
  const { data, weight } = spelling;
  const value = node.inputs[weight] ?? '';
  const input = node.inputs[data] ?? '';
  if (value === '' || !view.isStatic(value) || view.isStatic(input)) return undefined;
  const sizes = sizesOf(view, node, value, weight);
  if (!sizes) return undefined;
  const bias = spelling.bias !== undefined ? node.inputs[spelling.bias] : undefined;
  const after = afterProduct(view, node, sizes.to, bias !== undefined && bias !== '');
  return {
    node: node.id,
    input: view.source(input),
    weight: { value, input: weight },
    bias: bias ? { node: node.id, value: bias, input: spelling.bias! } : after.bias,
    output: after.output,
    ...sizes,
    isConvolution: node.op.includes('Conv'),
    nodes: [node.id, ...after.nodes],
  };
}

function spellingOf(
  view: View,
  node: Node,
): { data: number; weight: number; bias?: number } | undefined {
  if (!EITHER_SIDE.has(node.op)) return SPELLINGS[node.op];
  if (node.inputs.length !== 2) return undefined;
  const weight = view.isStatic(node.inputs[1]!) ? 1 : 0;
  return { data: 1 - weight, weight };
}

/** Features in and out; undefined if this is no layer of features: a wider kernel, groups, or a vector. */
function sizesOf(
  view: View,
  node: Node,
  value: string,
  weight: number,
): Pick<Linear, 'from' | 'to'> | undefined {
  if (node.op === 'MatMulNBits' || node.op === 'MatMulBnb4')
    return { from: intAttribute(node, 'K'), to: intAttribute(node, 'N') };
  const shape = view.shape(value);
  if (!shape) return { from: undefined, to: undefined };
  const at = (axis: number) => view.dim(value, axis);
  if (node.op.includes('Conv')) {
    const kernel = intsAttribute(node, 'kernel_shape') ?? shape.slice(2);
    const isPointwise = kernel.every((size) => size === 1) && intAttribute(node, 'group', 1) === 1;
    return isPointwise ? { from: at(1), to: at(0) } : undefined;
  }
  if (shape.length < 2) return undefined;
  if (node.op === 'Einsum') return einsumSizes(view, node, value, weight);
  const onLeft = weight === 0;
  const transposed = intAttribute(node, onLeft ? 'transA' : 'transB', 0) === 1;
  const [from, to] = onLeft === transposed ? [at(-2), at(-1)] : [at(-1), at(-2)];
  return from === 1 ? undefined : { from, to };
}

/** Of an equation like `bnd,dh->bnh`: the letters of the weight that are summed and that are kept. */
function einsumSizes(
  view: View,
  node: Node,
  value: string,
  weight: number,
): Pick<Linear, 'from' | 'to'> | undefined {
  const [left = '', result = ''] = stringAttribute(node, 'equation', '')
    .replace(/\s/g, '')
    .split('->');
  const letters = (left.split(',')[weight] ?? '').split('');
  if (letters.length !== view.rank(value)) return undefined;
  const size = (kept: boolean) => {
    const sizes = letters.flatMap((letter, axis) =>
      result.includes(letter) === kept ? [view.dim(value, axis)] : [],
    );
    return sizes.reduce<number | undefined>(
      (a, b) => (a === undefined || b === undefined ? undefined : a * b),
      1,
    );
  };
  return { from: size(false), to: size(true) };
}

/** What belongs to a product after it: rescaling of an integer product, the bias. */
function afterProduct(
  view: View,
  node: Node,
  to: number | undefined,
  hasBias: boolean,
): Pick<Linear, 'bias' | 'output' | 'nodes'> {
  let output = node.outputs[0] ?? '';
  const nodes: string[] = [];
  const pending: string[] = [];
  for (let reader = view.onlyReader(output); reader; reader = view.onlyReader(output)) {
    const other = otherInput(reader, output);
    const isRescaled = reader.op === 'Mul' && view.isScalar(other) && node.op.endsWith('Integer');
    const next = reader.outputs[0] ?? '';
    if (isRescaled) {
      nodes.push(...pending.splice(0), reader.id);
      output = next;
    } else if (isPassing(reader)) {
      pending.push(reader.id);
      if (node.op.endsWith('Integer')) nodes.push(...pending.splice(0));
      output = next;
    } else if (reader.op === 'Add' && !hasBias && isBias(view, other, to)) {
      nodes.push(...pending, reader.id);
      const input = reader.inputs.indexOf(other);
      return { bias: { node: reader.id, value: other, input }, output: next, nodes };
    } else break;
  }
  const last = nodes.at(-1) ?? node.id;
  return { bias: undefined, output: view.graph.node(last)!.outputs[0] ?? '', nodes };
}

/** A vector over the features made, or one number for all of them. */
function isBias(view: View, value: string, to: number | undefined): boolean {
  if (!view.isStatic(value)) return false;
  const wide = view.shape(value)?.filter((dim) => dim !== 1);
  return wide?.length === 1 && (to === undefined || wide[0] === to);
}
