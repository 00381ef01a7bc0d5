/** Finds attention: softmax(q·kᵀ) · v, with whatever scale, mask or bias stands between, or one operator for all of it. */
import type { Facts } from '../facts';
import { intAttribute, type Graph, type Node } from '../graph';
import { branchOf, type Branch } from './branch';
import type { Linear, Linears } from './linear';
import { isPassing, isRearranging, otherInput, scaleFactor, View } from './view';

/** The two products and the softmax between them. */
export interface AttentionCore {
  readonly softmax: Node;
  /** The value of the probabilities as the second product reads it: [batch, heads, queries, keys] in most models. */
  readonly probabilities: string;
  /** q·kᵀ and p·v. */
  readonly scores: Node;
  readonly product: Node;
}

export type Attention = FusedAttention | DecomposedAttention;

interface Sizes {
  readonly heads: number | undefined;
  /** Fewer than `heads` where several heads share keys and values. */
  readonly keyHeads: number | undefined;
  readonly headSize: number | undefined;
}

interface Projections {
  readonly q: Linear | undefined;
  readonly k: Linear | undefined;
  readonly v: Linear | undefined;
  readonly output: Linear | undefined;
}

export interface FusedAttention extends Sizes, Projections {
  readonly kind: 'fused';
  readonly node: string;
  /** The packed weight that the operator itself multiplies by. */
  readonly weight: { readonly value: string; readonly input: number } | undefined;
  /** The values that it adds to the scores or masks them with. */
  readonly masks: readonly string[];
}

export interface DecomposedAttention extends Sizes, Projections {
  readonly kind: 'decomposed';
  readonly core: AttentionCore;
  /** q, k and v are parts of what one layer makes. */
  readonly packed: boolean;
  readonly scale: Scale;
  readonly masks: readonly Mask[];
  /** Positions enter as a rotation of queries and keys. */
  readonly rotary: boolean;
  /** Keys come from another value than queries: another sequence, or fewer tokens of the same. */
  readonly cross: boolean;
  /** Keys and values of earlier steps that are joined with the new ones. */
  readonly cache: {
    readonly keys: string | undefined;
    readonly values: string | undefined;
  };
}

export interface Scale {
  /** Where the scores are made smaller; `folded`: in a weight, or nowhere. */
  readonly at: 'scores' | 'query' | 'key' | 'both' | 'folded';
  /** The factor, where it is known. */
  readonly factor: number | undefined;
  readonly nodes: readonly string[];
}

export interface Mask {
  readonly node: string;
  readonly kind: 'added' | 'chosen';
  /** What is added, or the condition that chooses. */
  readonly value: string;
}

const FUSED = new Set([
  'Attention',
  'MultiHeadAttention',
  'GroupQueryAttention',
  'PackedAttention',
  'PackedMultiHeadAttention',
  'DecoderMaskedMultiHeadAttention',
  'DecoderMaskedSelfAttention',
  'SparseAttention',
  'QAttention',
]);

/** Whether a node is all of an attention. */
export const isFusedAttention = ({ op }: Node): boolean => FUSED.has(op);

export function findAttentions(view: View, linears: Linears): Attention[] {
  const decomposed = new Map(
    coresIn(view).map((core) => [core.softmax.id, describeCore(view, linears, core)]),
  );
  return view.nodes.flatMap((node): Attention[] => {
    if (isFusedAttention(node) && !view.isStatic(node.outputs[0] ?? ''))
      return [describeFused(view, linears, node)];
    const core = decomposed.get(node.id);
    return core ? [core] : [];
  });
}

// ---- the core

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
  'Tanh',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'QuantizeLinear',
  'DequantizeLinear',
]);
const AFTER_SOFTMAX = new Set([
  'Identity',
  'Cast',
  'Dropout',
  'Where',
  'Mul',
  'Transpose',
  'QuantizeLinear',
  'DequantizeLinear',
]);
const FARTHEST = 10;

export const attentionCores = (graph: Graph, facts: Facts): AttentionCore[] =>
  coresIn(new View(graph, facts));

function coresIn(view: View): AttentionCore[] {
  const cores: AttentionCore[] = [];
  for (const softmax of view.nodes) {
    if (softmax.op !== 'Softmax' || !isOverLastAxis(view, softmax)) continue;
    const before = pathToProduct(view, softmax.inputs[0] ?? '');
    const after = productAfter(view, softmax.outputs[0] ?? '');
    if (before && after) cores.push({ softmax, scores: before.scores, ...after });
  }
  return cores;
}

function isOverLastAxis(view: View, softmax: Node): boolean {
  const rank = view.rank(softmax.inputs[0] ?? '');
  const axis = intAttribute(softmax, 'axis', view.graph.opset >= 13 ? -1 : 1);
  return axis === -1 || axis === (rank ?? NaN) - 1;
}

interface BeforeSoftmax {
  readonly scores: Node;
  /** Nodes between the product and the softmax, nearest the softmax first, with the value that comes from the product. */
  readonly steps: readonly { readonly node: Node; readonly value: string }[];
}

/** The product of two activations that the softmax normalises. */
function pathToProduct(view: View, value: string, steps = 0): BeforeSoftmax | undefined {
  const producer = view.graph.producer(value);
  if (!producer || steps > FARTHEST) return undefined;
  if (isScores(view, producer)) return { scores: producer, steps: [] };
  if (!BEFORE_SOFTMAX.has(producer.op)) return undefined;
  for (const input of producer.inputs) {
    if (view.isStatic(input)) continue;
    const found = pathToProduct(view, input, steps + 1);
    if (found)
      return { scores: found.scores, steps: [{ node: producer, value: input }, ...found.steps] };
  }
  return undefined;
}

function productAfter(
  view: View,
  value: string,
  steps = 0,
): Pick<AttentionCore, 'probabilities' | 'product'> | undefined {
  if (steps > FARTHEST) return undefined;
  const isTransposed = view.graph.producer(value)?.op === 'Transpose';
  for (const reader of view.graph.consumers(value)) {
    const side = reader.inputs.indexOf(value);
    if (isProduct(reader) && !view.isStatic(otherInput(reader, value)))
      if (side === 0 || isTransposed || reader.op === 'Einsum' || isTurned(reader, side))
        return { probabilities: value, product: reader };
    if (!AFTER_SOFTMAX.has(reader.op)) continue;
    const found = productAfter(view, reader.outputs[0] ?? '', steps + 1);
    if (found) return found;
  }
  return undefined;
}

const isProduct = (node: Node): boolean =>
  node.op === 'MatMul' ||
  node.op === 'FusedMatMul' ||
  (node.op === 'Einsum' && node.inputs.length === 2);

const isTurned = (node: Node, side: number): boolean =>
  intAttribute(node, side === 0 ? 'transA' : 'transB', 0) === 1;

/** A product of two activations, or of queries that were learned, by head, and an activation. */
function isScores(view: View, node: Node): boolean {
  if (!isProduct(node)) return false;
  const [q = '', k = ''] = node.inputs;
  if (view.isStatic(k)) return false;
  return !view.isStatic(q) || (view.rank(q) ?? 0) >= 3;
}

// ---- what is around it

function describeCore(view: View, linears: Linears, core: AttentionCore): DecomposedAttention {
  const path = pathToProduct(view, core.softmax.inputs[0] ?? '')!;
  const follow = (value: string) => branchOf(view, linears, value);
  const q = follow(core.scores.inputs[0] ?? '');
  const k = follow(core.scores.inputs[1] ?? '');
  const values = otherInput(core.product, core.probabilities);
  const v = follow(values);
  const packed = [q, k, v].every(({ linear }) => linear && linear.node === q.linear?.node);
  return {
    kind: 'decomposed',
    core,
    q: q.linear,
    k: k.linear,
    v: v.linear,
    output: outputProjection(view, linears, core.product),
    packed: packed && q.linear !== undefined,
    scale: scaleOf(view, path, q, k),
    masks: masksOf(path),
    rotary: q.rotary || k.rotary,
    cross: comesFromElsewhere(view, q, k),
    cache: { keys: k.cache, values: v.cache },
    ...sizesOf(view, core, q, k, packed),
  };
}

const NO_HEADS = 1;

function sizesOf(view: View, core: AttentionCore, q: Branch, k: Branch, packed: boolean): Sizes {
  const [queries = '', keys = ''] = core.scores.inputs;
  const width = queryWidth(q, k, packed);
  const last = view.dim(queries, -1);
  const rank = view.rank(queries);
  const keyLast = keySize(view, core.scores, keys);
  const headSize = last !== undefined && last === keyLast ? last : (keyLast ?? last);
  const byAxis = rank !== undefined && rank >= 4 ? view.dim(queries, -3) : undefined;
  const byWidth = width && headSize ? Math.max(NO_HEADS, Math.round(width / headSize)) : undefined;
  const heads = byAxis ?? byWidth;
  return { heads, keyHeads: keyHeads(k, heads, headSize, packed), headSize };
}

/** The size that the scores contract over, as the keys have it. */
function keySize(view: View, scores: Node, keys: string): number | undefined {
  if (scores.op === 'Einsum') return undefined;
  return view.dim(keys, intAttribute(scores, 'transB', 0) === 1 ? -1 : -2);
}

/** Features of all queries of a token. */
function queryWidth(q: Branch, k: Branch, packed: boolean): number | undefined {
  if (q.linear?.to === undefined) return undefined;
  if (packed) return q.part ?? q.linear.to / 3;
  return q.linear.node === k.linear?.node ? (q.part ?? q.linear.to / 2) : q.linear.to;
}

function keyHeads(
  k: Branch,
  heads: number | undefined,
  headSize: number | undefined,
  packed: boolean,
): number | undefined {
  if (heads === undefined || headSize === undefined || k.linear?.to === undefined) return heads;
  if (packed) {
    const shared = (k.linear.to / headSize - heads) / 2;
    return k.repeated && Number.isInteger(shared) && shared > 0 ? shared : heads;
  }
  return k.repeated ? Math.max(1, Math.round((k.part ?? k.linear.to) / headSize)) : heads;
}

function scaleOf(view: View, path: BeforeSoftmax, q: Branch, k: Branch): Scale {
  const onScores = path.steps.flatMap(({ node }) => {
    const factor = scaleFactor(view, node);
    return factor ? [{ node: node.id, factor: factor.factor }] : [];
  });
  const all = [onScores, q.scales, k.scales];
  const factors = all.flat().map(({ factor }) => factor);
  const factor = factors.reduce<number | undefined>(
    (a, b) => (a === undefined || b === undefined ? undefined : a * b),
    1,
  );
  const [scores, query, key] = all.map((list) => list.length > 0);
  const at = scores ? 'scores' : query && key ? 'both' : query ? 'query' : key ? 'key' : 'folded';
  return { at, factor, nodes: all.flat().map(({ node }) => node) };
}

function masksOf(path: BeforeSoftmax): Mask[] {
  return path.steps.flatMap(({ node, value }): Mask[] => {
    if (node.op === 'Add' || node.op === 'Sub')
      return [{ node: node.id, kind: 'added', value: otherInput(node, value) }];
    if (node.op === 'Where')
      return [{ node: node.id, kind: 'chosen', value: node.inputs[0] ?? '' }];
    return [];
  });
}

function comesFromElsewhere(view: View, q: Branch, k: Branch): boolean {
  if (!q.linear || !k.linear) return false;
  const origin = (linear: Linear) => view.source(linear.input, isRearranging);
  return origin(q.linear) !== origin(k.linear);
}

/** The layer that mixes what the heads found. */
function outputProjection(view: View, linears: Linears, product: Node): Linear | undefined {
  let value = product.outputs[0] ?? '';
  for (let steps = 0; steps < FARTHEST; steps++) {
    const reader = view.onlyReader(value);
    if (!reader) return undefined;
    const linear = linears.byNode.get(reader.id);
    if (linear) return linear;
    if (!isPassing(reader) && !isRearranging(reader) && !scaleFactor(view, reader))
      return undefined;
    value = reader.outputs[0] ?? '';
  }
  return undefined;
}

// ---- fused

function describeFused(view: View, linears: Linears, node: Node): FusedAttention {
  const { inputs } = node;
  const isPacked =
    node.op === 'Attention' || node.op === 'QAttention' || node.op === 'PackedAttention';
  const ownWeight = isPacked && node.domain !== '' && inputs[1] ? inputs[1] : undefined;
  const heads =
    intAttribute(node, 'num_heads') ?? intAttribute(node, 'q_num_heads') ?? headsByAxis(view, node);
  const keyHeads =
    intAttribute(node, 'kv_num_heads') ??
    (node.domain === '' ? (headsByAxis(view, node, 1) ?? heads) : heads);
  const follow = (input: number) =>
    inputs[input] ? branchOf(view, linears, inputs[input]).linear : undefined;
  const [q, k, v] = ownWeight === undefined ? [follow(0), follow(1), follow(2)] : [];
  const width =
    ownWeight === undefined
      ? (q?.to ?? view.dim(inputs[0] ?? '', -1))
      : view.dim(node.outputs[0] ?? '', -1);
  return {
    kind: 'fused',
    node: node.id,
    weight: ownWeight === undefined ? undefined : { value: ownWeight, input: 1 },
    masks: (MASK_INPUTS[node.domain === '' ? 'ai.onnx' : node.op] ?? []).flatMap((input) =>
      inputs[input] ? [inputs[input]] : [],
    ),
    q,
    k: k ?? q,
    v: v ?? q,
    output: outputProjection(view, linears, node),
    heads,
    keyHeads,
    headSize:
      width && heads ? headSizeOf(width, heads, keyHeads ?? heads, inputs[1] === '') : undefined,
  };
}

/** Keys and values are in the width too where the operator reads them packed with the queries. */
const headSizeOf = (width: number, heads: number, keyHeads: number, packed: boolean): number =>
  width / (packed ? heads + 2 * keyHeads : heads);

const MASK_INPUTS: Readonly<Record<string, readonly number[]>> = {
  'ai.onnx': [3],
  Attention: [3, 5],
  MultiHeadAttention: [4, 5],
  GroupQueryAttention: [10],
  QAttention: [5],
};

/** Queries, keys and values of rank 4 have their heads on axis 1. */
function headsByAxis(view: View, node: Node, input = 0): number | undefined {
  const value = node.inputs[input] ?? '';
  return view.rank(value) === 4 ? view.dim(value, 1) : undefined;
}

// ---- the residual stream around it

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

/** Whether both are known, as numbers or symbols, and alike. */
function sameShape(facts: Facts, a: string, b: string): boolean {
  const [left, right] = [facts.value(a).shape, facts.value(b).shape];
  return (
    left?.every((dim, axis) => dim !== null && dim === right?.[axis]) === true &&
    left.length === right?.length
  );
}
