/** Attention of the default domain, and what comes with it. */
import type { Dim, Shape } from '../../../onnx/model';
import type { Rule, Rules } from '../call';
import { add, floorDivide, multiply } from '../dims';
import { tensorOf } from '../values';
import { sameAsInput } from './elementwise';

/** Heads apart: [batch, heads, length, width], from that or from [batch, length, heads·width]. */
export function byHead(shape: Shape | undefined, heads: Dim): Shape | undefined {
  if (!shape || shape.length === 4) return shape;
  const [batch, length, hidden] = shape;
  return [batch ?? null, heads, length ?? null, floorDivide(hidden ?? null, heads)];
}

/** Q, K, V, mask, past key and past value to Y, present key and value, and the scores. */
const attention: Rule = (call) => {
  const query = call.input(0).shape;
  const q = byHead(query, call.int('q_num_heads') ?? null);
  const k = byHead(call.input(1).shape, call.int('kv_num_heads') ?? null);
  const v = byHead(call.input(2).shape, call.int('kv_num_heads') ?? null);
  const past = call.has(4) ? call.dim(4, 2) : 0;
  const total = add(past, k?.[2] ?? null);
  const width = v?.[3] ?? null;
  const y =
    query &&
    q &&
    (query.length === 4 ? [q[0]!, q[1]!, q[2]!, width] : [q[0]!, q[2]!, multiply(q[1]!, width)]);
  const present = (shape: Shape | undefined) =>
    shape && [shape[0]!, shape[1]!, add(past, shape[2]!), shape[3]!];
  return [
    call.like(y),
    call.like(present(k), 1),
    call.like(present(v), 2),
    call.like(q && [q[0]!, q[1]!, q[2]!, total]),
  ];
};

/** Q, K, V [B, T, heads·d] to the output and the state [B, heads, d of K, d of V]. */
export const linearAttention: Rule = (call) => {
  const q = call.input(0).shape;
  const heads = call.int('kv_num_heads') ?? null;
  const queryHeads = call.int('q_num_heads') ?? null;
  const keyWidth = floorDivide(call.dim(1, 2), heads);
  const valueWidth = floorDivide(call.dim(2, 2), heads);
  const batch = q?.[0] ?? null;
  return [
    call.like(q && [batch, q[1] ?? null, multiply(mostHeads(queryHeads, heads), valueWidth)]),
    tensorOf(call.has(3) ? call.type(3) : call.type(0), [batch, heads, keyWidth, valueWidth]),
  ];
};

const mostHeads = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number' ? Math.max(a, b) : null;

/** A causal depthwise convolution that carries its last k − 1 positions: [batch, channels, k − 1]. */
export const causalConvWithState: Rule = (call) => {
  const x = call.input(0).shape;
  const width = add(call.dim(1, -1), -1);
  return [call.like(x), call.like(x && [x[0] ?? null, x[1] ?? null, width])];
};

export const attentions: Rules = {
  Attention: attention,
  LinearAttention: linearAttention,
  CausalConvWithState: causalConvWithState,
  RotaryEmbedding: sameAsInput,
};
