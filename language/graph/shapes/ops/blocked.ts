/**
 * The domain com.microsoft.nchwc: layers whose channels ONNX Runtime keeps in blocks of a size that depends on the
 * processor. Channel counts are those of the weights, padded to whole blocks.
 */
import type { Call, Rule, Rules } from '../call';
import { multiply } from '../dims';
import { convolve } from './convolution';
import { globalPool, pool } from './pooling';

/** Plain to blocked; with channels_last the input is [N, …, C]. */
const reorderInput: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x || call.int('channels_last', 0) === 0) return call.like(x);
  return call.like([x[0] ?? null, x.at(-1) ?? null, ...x.slice(1, -1)]);
};

/** Blocked to plain, with the channels that an attribute counts. */
const reorderOutput: Rule = (call) => {
  const x = call.input(0).shape;
  const channels = call.int('channels') ?? null;
  if (!x) return call.like(undefined);
  const [batch, spatial] = [x[0] ?? null, x.slice(2)];
  const last = call.int('channels_last', 0) !== 0;
  return call.like(last ? [batch, ...spatial, channels] : [batch, channels, ...spatial]);
};

const upsample: Rule = (call) => {
  const scales = call.ints('scales');
  return call.like(call.input(0).shape?.map((dim, axis) => multiply(dim, scales?.[axis] ?? null)));
};

const globally = (call: Call) => globalPool(call, call.type(0));
const byWindows = (call: Call) => pool(call, call.type(0));

export const blocked: Rules = {
  AveragePool: byWindows,
  Conv: (call) => convolve(call, call.type(0), { padded: true }),
  GlobalAveragePool: globally,
  GlobalMaxPool: globally,
  MaxPool: byWindows,
  ReorderInput: reorderInput,
  ReorderOutput: reorderOutput,
  Upsample: upsample,
};
