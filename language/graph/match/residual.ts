/** Finds residual sums, where a branch comes back to what it left, and the streams that they make when strung together. */
import type { Node } from '../graph';
import type { Activations } from './activation';
import type { Norms } from './norm';
import { isPassing, isRearranging, type View } from './view';

export interface Residual {
  readonly sum: string;
  /** `identity`: what is added is what the branch started from; `projected`: both sides compute, as in a downsampling block. */
  readonly kind: 'identity' | 'projected';
  /** The value that the two sides part from. */
  readonly from: string;
  /** The results that are added: the stream, and the branch that computes. */
  readonly stream: string;
  readonly branch: string;
  readonly output: string;
}

export interface Stream {
  readonly residuals: readonly Residual[];
  /** Size of the axis of features; undefined where it is not known. */
  readonly width: number | undefined;
}

/** Nodes looked at on the way back from one sum. */
const MOST = 1500;
/** A sum of what such layers make is one of features; without them it is arithmetic. */
const LAYERS = /Conv|MatMul|Gemm|Einsum|Attention|Scan|Loop|LSTM|GRU|RNN|Pool/;

export function findResiduals(view: View): Residual[] {
  return view.nodes.flatMap((node) => {
    const found = skipSum(view, node) ?? residualAt(view, node);
    return found ? [found] : [];
  });
}

/** The operators that add and normalise at once. */
function skipSum(view: View, node: Node): Residual | undefined {
  if (!node.op.startsWith('Skip') || !node.outputs[3]) return undefined;
  const [stream = '', branch = ''] = node.inputs;
  const output = node.outputs[3];
  const [first, second] =
    view.position(stream) <= view.position(branch) ? [stream, branch] : [branch, stream];
  return { sum: node.id, kind: 'identity', from: first, stream: first, branch: second, output };
}

function residualAt(view: View, sum: Node): Residual | undefined {
  if ((sum.op !== 'Add' && sum.op !== 'Sum') || sum.inputs.length !== 2) return undefined;
  const [a = '', b = ''] = sum.inputs;
  if (view.isStatic(a) || view.isStatic(b) || !sameShape(view, a, b)) return undefined;
  const output = sum.outputs[0] ?? '';
  const fork = forkOf(view, a, b);
  if (!fork?.layers) return undefined;
  const { value } = fork;
  if (value !== a && value !== b)
    return { sum: sum.id, kind: 'projected', from: value, stream: a, branch: b, output };
  const branch = value === a ? b : a;
  return { sum: sum.id, kind: 'identity', from: value, stream: value, branch, output };
}

function sameShape(view: View, a: string, b: string): boolean {
  const [left, right] = [view.shape(a), view.shape(b)];
  if (!left || !right) return false;
  return (
    left.length > 1 &&
    left.length === right.length &&
    left.every((dim, axis) => dim === right[axis] || dim === null || right[axis] === null)
  );
}

/**
 * The latest value that both are computed from. Values are opened from the latest on, so the first one that both sides
 * reach is it; each node between is looked at once.
 */
function forkOf(view: View, a: string, b: string): { value: string; layers: boolean } | undefined {
  const sides = new Map<string, number>([
    [a, 1],
    [b, 2],
  ]);
  if (a === b) return undefined;
  const queue = new LatestFirst(view);
  queue.push(a);
  queue.push(b);
  let layers = false;
  for (let steps = 0; steps < MOST; steps++) {
    const value = queue.pop();
    if (value === undefined) return undefined;
    const side = sides.get(value)!;
    if (side === 3) return { value, layers };
    const node = view.graph.producer(value);
    if (!node) continue;
    layers ||= LAYERS.test(node.op);
    for (const input of node.inputs) {
      if (view.isStatic(input)) continue;
      const seen = sides.get(input);
      if (seen === undefined) queue.push(input);
      sides.set(input, (seen ?? 0) | side);
    }
  }
  return undefined;
}

/** Values in descending topological order: a binary heap. */
class LatestFirst {
  readonly #heap: { value: string; position: number }[] = [];
  constructor(private readonly view: View) {}

  push(value: string): void {
    const heap = this.#heap;
    const entry = { value, position: this.view.position(value) };
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.position >= entry.position) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): string | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top?.value;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.position > heap[child]!.position) child++;
      if (heap[child]!.position <= last.position) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top.value;
  }
}

/** Streams: sums of which each starts from the one before, directly or behind its norm or activation. */
export function streamsOf(
  view: View,
  residuals: readonly Residual[],
  norms: Norms,
  activations: Activations,
): Stream[] {
  const streamOf = new Map<string, Residual[]>();
  const streams: Residual[][] = [];
  const origin = (value: string): string => {
    let at = value;
    for (;;) {
      const source = view.source(at, (node) => isPassing(node) || isRearranging(node));
      if (streamOf.has(source)) return source;
      const inner = norms.byOutput.get(source)?.input ?? activations.byOutput.get(source)?.input;
      if (inner === undefined) return source;
      at = inner;
    }
  };
  for (const residual of residuals) {
    const before = streamOf.get(origin(residual.from));
    const stream = before ?? [];
    if (!before) streams.push(stream);
    stream.push(residual);
    streamOf.set(residual.output, stream);
  }
  return streams.map((stream) => ({ residuals: stream, width: widthOf(view, stream[0]!) }));
}

/** Features are on axis 1 of images and on the last axis of everything else. */
function widthOf(view: View, { output }: Residual): number | undefined {
  return view.dim(output, view.rank(output) === 4 ? 1 : -1);
}
