/**
 * Follows one axis of a value (the tokens of a sequence) through everything computed from it, so that the axis can be
 * made shorter: which axes of which values carry it, which constants name its size, and where it ends. Anything that is
 * not understood stops the search with the reason.
 */
import type { Dim, Shape } from '../../onnx/model';
import type { Facts } from '../facts';
import { captures, intAttribute, intsAttribute, type Graph, type Node } from '../graph';

export interface AxisTrack {
  /** Axes that run over the sequence, by value. */
  readonly axes: ReadonlyMap<string, readonly number[]>;
  /** Shape constants that name the size: input `input` of `node`, at position `entry`. */
  readonly sizes: readonly {
    readonly node: string;
    readonly input: number;
    readonly entry: number;
  }[];
  /** Nodes that pick the first element and nothing else: the class token is read here. */
  readonly readouts: readonly string[];
  /** Inputs that have an entry for every element of the axis and are not made from it: masks, positions. */
  readonly sides: readonly Side[];
  /** Values computed from the size of the axis alone. */
  readonly adaptive: ReadonlySet<string>;
}

export interface Side {
  readonly node: string;
  readonly input: number;
  /** Of the input, those that run over the sequence. */
  readonly axes: readonly number[];
}

export type AxisResult =
  | ({ readonly ok: true } & AxisTrack)
  | { readonly ok: false; readonly node: string; readonly reason: string };

/**
 * @param axis the axis of `value` to follow; its size and all shapes after it have to be known, as numbers or symbols
 * @param end where the axis has its old size again: what reads this value is not looked at, and inputs with an entry for
 * every element are listed before it; without it they are refused
 */
export function followAxis(
  graph: Graph,
  facts: Facts,
  value: string,
  axis: number,
  end?: string,
): AxisResult {
  const size = facts.value(value).shape?.[axis];
  if (size === undefined || size === null || (end === undefined && typeof size !== 'number'))
    return {
      ok: false,
      node: graph.producer(value)?.id ?? value,
      reason: 'the number of tokens is not known',
    };
  const follower = new Follower(graph, facts, size, end);
  follower.axes.set(value, [axis]);
  for (const node of graph.order) {
    const reason = follower.visit(node);
    if (reason !== undefined) return { ok: false, node: node.id, reason };
  }
  for (const output of graph.outputs)
    if (follower.reaches(output.name))
      return {
        ok: false,
        node: graph.producer(output.name)?.id ?? output.name,
        reason: `every token reaches the output ${output.name}`,
      };
  const { axes, sizes, readouts, sides, adaptive } = follower;
  return { ok: true, axes, sizes, readouts, sides, adaptive };
}

/** Undefined: the node's outputs are done. A string: why the axis cannot be followed through it. */
type Outcome = string | undefined;

const ELEMENTWISE = new Set([
  ...['Abs', 'Add', 'And', 'BiasGelu', 'Cast', 'Ceil', 'Celu', 'Clip', 'Cos', 'DequantizeLinear'],
  ...['Div', 'Dropout', 'Elu', 'Equal', 'Erf', 'Exp', 'FastGelu', 'Floor', 'Gelu', 'Greater'],
  ...['GreaterOrEqual', 'HardSigmoid', 'HardSwish', 'Identity', 'LeakyRelu', 'Less', 'LessOrEqual'],
  ...['Log', 'Max', 'Mean', 'Min', 'Mish', 'Mul', 'Neg', 'Not', 'Or', 'Pow', 'PRelu', 'QuickGelu'],
  ...[
    'IsNaN',
    'QuantizeLinear',
    'Reciprocal',
    'Relu',
    'Round',
    'Selu',
    'Sigmoid',
    'Sign',
    'Sin',
    'Softplus',
  ],
  ...['Softsign', 'Sqrt', 'Sub', 'Sum', 'Swish', 'Tanh', 'ThresholdedRelu', 'Where', 'Xor'],
]);
/** One row in, one row out, normalised over the last axis (or from `axis` on). */
const ROW_NORMS = new Set([
  'LayerNormalization',
  'RMSNormalization',
  'SimplifiedLayerNormalization',
  'SkipLayerNormalization',
  'SkipSimplifiedLayerNormalization',
]);
const FUSED_ATTENTION = new Set(['MultiHeadAttention', 'Attention']);

class Follower {
  readonly axes = new Map<string, readonly number[]>();
  readonly sizes: { node: string; input: number; entry: number }[] = [];
  readonly readouts: string[] = [];
  readonly sides: Side[] = [];
  /** Values computed from the sequence's shape: they follow its size by themselves. */
  readonly adaptive = new Set<string>();

  constructor(
    private readonly graph: Graph,
    private readonly facts: Facts,
    private readonly size: number | string,
    private readonly end: string | undefined,
  ) {}

  /** Whether an output of the graph has fewer elements where the axis has. */
  reaches(output: string): boolean {
    return this.axes.has(output) || (this.end !== undefined && this.adaptive.has(output));
  }

  visit(node: Node): Outcome {
    const carries = (value: string) => value !== this.end && this.axes.has(value);
    if (captures(node).some(carries)) return `${node.op} reads the tokens inside its body`;
    if (!node.inputs.some(carries)) {
      if (node.inputs.some((input) => this.adaptive.has(input)))
        for (const output of node.outputs) this.adaptive.add(output);
      return undefined;
    }
    if (this.end !== undefined && node.inputs.includes(this.end))
      return 'it reads the end of the stream, and what comes before';
    return this.#carry(node);
  }

  #carry(node: Node): Outcome {
    if (ELEMENTWISE.has(node.op)) return this.#broadcast(node);
    if (ROW_NORMS.has(node.op)) return this.#rowNorm(node);
    if (FUSED_ATTENTION.has(node.op)) return this.#same(node, 0);
    if (node.op.startsWith('Reduce')) return this.#reduce(node);
    switch (node.op) {
      case 'Shape':
      case 'Size':
        for (const output of node.outputs) this.adaptive.add(output);
        return undefined;
      case 'Softmax':
      case 'LogSoftmax':
        return this.#softmax(node);
      case 'MatMul':
        return this.#matmul(node);
      case 'Gemm':
        return this.#gemm(node);
      case 'BatchNormalization':
        return this.#axesOf(node).includes(1)
          ? 'it normalises each token by itself'
          : this.#same(node, 0);
      case 'Transpose':
        return this.#transpose(node);
      case 'Reshape':
      case 'Flatten':
        return this.#reshape(node);
      case 'Expand':
        return this.#expand(node);
      case 'Unsqueeze':
      case 'Squeeze':
        return this.#squeeze(node);
      case 'Gather':
        return this.#gather(node);
      case 'Slice':
        return this.#slice(node);
      case 'Split':
        return this.#split(node);
      case 'Concat':
        return this.#concat(node);
      case 'TopK':
      case 'GatherElements':
        return 'tokens are selected here already';
      case 'Conv':
      case 'AveragePool':
      case 'MaxPool':
        return `${node.op} needs the tokens as a grid`;
      default:
        return `${node.op} is not known to work with fewer tokens`;
    }
  }

  #axesOf(node: Node, input = 0): readonly number[] {
    return this.axes.get(node.inputs[input] ?? '') ?? [];
  }
  #shape(value: string): Shape | undefined {
    const { shape } = this.facts.value(value);
    return shape?.every((dim) => dim !== null) ? shape : undefined;
  }
  #rank(value: string): number {
    return this.facts.value(value).shape?.length ?? 0;
  }
  #set(value: string | undefined, axes: readonly number[]): void {
    if (value && axes.length)
      this.axes.set(
        value,
        [...new Set(axes)].sort((a, b) => a - b),
      );
  }
  /** Every output carries the axes of one input. */
  #same(node: Node, input: number): Outcome {
    for (const output of node.outputs) this.#set(output, this.#axesOf(node, input));
    return undefined;
  }

  #broadcast(node: Node): Outcome {
    const output = node.outputs[0] ?? '';
    const rank = this.#rank(output);
    const axes = new Set<number>();
    for (const [i, input] of node.inputs.entries())
      for (const axis of this.#axesOf(node, i)) axes.add(axis + rank - this.#rank(input));
    for (const [i, input] of node.inputs.entries()) {
      if (!input) continue;
      const missing = this.#missing(node, i, [...axes], rank);
      if (missing.length === 0) continue;
      if (this.end === undefined) return `${input} has an entry for every token`;
      const { shape } = this.facts.value(input);
      if (missing.some((axis) => shape?.[axis] !== this.size))
        return `${input} has another number of entries than there are tokens`;
      this.sides.push({ node: node.id, input: i, axes: missing });
    }
    for (const name of node.outputs) this.#set(name, [...axes]);
    return undefined;
  }

  /** Axes of an input that are broadcast to none and yet do not carry the sequence as the output's do. */
  #missing(node: Node, i: number, axes: readonly number[], rank: number): number[] {
    const input = node.inputs[i]!;
    const own = this.#axesOf(node, i);
    const { shape } = this.facts.value(input);
    return axes
      .map((axis) => axis - (rank - this.#rank(input)))
      .filter((at) => at >= 0 && shape?.[at] !== 1 && !own.includes(at));
  }

  #rowNorm(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const axis = intAttribute(node, 'axis', -1);
    const first = axis < 0 ? axis + rank : axis;
    if (this.#axesOf(node).some((a) => a >= first)) return 'it normalises over the tokens';
    return this.#same(node, 0);
  }

  #reduce(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const given = intsAttribute(node, 'axes') ?? this.#numbers(node.inputs[1]);
    const reduced = (given ?? [...Array(rank).keys()]).map((axis) =>
      axis < 0 ? axis + rank : axis,
    );
    const axes = this.#axesOf(node);
    if (axes.some((axis) => reduced.includes(axis))) return 'it pools over the tokens';
    const kept = intAttribute(node, 'keepdims', 1) === 1;
    const moved = axes.map((axis) => (kept ? axis : axis - reduced.filter((r) => r < axis).length));
    this.#set(node.outputs[0], moved);
    return undefined;
  }

  #softmax(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const axis = intAttribute(node, 'axis', this.graph.opset >= 13 ? -1 : 1);
    const over = axis < 0 ? axis + rank : axis;
    if (this.graph.opset < 13 && over !== rank - 1) return 'it normalises over several axes';
    const axes = this.#axesOf(node);
    if (axes.includes(over) && axes.length === 1) return 'it pools over the tokens';
    return this.#same(node, 0);
  }

  #matmul(node: Node): Outcome {
    const [a = '', b = ''] = node.inputs;
    const [rankA, rankB] = [this.#rank(a), this.#rank(b)];
    const rank = this.#rank(node.outputs[0] ?? '');
    const contractedA = this.#axesOf(node, 0).includes(rankA - 1);
    const contractedB = this.#axesOf(node, 1).includes(Math.max(0, rankB - 2));
    if (rankA < 2 || rankB < 2) return 'a product with a vector';
    if (contractedA !== contractedB) return `${contractedA ? b : a} has an entry for every token`;
    const axes = [
      ...this.#axesOf(node, 0)
        .filter((axis) => axis !== rankA - 1)
        .map((axis) => axis + rank - rankA),
      ...this.#axesOf(node, 1)
        .filter((axis) => axis !== rankB - 2)
        .map((axis) => axis + rank - rankB),
    ];
    this.#set(node.outputs[0], axes);
    return undefined;
  }

  #gemm(node: Node): Outcome {
    const rows = intAttribute(node, 'transA', 0) ? 1 : 0;
    if (
      this.#axesOf(node, 1).length ||
      this.#axesOf(node, 2).length ||
      this.#axesOf(node).includes(1 - rows)
    )
      return 'a product over the tokens';
    const bias = this.#shape(node.inputs[2] ?? '');
    if (bias?.length === 2 && bias[0] !== 1) return 'its bias has an entry for every token';
    this.#set(node.outputs[0], [0]);
    return undefined;
  }

  #transpose(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const order = intsAttribute(node, 'perm') ?? [...Array(rank).keys()].reverse();
    this.#set(
      node.outputs[0],
      this.#axesOf(node).map((axis) => order.indexOf(axis)),
    );
    return undefined;
  }

  #reshape(node: Node): Outcome {
    const output = node.outputs[0] ?? '';
    const [from, to] = [this.#shape(node.inputs[0] ?? ''), this.#shape(output)];
    if (!from || !to) return 'its shape is not known';
    const moved: number[] = [];
    for (const axis of this.#axesOf(node)) {
      const before = extent(from.slice(0, axis));
      const at = to.findIndex((dim, i) => dim === this.size && extent(to.slice(0, i)) === before);
      if (at < 0) return 'it merges or splits the tokens';
      moved.push(at);
      if (this.#numbers(node.inputs[1])?.[at] === this.size)
        this.sizes.push({ node: node.id, input: 1, entry: at });
    }
    this.#set(output, moved);
    return undefined;
  }

  #expand(node: Node): Outcome {
    const output = node.outputs[0] ?? '';
    const offset = this.#rank(output) - this.#rank(node.inputs[0] ?? '');
    const target = this.#numbers(node.inputs[1]);
    const targetOffset = this.#rank(output) - (target?.length ?? 0);
    const moved = this.#axesOf(node).map((axis) => axis + offset);
    for (const axis of moved)
      if (target?.[axis - targetOffset] === this.size)
        this.sizes.push({ node: node.id, input: 1, entry: axis - targetOffset });
    this.#set(output, moved);
    return undefined;
  }

  #squeeze(node: Node): Outcome {
    const grows = node.op === 'Unsqueeze';
    const input = this.facts.value(node.inputs[0] ?? '').shape ?? [];
    const rank = grows ? this.#rank(node.outputs[0] ?? '') : input.length;
    const given = intsAttribute(node, 'axes') ?? this.#numbers(node.inputs[1]);
    const ones = input.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
    const named = (given ?? ones)
      .map((axis) => (axis < 0 ? axis + rank : axis))
      .sort((a, b) => a - b);
    const moved = this.#axesOf(node).map((axis) =>
      grows
        ? named.reduce((at, added) => (added <= at ? at + 1 : at), axis)
        : axis - named.filter((removed) => removed < axis).length,
    );
    this.#set(node.outputs[0], moved);
    return undefined;
  }

  #gather(node: Node): Outcome {
    if (this.#axesOf(node, 1).length) return 'tokens are used as indices';
    const rank = this.#rank(node.inputs[0] ?? '');
    const attribute = intAttribute(node, 'axis', 0);
    const axis = attribute < 0 ? attribute + rank : attribute;
    const axes = this.#axesOf(node);
    if (axes.includes(axis)) {
      const indices = this.#numbers(node.inputs[1]);
      if (indices?.length !== 1) return 'it picks several tokens';
      if (indices[0] !== 0) return `it reads token ${indices[0]}`;
      this.readouts.push(node.id);
      return axes.length === 1 ? undefined : 'it picks one token of a pair';
    }
    const indexRank = this.#rank(node.inputs[1] ?? '');
    this.#set(
      node.outputs[0],
      axes.map((a) => (a > axis ? a + indexRank - 1 : a)),
    );
    return undefined;
  }

  #slice(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const starts = intsAttribute(node, 'starts') ?? this.#numbers(node.inputs[1]);
    const ends = intsAttribute(node, 'ends') ?? this.#numbers(node.inputs[2]);
    const named = intsAttribute(node, 'axes') ?? this.#numbers(node.inputs[3]);
    if (!starts || !ends) return 'it slices where is not known';
    const along = (named ?? [...starts.keys()]).map((axis) => (axis < 0 ? axis + rank : axis));
    for (const axis of this.#axesOf(node)) {
      const at = along.indexOf(axis);
      if (at < 0) continue;
      const [start, end] = [starts[at]!, ends[at]!];
      if (start === 0 && end >= (typeof this.size === 'number' ? this.size : ANY_SIZE)) continue;
      if (start !== 0 || end !== 1) return 'it slices the tokens';
      this.readouts.push(node.id);
      return undefined;
    }
    return this.#same(node, 0);
  }

  #split(node: Node): Outcome {
    const rank = this.#rank(node.inputs[0] ?? '');
    const axis = intAttribute(node, 'axis', 0);
    if (this.#axesOf(node).includes(axis < 0 ? axis + rank : axis)) return 'it splits the tokens';
    return this.#same(node, 0);
  }

  #concat(node: Node): Outcome {
    const rank = this.#rank(node.outputs[0] ?? '');
    const axis = intAttribute(node, 'axis', 0);
    const all = node.inputs.map((_, i) => this.#axesOf(node, i).join());
    if (new Set(all).size > 1) return 'it joins tokens with something else';
    if (this.#axesOf(node).includes(axis < 0 ? axis + rank : axis)) return 'it adds tokens';
    return this.#same(node, 0);
  }

  #numbers(value: string | undefined): number[] | undefined {
    const elements = value ? this.facts.value(value).elements?.elements : undefined;
    return elements?.every((e) => typeof e === 'number') ? [...elements] : undefined;
  }
}

/** As the end of a slice: all there is. */
const ANY_SIZE = 2 ** 31 - 1;

/** How many elements lie within, the same text for the same number. */
function extent(dims: readonly Dim[]): string {
  const numbers = dims.filter((dim) => typeof dim === 'number');
  const symbols = dims.filter((dim) => typeof dim === 'string').sort();
  return [numbers.reduce((a, b) => a * b, 1), ...symbols].join('·');
}
