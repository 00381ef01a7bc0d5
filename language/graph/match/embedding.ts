/** Finds where a model turns its inputs to tokens: patches, tables of embeddings, positions, class tokens. */
import { intAttribute, intsAttribute, type Node } from '../graph';
import type { Linear, Linears } from './linear';
import type { Norms } from './norm';
import { isPassing, isRearranging, otherInput, type View } from './view';

export interface PatchEmbedding {
  readonly kind: 'convolution' | 'linear';
  readonly node: string;
  readonly input: string;
  /** Height and width of a patch, time before them in video; undefined where a linear layer reads unfolded ones. */
  readonly patch: readonly number[] | undefined;
  readonly width: number | undefined;
  /** The tokens: [batch, tokens, width] in most models. */
  readonly output: string;
  readonly nodes: readonly string[];
}

export interface TokenEmbedding {
  readonly node: string;
  readonly table: string;
  readonly entries: number | undefined;
  readonly width: number | undefined;
  readonly output: string;
}

export interface PositionEmbedding {
  readonly node: string;
  readonly value: string;
  readonly output: string;
}

export interface ClassToken {
  /** The Concat that joins it to the others. */
  readonly node: string;
  readonly value: string;
  readonly tokens: number | undefined;
  /** Tokens before it; undefined where that is not known. */
  readonly at: number | undefined;
  readonly output: string;
}

export interface Embeddings {
  readonly patches: readonly PatchEmbedding[];
  readonly tables: readonly TokenEmbedding[];
  readonly positions: readonly PositionEmbedding[];
  readonly classTokens: readonly ClassToken[];
}

export function findEmbeddings(view: View, linears: Linears, norms: Norms): Embeddings {
  const patches = view.nodes.flatMap(
    (node) => convolution(view, node) ?? unfolded(view, linears.byNode.get(node.id)) ?? [],
  );
  const tables = view.nodes.flatMap((node) => table(view, node) ?? []);
  const starts = [...patches, ...tables].map(({ output }) => output);
  return { patches, tables, ...preparations(view, norms, starts) };
}

/** A convolution that reads every pixel once, and whose result is laid out as tokens. */
function convolution(view: View, node: Node): PatchEmbedding | undefined {
  if (node.op !== 'Conv' && node.op !== 'FusedConv') return undefined;
  const [input = '', weight = ''] = node.inputs;
  const shape = view.shape(weight)?.slice(2);
  const kernel =
    intsAttribute(node, 'kernel_shape') ?? shape?.map((dim) => (typeof dim === 'number' ? dim : 0));
  const strides = intsAttribute(node, 'strides');
  if (!kernel || !strides || view.isStatic(input) || intAttribute(node, 'group', 1) !== 1)
    return undefined;
  const covers = kernel.every((size, i) => size === strides[i]) && kernel.some((size) => size > 1);
  if (!covers || intsAttribute(node, 'pads')?.some((pad) => pad !== 0)) return undefined;
  const width = view.dim(weight, 0);
  const tokens = asTokens(view, node.outputs[0] ?? '', width);
  if (!tokens) return undefined;
  const nodes = [node.id, ...tokens.nodes];
  return {
    kind: 'convolution',
    node: node.id,
    input,
    patch: kernel,
    width,
    output: tokens.output,
    nodes,
  };
}

/** The value in which features have moved from axis 1 to the last. */
function asTokens(
  view: View,
  value: string,
  width: number | undefined,
): { output: string; nodes: string[] } | undefined {
  let at = value;
  let isMoved = false;
  let tokens: { output: string; nodes: string[] } | undefined;
  const nodes: string[] = [];
  for (let reader = onlyOne(view, at); reader; reader = onlyOne(view, at)) {
    if (!isPassing(reader) && !isRearranging(reader)) break;
    nodes.push(reader.id);
    at = reader.outputs[0] ?? '';
    isMoved ||= reader.op === 'Transpose';
    if (isMoved && view.dim(at, -1) === width) tokens = { output: at, nodes: [...nodes] };
  }
  return tokens;
}

function onlyOne(view: View, value: string): Node | undefined {
  const readers = view.readers(value);
  return readers.length === 1 ? readers[0] : undefined;
}

/** A layer that reads patches which were cut out and flattened before: several axes become its features. */
function unfolded(view: View, linear: Linear | undefined): PatchEmbedding | undefined {
  if (!linear || linear.isConvolution || linear.from === undefined) return undefined;
  const flat = view.maker(linear.input);
  const moved = flat?.op === 'Reshape' ? view.maker(flat.inputs[0] ?? '') : undefined;
  const cut = moved?.op === 'Transpose' ? view.maker(moved.inputs[0] ?? '') : undefined;
  if (!flat || !moved || cut?.op !== 'Reshape') return undefined;
  const [input = ''] = cut.inputs;
  const [rank, cutRank] = [view.rank(input), view.rank(cut.outputs[0] ?? '')];
  if (rank === undefined || cutRank === undefined || cutRank < rank + 2) return undefined;
  if (view.dim(moved.outputs[0] ?? '', -1) === linear.from) return undefined;
  const nodes = [cut.id, moved.id, flat.id, ...linear.nodes];
  const { node, to: width, output } = linear;
  return { kind: 'linear', node, input, patch: undefined, width, output, nodes };
}

/** Rows of a table, by index. */
function table(view: View, node: Node): TokenEmbedding | undefined {
  if (
    node.op !== 'Gather' &&
    node.op !== 'EmbedLayerNormalization' &&
    node.op !== 'GatherBlockQuantized'
  )
    return undefined;
  const isFused = node.op === 'EmbedLayerNormalization';
  const [value = '', indices = ''] = isFused ? [node.inputs[2], node.inputs[0]] : node.inputs;
  if (!view.isStatic(value) || view.isStatic(indices) || intAttribute(node, 'axis', 0) !== 0)
    return undefined;
  if (view.rank(value) !== 2) return undefined;
  const [entries, width] = [view.dim(value, 0), view.dim(value, 1)];
  return { node: node.id, table: value, entries, width, output: node.outputs[0] ?? '' };
}

const PREPARING = new Set(['Add', 'Concat', 'Slice', 'Split', 'Mul', 'Expand', 'Tile']);

/** What is done to tokens before the first layer reads them. */
function preparations(
  view: View,
  norms: Norms,
  starts: readonly string[],
): Pick<Embeddings, 'positions' | 'classTokens'> {
  const early = new Set(starts);
  const positions: PositionEmbedding[] = [];
  const classTokens: ClassToken[] = [];
  for (const node of view.nodes) {
    const isNorm = norms.byNode.has(node.id);
    const prepares = PREPARING.has(node.op) || isPassing(node) || isRearranging(node) || isNorm;
    const dynamic = node.inputs.filter((value) => !view.isStatic(value));
    if (!prepares || dynamic.length === 0 || !dynamic.every((value) => early.has(value))) continue;
    for (const output of node.outputs) early.add(output);
    const position = isNorm ? undefined : positionAt(view, node, early);
    const token = classTokenAt(view, node);
    if (position) positions.push(position);
    if (token) classTokens.push(token);
  }
  return { positions, classTokens };
}

/** Something different is added to every token, whatever the input. */
function positionAt(
  view: View,
  node: Node,
  early: ReadonlySet<string>,
): PositionEmbedding | undefined {
  if (node.op !== 'Add') return undefined;
  const tokens = node.inputs.find((value) => early.has(value)) ?? '';
  const value = otherInput(node, tokens);
  const output = node.outputs[0] ?? '';
  if (!view.isStatic(value)) return undefined;
  const shape = view.shape(value);
  const perToken = shape && shape.length >= 2 && shape.at(-2) !== 1 && shape.at(-1) !== 1;
  return perToken && (view.rank(output) ?? 0) >= 3 ? { node: node.id, value, output } : undefined;
}

function classTokenAt(view: View, node: Node): ClassToken | undefined {
  if (node.op !== 'Concat') return undefined;
  const output = node.outputs[0] ?? '';
  const rank = view.rank(output);
  const axis = view.axis(node, 0);
  if (rank === undefined || axis === undefined || axis === 0 || axis === rank - 1) return undefined;
  const index = node.inputs.findIndex((value) => view.isStatic(value));
  const value = node.inputs[index];
  if (value === undefined) return undefined;
  const before = node.inputs.slice(0, index).map((input) => view.dim(input, axis));
  const at = before.reduce<number | undefined>(
    (sum, dim) => (sum === undefined || dim === undefined ? undefined : sum + dim),
    0,
  );
  return { node: node.id, value, tokens: view.dim(value, axis), at, output };
}
