/** Follows queries, keys or values of an attention back to the layer that projected them. */
import type { Node } from '../graph';
import type { Linear, Linears } from './linear';
import { isPassing, isRearranging, scaleFactor, type View } from './view';

export interface Branch {
  /** The only layer that it comes from; undefined: none, or several. */
  readonly linear: Linear | undefined;
  /** Features of the part that it takes of what the layer makes; undefined: all, or not known. */
  readonly part: number | undefined;
  /** Multiplications by one number on the way. */
  readonly scales: readonly { readonly node: string; readonly factor: number | undefined }[];
  /** Positions are rotated in. */
  readonly rotary: boolean;
  /** Heads are copied so that several queries read the same. */
  readonly repeated: boolean;
  /** The value of earlier steps that is joined in front. */
  readonly cache: string | undefined;
}

/** Nodes that a branch has at most: a norm of the queries and a rotation, spelled out. */
const MOST = 96;

const ELEMENTWISE = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Pow', 'Sqrt', 'Reciprocal', 'Relu', 'Elu', 'Softplus'],
  ...['ReduceMean', 'ReduceSum', 'ReduceL2', 'LpNormalization', 'Clip', 'Expand', 'Tile', 'Where'],
  ...['LayerNormalization', 'RMSNormalization', 'SimplifiedLayerNormalization', 'ReduceSumSquare'],
  ...['BatchNormalization', 'Pad', 'Shape', 'MaxPool', 'AveragePool', 'Sin', 'Cos'],
]);
const PARTS = new Set(['Split', 'Slice', 'Gather']);
const JOINS = new Set(['Concat', 'ScatterND', 'ScatterElements', 'TensorScatter']);

/** The walk goes on to what `value` was computed of, but not past layers, nor into what rotations are computed of. */
export function branchOf(view: View, linears: Linears, value: string): Branch {
  const seen = new Map<string, Node>();
  const ends = new Set<string>();
  const found = new Map<string, Linear>();
  const scales: Branch['scales'][number][] = [];
  let part: number | undefined;
  let repeated = false;
  const stack = [value];
  for (let at = stack.pop(); at !== undefined && seen.size < MOST; at = stack.pop()) {
    const linear = linears.byValue.get(at);
    if (linear) {
      found.set(linear.node, linear);
      continue;
    }
    const node = view.graph.producer(at);
    if (!node || !isOnBranch(view, node)) {
      ends.add(at);
      continue;
    }
    if (seen.has(node.id)) continue;
    seen.set(node.id, node);
    if (PARTS.has(node.op)) part = partSize(view, node, at) ?? part;
    repeated ||= repeats(view, node);
    const [data = ''] = node.inputs;
    const factor = scaleFactor(view, node);
    if (factor) scales.push({ node: node.id, factor: factor.factor });
    const next = PARTS.has(node.op) || isRearranging(node) ? [data] : node.inputs;
    stack.push(...next.filter((input) => !view.isStatic(input)));
  }
  const joins = [...seen.values()].filter((node) => JOINS.has(node.op));
  const cache = joins
    .flatMap((node) => node.inputs)
    .map((input) => (ends.has(view.source(input, isRearranging)) ? input : undefined))
    .find((input) => input !== undefined);
  const [only] = found.values();
  return {
    linear: found.size === 1 ? only : undefined,
    part,
    scales,
    rotary: [...seen.values()].some((node) => isRotation(view, node, seen)),
    repeated,
    cache,
  };
}

function isOnBranch(view: View, node: Node): boolean {
  if (node.op === 'Sin' || node.op === 'Cos') return false;
  if (node.op === 'Gather') return !view.isStatic(node.inputs[0] ?? '');
  return (
    ELEMENTWISE.has(node.op) ||
    isPassing(node) ||
    isRearranging(node) ||
    PARTS.has(node.op) ||
    JOINS.has(node.op) ||
    node.op === 'RotaryEmbedding' ||
    node.op === 'Concat'
  );
}

/** The size of a part along the axis that it is cut from, where that is the last. */
function partSize(view: View, node: Node, output: string): number | undefined {
  const [data = ''] = node.inputs;
  const [whole, cut] = [view.dim(data, -1), view.dim(output, -1)];
  return whole !== undefined && cut !== undefined && cut < whole && view.rank(data) === 3
    ? cut
    : undefined;
}

/** Whether a node copies along an axis: keys and values of a group for each of its queries. */
function repeats(view: View, node: Node): boolean {
  if (node.op === 'Concat') return new Set(node.inputs).size < node.inputs.length;
  if (node.op !== 'Expand' && node.op !== 'Tile') return false;
  const before = view.shape(node.inputs[0] ?? '');
  const after = view.shape(node.outputs[0] ?? '');
  if (!before || !after) return false;
  const offset = after.length - before.length;
  // The copies of a batch are none of heads.
  return after.some((dim, axis) => axis > 0 && dim !== (before[axis - offset] ?? 1));
}

/** `x·cos + turned(x)·sin`, or the difference of two such products; or the operator for it. */
function isRotation(view: View, node: Node, seen: ReadonlyMap<string, Node>): boolean {
  if (node.op === 'RotaryEmbedding') return true;
  if (node.op !== 'Add' && node.op !== 'Sub') return false;
  return node.inputs.every((input) => {
    const factor = view.maker(input);
    return factor?.op === 'Mul' && seen.has(factor.id) && !scaleFactor(view, factor);
  });
}
