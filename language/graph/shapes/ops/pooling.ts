/** Pools over windows, over everything, and over regions of interest. */
import type { Shape } from '../../../onnx/model';
import type { ElementType } from '../../../onnx/schema';
import type { ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { add, Impossible, multiply, subtract } from '../dims';
import { tensorOf } from '../values';
import { windowOutputs } from './windows';

/** A pool over windows. Some operators have the layout as an attribute, others in their name. */
export function pool(
  call: Call,
  elementType: ElementType,
  channelsLast = call.int('channels_last', 0) === 1,
): ValueFacts {
  const x = call.input(0).shape;
  const kernel = call.ints('kernel_shape');
  if (!kernel) throw new Impossible('it has no kernel_shape');
  if (!x) return tensorOf(elementType, undefined);
  if (x.length !== kernel.length + 2)
    throw new Impossible(`a window of ${kernel.length} axes meets an input of ${x.length}`);
  const spatial = channelsLast ? x.slice(1, -1) : x.slice(2);
  const outputs = windowOutputs(call, spatial, kernel, { ceil: call.int('ceil_mode', 0) === 1 });
  return tensorOf(
    elementType,
    channelsLast ? [x[0]!, ...outputs, x.at(-1)!] : [x[0]!, x[1]!, ...outputs],
  );
}

/** Every spatial axis shrinks to 1. */
export function globalPool(call: Call, elementType: ElementType): ValueFacts {
  const x = call.input(0).shape;
  const channels = x && (call.int('channels_last', 0) === 1 ? x.length - 1 : 1);
  return tensorOf(
    elementType,
    x?.map((dim, axis) => (axis === 0 || axis === channels ? dim : 1)),
  );
}

const maxPool: Rule = (call) => {
  const values = pool(call, call.type(0));
  return [values, tensorOf('int64', values.shape)];
};

const maxUnpool: Rule = (call) => {
  const given = call.known(2)?.elements;
  const x = call.input(0).shape;
  if (given && given.length === x?.length) return call.like(given);
  const kernel = call.ints('kernel_shape');
  if (!x || !kernel || call.has(2)) return call.like(x?.map(() => null));
  const strides = call.ints('strides');
  const pads = call.ints('pads');
  const spatial = x.slice(2).map((size, i) => {
    const pad = (pads?.[i] ?? 0) + (pads?.[i + kernel.length] ?? 0);
    return add(multiply(subtract(size, 1), strides?.[i] ?? 1), kernel[i]! - pad);
  });
  return call.like([x[0] ?? null, x[1] ?? null, ...spatial]);
};

/** [regions, C, …extents] */
const regions = (call: Call, extents: Shape): ValueFacts => {
  call.input(1);
  return call.like([call.dim(1, 0), call.dim(0, 1), ...extents]);
};

export const pooling: Rules = {
  AveragePool: (call) => pool(call, call.type(0)),
  LpPool: (call) => pool(call, call.type(0)),
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: (call) => globalPool(call, call.type(0)),
  GlobalLpPool: (call) => globalPool(call, call.type(0)),
  GlobalMaxPool: (call) => globalPool(call, call.type(0)),
  MaxRoiPool: (call) => regions(call, call.ints('pooled_shape') ?? [null, null]),
  RoiAlign: (call) => regions(call, [call.int('output_height', 1), call.int('output_width', 1)]),
};
