/** Attention as one operator, and recurrent cells: a few products with arithmetic between them. */
import { intAttribute, intsAttribute } from '../../graph/graph';
import {
  NotKnown,
  type Count,
  type CountedPart,
  type NodeReading,
  type Operator,
} from './operator';

interface Heads {
  readonly batch: number;
  /** Query heads, and the key-value heads that they share. */
  readonly heads: number;
  readonly sharedHeads: number;
  readonly queries: number;
  /** Keys in all, those of a cache included. */
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
}

/** Softmax with its scaling: scale, maximum, subtract, exp, sum, divide. */
const SCORE_OPS = 6;

/** Scores, softmax and weighted values. A causal mask saves nothing here, as in PyTorch's counter. */
function attend(h: Heads): CountedPart[] {
  const stack = h.batch * h.heads;
  const scores = stack * h.queries * h.keys;
  const cached = h.batch * h.sharedHeads * h.keys;
  const nest = { batch: stack, m: h.queries, constant: null };
  return [
    {
      op: 'MatMul',
      kind: 'matmul',
      times: 1,
      macs: scores * h.width,
      ops: 0,
      matmul: { ...nest, n: h.keys, k: h.width },
      reads: stack * h.queries * h.width + cached * h.width,
      writes: 0,
    },
    {
      op: 'Softmax',
      kind: 'softmax',
      times: 1,
      macs: 0,
      ops: scores * SCORE_OPS,
      reads: 0,
      writes: 0,
    },
    {
      op: 'MatMul',
      kind: 'matmul',
      times: 1,
      macs: scores * h.valueWidth,
      ops: 0,
      matmul: { ...nest, n: h.valueWidth, k: h.keys },
      reads: cached * h.valueWidth,
      writes: stack * h.queries * h.valueWidth,
    },
  ];
}

function composed(parts: readonly CountedPart[], more: Omit<Count, 'macs' | 'ops'> = {}): Count {
  const sum = (of: (part: CountedPart) => number) =>
    parts.reduce((total, part) => total + part.times * of(part), 0);
  return { ...more, macs: sum((part) => part.macs), ops: sum((part) => part.ops), parts };
}

/** Attention of the ONNX standard, operator set 23: 3-D or 4-D queries, grouped heads, a cache at inputs 4 and 5. */
function standardAttention(node: NodeReading): Count {
  const query = node.input(0);
  const key = node.input(1);
  const value = node.input(2);
  const split = (shape: readonly number[], attribute: string): readonly number[] => {
    if (shape.length === 4) return shape;
    const heads = intAttribute(node.node, attribute);
    if (shape.length !== 3 || !heads) throw new NotKnown(`its attribute ${attribute} is missing`);
    return [shape[0]!, heads, shape[1]!, shape[2]! / heads];
  };
  const [batch, heads, queries, width] = split(query, 'q_num_heads') as FourSizes;
  const [, sharedHeads, length] = split(key, 'kv_num_heads') as FourSizes;
  const [, , , valueWidth] = split(value, 'kv_num_heads') as FourSizes;
  const keys = length + (node.has(4) ? node.input(4).at(-2)! : 0);
  return composed(attend({ batch, heads, sharedHeads, queries, keys, width, valueWidth }), {
    data: 0,
  });
}

type FourSizes = [number, number, number, number];

/** com.microsoft:Attention and its quantised form: one projection to queries, keys and values, then attention. */
const projectedAttention =
  (past: number) =>
  (node: NodeReading): Count => {
    const [batch = 1, length = 1, inputs = 1] = node.input(0);
    const heads = headsOf(node);
    const outputs = node.input(1)[1] ?? 0;
    const [q = outputs / 3, , v = outputs / 3] = intsAttribute(node.node, 'qkv_hidden_sizes') ?? [];
    const keys = length + (node.has(past) ? node.input(past).at(-2)! : 0);
    const rows = batch * length;
    const projection: CountedPart = {
      op: 'MatMul',
      kind: 'matmul',
      times: 1,
      macs: rows * inputs * outputs,
      ops: rows * outputs,
      matmul: { batch: 1, m: rows, n: outputs, k: inputs, constant: 'b' },
      reads: rows * inputs,
      writes: rows * outputs,
      weights: inputs * outputs,
    };
    const core = attend({
      batch,
      heads,
      sharedHeads: heads,
      queries: length,
      keys,
      width: q / heads,
      valueWidth: v / heads,
    });
    return composed([projection, ...core], { data: 0, weight: 1 });
  };

/** com.microsoft:MultiHeadAttention: separate, packed QKV (5-D query) or packed KV (5-D key) inputs, or a 4-D cache. */
const multiHead =
  (past: number) =>
  (node: NodeReading): Count => {
    const query = node.input(0);
    const heads = headsOf(node);
    const [batch = 1, queries = 1] = query;
    const packed = query.length === 5;
    const width = packed ? query[4]! : query[2]! / heads;
    const key = !packed && node.has(1) ? node.input(1) : query;
    const length = key.length === 4 ? key[2]! : key[1]!;
    const value = node.has(2) ? node.input(2) : undefined;
    const valueWidth =
      value === undefined ? width : value.length === 4 ? value[3]! : value[2]! / heads;
    const keys = length + (node.has(past) ? node.input(past).at(-2)! : 0);
    return composed(
      attend({ batch, heads, sharedHeads: heads, queries, keys, width, valueWidth }),
      { data: 0 },
    );
  };

/** com.microsoft:GroupQueryAttention; without a key the query is packed as Q, K, V. */
function groupQuery(node: NodeReading): Count {
  const heads = headsOf(node);
  const sharedHeads = intAttribute(node.node, 'kv_num_heads', heads);
  const [batch = 1, queries = 1, hidden = 1] = node.input(0);
  const width = hidden / (node.has(1) ? heads : heads + 2 * sharedHeads);
  const total = node.known(6)?.[0];
  const keys = total ?? queries + (node.has(3) ? node.input(3).at(-2)! : 0);
  return composed(attend({ batch, heads, sharedHeads, queries, keys, width, valueWidth: width }), {
    data: 0,
  });
}

function headsOf(node: NodeReading): number {
  const heads = intAttribute(node.node, 'num_heads');
  if (!heads) throw new NotKnown('its attribute num_heads is missing');
  return heads;
}

// ---- recurrent cells

interface Cell {
  readonly gates: number;
  /** Activations and pointwise arithmetic per hidden unit and step, by the standard's equations; a sigmoid is four. */
  readonly ops: number;
  /** Weights lie as inputs × gates instead of gates × inputs. */
  readonly transposed?: boolean;
}

/**
 * A batch runs as many steps as its longest sequence has, shorter ones padded; where the lengths are data, the steps that
 * there is room for.
 */
const recurrent =
  ({ gates, ops, transposed = false }: Cell) =>
  (node: NodeReading): Count => {
    const [first = 1, second = 1, inputs = 1] = node.input(0);
    const batchFirst = intAttribute(node.node, 'layout', 0) === 1;
    const [longest, batch] = batchFirst ? [second, first] : [first, second];
    const steps = Math.min(longest, Math.max(0, ...(node.known(4) ?? [longest])));
    const weight = node.input(1);
    const directions = weight[0] ?? 1;
    const units = (transposed ? weight[2] : weight[1])! / gates;
    const width = gates * units;
    const biases = node.has(3) ? 2 : 0;
    const peepholes = node.has(7) ? 6 : 0;
    const nest = { batch: 1, n: width, constant: 'b' } as const;
    // The products with the inputs do not depend on each other; those with the state follow step by step.
    const onInputs: CountedPart = {
      op: 'MatMul',
      kind: 'matmul',
      times: 1,
      macs: steps * batch * width * inputs,
      ops: 0,
      matmul: { ...nest, m: steps * batch, k: inputs },
      reads: steps * batch * inputs,
      writes: steps * batch * width,
      weights: width * inputs,
    };
    const onState: CountedPart = {
      op: 'MatMul',
      kind: 'matmul',
      times: steps,
      macs: batch * width * units,
      ops: batch * (units * (ops + peepholes) + width * (1 + biases)),
      matmul: { ...nest, m: batch, k: units },
      reads: batch * (units + width),
      writes: batch * units,
      weights: width * units,
    };
    const cells = Array.from({ length: directions }, () => [onInputs, onState]);
    return composed(cells.flat(), { data: 0, weight: 1 });
  };

const CELL_INPUTS = { weights: [1, 2, 3, 7], settings: [4, 5, 6] };

export const ATTENTIONS: Readonly<Record<string, Operator>> = {
  Attention: { kind: 'attention', count: standardAttention },
  'com.microsoft:Attention': {
    kind: 'attention',
    count: projectedAttention(4),
    weights: [1, 2],
    settings: [3],
  },
  'com.microsoft:QAttention': {
    kind: 'attention',
    count: projectedAttention(8),
    weights: [1, 2],
    companions: [4, 7],
    settings: [3, 5, 6],
  },
  'com.microsoft:MultiHeadAttention': {
    kind: 'attention',
    count: multiHead(6),
    weights: [3],
  },
  'com.microsoft:DecoderMaskedMultiHeadAttention': { kind: 'attention', count: multiHead(5) },
  'com.microsoft:GroupQueryAttention': { kind: 'attention', count: groupQuery },
  RNN: { kind: 'recurrent', count: recurrent({ gates: 1, ops: 1 }), ...CELL_INPUTS },
  GRU: { kind: 'recurrent', count: recurrent({ gates: 3, ops: 14 }), ...CELL_INPUTS },
  LSTM: { kind: 'recurrent', count: recurrent({ gates: 4, ops: 18 }), ...CELL_INPUTS },
  'com.microsoft:DynamicQuantizeLSTM': {
    kind: 'recurrent',
    count: recurrent({ gates: 4, ops: 18, transposed: true }),
    ...CELL_INPUTS,
    companions: [8, 9, 10, 11],
    arithmetic: 'uint8',
  },
};
