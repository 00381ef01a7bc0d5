/** Finds the layers that make the outputs of a model, and how tokens or pixels are pooled before them. */
import type { Node } from '../graph';
import type { Activations } from './activation';
import type { ConvBlock } from './conv';
import type { Linears } from './linear';
import type { Norms } from './norm';
import type { Residual } from './residual';
import { isPassing, isRearranging, type View } from './view';

export interface Head {
  readonly node: string;
  /** Outputs of the model that it makes. */
  readonly outputs: readonly string[];
  readonly pool: Pool;
}

export type Pool =
  /** One token of each sequence; `index` is its place where that is known. */
  | { readonly kind: 'token'; readonly node: string; readonly index: number | undefined }
  | { readonly kind: 'mean' | 'max'; readonly node: string }
  /** Every token or pixel has its own result. */
  | { readonly kind: 'none' };

const BEHIND = new Set([
  ...['Softmax', 'LogSoftmax', 'ArgMax', 'Concat', 'Split', 'Slice', 'Resize', 'Upsample', 'Exp'],
  ...['DepthToSpace', 'Mul', 'Div', 'Add', 'Sub', 'Clip', 'Sigmoid', 'Tanh', 'Gather', 'ReduceMax'],
]);
const POOLS: Readonly<Record<string, 'mean' | 'max'>> = {
  GlobalAveragePool: 'mean',
  AveragePool: 'mean',
  ReduceMean: 'mean',
  QLinearGlobalAveragePool: 'mean',
  GlobalMaxPool: 'max',
  ReduceMax: 'max',
};
/** Nodes between an output and its heads, and between a head and its pool. */
const MOST_BEHIND = 200;
const MOST_BEFORE = 16;

export function findHeads(
  view: View,
  layers: {
    readonly linears: Linears;
    readonly blocks: readonly ConvBlock[];
    readonly norms: Norms;
    readonly activations: Activations;
    readonly residuals: readonly Residual[];
  },
): Head[] {
  const inputs = new Map<string, string>();
  for (const block of layers.blocks) inputs.set(block.node, block.input);
  for (const linear of layers.linears.all) inputs.set(linear.node, linear.input);
  const sums = new Set(layers.residuals.map(({ sum }) => sum));
  const outputs = new Map<string, string[]>();
  for (const { name } of view.graph.outputs) {
    if (view.readers(name).length > 0) continue; // a state that is handed out, used inside as well
    for (const node of layersBehind(view, name, inputs, sums)) {
      const made = outputs.get(node) ?? [];
      outputs.set(node, [...made, name]);
    }
  }
  return [...outputs].map(([node, made]) => ({
    node,
    outputs: made,
    pool: poolBefore(view, layers.norms, layers.activations, inputs.get(node)!),
  }));
}

/** The last layers before an output; a residual stream that is handed out has none. */
function layersBehind(
  view: View,
  output: string,
  layers: ReadonlyMap<string, string>,
  sums: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const stack = [output];
  for (let at = stack.pop(); at !== undefined && seen.size < MOST_BEHIND; at = stack.pop()) {
    const node = view.graph.producer(at);
    if (!node || seen.has(node.id)) continue;
    seen.add(node.id);
    if (layers.has(node.id)) found.add(node.id);
    else if (sums.has(node.id)) continue;
    else if (BEHIND.has(node.op) || isPassing(node) || isRearranging(node))
      stack.push(...node.inputs.filter((value) => !view.isStatic(value)));
  }
  return found;
}

function poolBefore(view: View, norms: Norms, activations: Activations, value: string): Pool {
  let at = value;
  for (let steps = 0; steps < MOST_BEFORE; steps++) {
    at = view.source(at, isRearranging);
    const inner = norms.byOutput.get(at)?.input ?? activations.byOutput.get(at)?.input;
    if (inner !== undefined) {
      at = inner;
      continue;
    }
    const node = view.graph.producer(at);
    if (!node) break;
    const pool = poolAt(view, node);
    if (pool) return pool;
    break;
  }
  return { kind: 'none' };
}

function poolAt(view: View, node: Node): Pool | undefined {
  const kind = POOLS[node.op];
  const [input = '', indices] = node.inputs;
  if (kind) return { kind, node: node.id };
  const [axis, ...more] = node.op === 'Gather' ? [view.axis(node, 0)] : (view.axes(node, 3) ?? []);
  if ((node.op !== 'Gather' && node.op !== 'Slice') || axis === undefined || more.length > 0)
    return undefined;
  const rank = view.rank(input);
  if (axis === 0 || rank === undefined || axis === rank - 1) return undefined;
  if (node.op === 'Slice' && view.dim(node.outputs[0] ?? '', axis) !== 1) return undefined;
  return { kind: 'token', node: node.id, index: view.scalar(indices) };
}
