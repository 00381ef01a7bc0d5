/** Convolutions of every kind: plain, transposed, quantized, deformable. */
import type { Dim, Shape } from '../../../onnx/model';
import type { ElementType } from '../../../onnx/schema';
import type { ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { add, floorDivide, Impossible, isAtLeast, multiply, productOf, subtract } from '../dims';
import { tensorOf } from '../values';
import { requestedShape } from './reshaping';
import { dilated, windowOutputs } from './windows';

interface Layout {
  /** Where input and kernel stand among the inputs. */
  readonly data?: number;
  readonly kernel?: number;
  readonly channelsLast?: boolean;
  /** Whether the kernel's channels may be more than the input's, for alignment. */
  readonly padded?: boolean;
}

/** Y of a convolution: [N, M, …], or [N, …, M]; the kernel is [M, C/group, …] in either layout. */
export function convolve(
  call: Call,
  elementType: ElementType,
  { data = 0, kernel = 1, channelsLast = false, padded = false }: Layout = {},
): ValueFacts {
  const x = call.input(data).shape;
  const w = call.input(kernel).shape;
  if (!x) return tensorOf(elementType, undefined);
  if (x.length < 3) throw new Impossible(`its input has ${x.length} dimensions`);
  if (w && w.length !== x.length)
    throw new Impossible(`a kernel of ${w.length} dimensions meets an input of ${x.length}`);
  const spatial = channelsLast ? x.slice(1, -1) : x.slice(2);
  const window = call.ints('kernel_shape') ?? w?.slice(2) ?? [];
  const outputs = windowOutputs(call, spatial, window);
  const channels = w?.[0] ?? null;
  if (!channelsLast && !padded) checkChannels(call, x[1]!, w?.[1] ?? null);
  return tensorOf(
    elementType,
    channelsLast ? [x[0]!, ...outputs, channels] : [x[0]!, channels, ...outputs],
  );
}

function checkChannels(call: Call, input: Dim, perGroup: Dim): void {
  const group = call.int('group', 1);
  if (typeof input === 'number' && typeof perGroup === 'number' && perGroup * group !== input)
    throw new Impossible(
      `its kernel takes ${perGroup * group} channels and its input has ${input}`,
    );
}

/** Y of a transposed convolution; the kernel is [C, M/group, …]. */
export function convTranspose(call: Call): ValueFacts {
  const x = call.input(0).shape;
  const w = call.input(1).shape;
  if (!x) return call.like(undefined);
  if (x.length < 3) throw new Impossible(`its input has ${x.length} dimensions`);
  const spatial = x.slice(2);
  const channels = multiply(w?.[1] ?? null, call.int('group', 1));
  return call.like([x[0] ?? null, channels, ...transposedOutputs(call, spatial, w)]);
}

function transposedOutputs(call: Call, spatial: Shape, w: Shape | undefined): Shape {
  const given = call.ints('output_shape');
  if (given?.length) return given.slice(-spatial.length);
  const window = call.ints('kernel_shape') ?? w?.slice(2) ?? [];
  const strides = call.ints('strides');
  const dilations = call.ints('dilations');
  const extra = call.ints('output_padding');
  const pads = call.ints('pads');
  const autoPad = call.text('auto_pad', 'NOTSET');
  return spatial.map((size, i) => {
    const stride = strides?.[i] ?? 1;
    const kernel = dilated(window[i] ?? null, dilations?.[i] ?? 1);
    const reach = add(multiply(subtract(size, 1), stride), add(kernel, extra?.[i] ?? 0));
    // Nothing is cropped where the windows leave gaps.
    if (autoPad.startsWith('SAME'))
      return isAtLeast(kernel, stride) === false ? reach : multiply(size, stride);
    const cropped = autoPad === 'VALID' ? 0 : (pads?.[i] ?? 0) + (pads?.[i + spatial.length] ?? 0);
    return subtract(reach, cropped);
  });
}

/** The type of y: that of its zero point, or of the input where it has none. */
export const quantizedType = (call: Call, zeroPoint: number): ElementType =>
  call.has(zeroPoint) ? call.type(zeroPoint) : call.type(0);

export const qLinearConv: Rule = (call) =>
  convolve(call, quantizedType(call, 7), {
    kernel: 3,
    channelsLast: call.int('channels_last', 0) === 1,
  });

/** [N, C·∏block, L] to [N, C, …image]. */
const col2Im: Rule = (call) => {
  const columns = call.input(0).shape;
  const image = requestedShape(call, 1);
  const block = call.known(2)?.elements;
  if (!columns || !image) return call.like(undefined);
  const channels = block ? floorDivide(columns[1] ?? null, productOf(block)) : null;
  return call.like([columns[0] ?? null, channels, ...image]);
};

export const convolution: Rules = {
  Conv: (call) => convolve(call, call.type(0)),
  ConvInteger: (call) => convolve(call, 'int32'),
  ConvTranspose: convTranspose,
  DeformConv: (call) => convolve(call, call.type(0)),
  QLinearConv: qLinearConv,
  Col2Im: col2Im,
};
