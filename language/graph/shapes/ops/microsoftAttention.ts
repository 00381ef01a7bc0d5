/** Attention of the domain com.microsoft, in its many packings. */
import type { Dim, Shape } from '../../../onnx/model';
import type { ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { add, floorDivide, multiply } from '../dims';
import { tensorOf } from '../values';
import { causalConvWithState, linearAttention } from './attention';

/** Input, merged weights, bias; past and present are [2, batch, heads, length, width]. */
function mergedAttention(call: Call, pastAt: number, type: number): ValueFacts[] {
  const x = call.input(0).shape;
  const heads = call.int('num_heads') ?? null;
  const sizes = call.ints('qkv_hidden_sizes');
  const merged = call.shape(1)?.[1] ?? call.dim(2, 0);
  const hidden = sizes?.[2] ?? floorDivide(merged, 3);
  const past = call.shape(pastAt);
  const shared = call.int('past_present_share_buffer', 0) === 1;
  const length = shared ? (past?.[3] ?? null) : add(x?.[1] ?? null, past ? past[3]! : 0);
  const output = x?.length === 2 ? [x[0]!, hidden] : x && [x[0] ?? null, x[1] ?? null, hidden];
  const present = [2, x?.[0] ?? null, heads, length, floorDivide(hidden, heads)];
  return [call.like(output, type), call.like(present, type)];
}

/**
 * Queries [batch, length, hidden], or all three packed as [batch, length, heads, 3, width]; keys and values likewise, or
 * packed as [batch, length, heads, 2, width], or by head already: [batch, heads, length, width].
 */
function multiHeadAttention(call: Call, pastKey: number, pastValue: number): ValueFacts[] {
  const query = call.input(0).shape;
  const heads = call.int('num_heads') ?? null;
  const [batch, length] = [query?.[0] ?? null, query?.[1] ?? null];
  const packed = query?.length === 5;
  const queryHidden = packed ? multiply(query[2]!, query[4]!) : (query?.[2] ?? null);
  const keyWidth = floorDivide(queryHidden, heads);
  const valueHidden = packed ? queryHidden : hiddenOf(call.shape(2) ?? call.shape(1), queryHidden);
  const valueWidth = floorDivide(valueHidden, heads);
  const own = packed ? length : keyLength(call.shape(1));
  const total = (past: number) => add(own, call.has(past) ? (call.shape(past)?.[2] ?? null) : 0);
  const output = packed || query?.length === 3 ? [batch, length, valueHidden] : undefined;
  return [
    call.like(output),
    call.like([batch, heads, total(pastKey), keyWidth]),
    call.like([batch, heads, total(pastValue), valueWidth]),
    call.like([batch, heads, length, total(pastKey)]),
  ];
}

function hiddenOf(shape: Shape | undefined, otherwise: Dim): Dim {
  if (!shape) return otherwise;
  if (shape.length === 3) return shape[2]!;
  if (shape.length === 4) return multiply(shape[1]!, shape[3]!);
  return shape.length === 5 ? multiply(shape[2]!, shape[4]!) : null;
}

const keyLength = (key: Shape | undefined): Dim => (key?.length === 4 ? key[2] : key?.[1]) ?? null;

/** Query, key, value, past key and value; without a key all three are packed into the query. */
const groupQueryAttention: Rule = (call) => {
  const query = call.input(0).shape;
  const [heads, keyHeads] = [call.int('num_heads') ?? null, call.int('kv_num_heads') ?? null];
  const packed = !call.has(1);
  const rows = packed ? add(heads, multiply(keyHeads, 2)) : heads;
  const width = floorDivide(query?.[2] ?? null, rows);
  const [batch, length] = [query?.[0] ?? null, query?.[1] ?? null];
  const present = (past: number): ValueFacts => {
    const before = call.shape(past);
    // The cache may be given at its full size and shared; how long it is then, the total length tells at run time.
    const longest = call.first(6);
    const extended = call.has(past) ? cacheLength(before?.[2] ?? null, longest, length) : length;
    return call.has(past) && before
      ? call.like([before[0]!, before[1]!, extended, before[3]!], past)
      : call.like([batch, keyHeads, extended, width]);
  };
  return [
    call.like(query && [batch, length, multiply(heads, width)]),
    present(3),
    present(4),
    call.like([batch, heads, length, null]),
  ];
};

function cacheLength(past: Dim, total: Dim, length: Dim): Dim {
  if (typeof past === 'number' && typeof total === 'number') return Math.max(past, total);
  return add(past, length);
}

/** Tokens of all sequences in one row: [tokens, hidden]. */
const packedAttention: Rule = (call) => {
  const x = call.input(0).shape;
  const sizes = call.ints('qkv_hidden_sizes');
  const hidden = sizes?.[2] ?? floorDivide(call.dim(1, 1), 3);
  return call.like(x && [x[0] ?? null, hidden]);
};

const packedMultiHeadAttention: Rule = (call) => {
  const query = call.input(0).shape;
  const packed = query?.length === 4 ? multiply(query[1]!, query[3]!) : null;
  const hidden = call.shape(2)?.[1] ?? packed;
  return call.like(query && [query[0] ?? null, hidden]);
};

/** Queries, then the cache passed through. */
const pagedAttention: Rule = (call) => [
  call.like(call.input(0).shape),
  call.like(call.shape(3), 3),
  call.like(call.shape(4), 4),
];

const relativePositionBias: Rule = (call) => [
  call.like([1, call.dim(0, 1), call.first(1), call.first(2)]),
];

const gatedRelativePositionBias: Rule = (call) => {
  const query = call.input(0).shape;
  const length = query?.[1] ?? null;
  return call.like([query?.[0] ?? null, call.int('num_heads') ?? null, length, length]);
};

/** [batch, length, hidden] to [tokens, hidden]; how many are no padding, data decides. */
const removePadding: Rule = (call) => {
  const x = call.input(0).shape;
  return [
    call.like([null, x?.[2] ?? null]),
    tensorOf('int32', [x?.[0] ?? null, x?.[1] ?? null]),
    tensorOf('int32', [add(x?.[0] ?? null, 1)]),
    tensorOf('int32', [1]),
  ];
};

const restorePadding: Rule = (call) => {
  const offsets = call.input(1).shape;
  return call.like([offsets?.[0] ?? null, offsets?.[1] ?? null, call.dim(0, 1)]);
};

export const microsoftAttention: Rules = {
  Attention: (call) => mergedAttention(call, 4, 0),
  QAttention: (call) => mergedAttention(call, 8, 3),
  MultiHeadAttention: (call) => multiHeadAttention(call, 6, 7),
  DecoderMaskedMultiHeadAttention: (call) => multiHeadAttention(call, 5, 6),
  GroupQueryAttention: groupQueryAttention,
  SparseAttention: groupQueryAttention,
  PackedAttention: packedAttention,
  PackedMultiHeadAttention: packedMultiHeadAttention,
  PagedAttention: pagedAttention,
  RelativePositionBias: relativePositionBias,
  GatedRelativePositionBias: gatedRelativePositionBias,
  RemovePadding: removePadding,
  RestorePadding: restorePadding,
  LinearAttention: linearAttention,
  CausalConvWithState: causalConvWithState,
};
