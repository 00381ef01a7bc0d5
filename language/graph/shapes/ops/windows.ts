/** The sliding windows that convolutions and pools share. */
import type { Dim } from '../../../onnx/model';
import type { Call } from '../call';
import { add, ceilDivide, floorDivide, Impossible, multiply, subtract } from '../dims';

/** Extents that a window of extent `kernel` leaves of each spatial axis: convolution and pooling arithmetic of ONNX. */
export function windowOutputs(
  call: Call,
  input: readonly Dim[],
  kernel: readonly Dim[],
  { ceil = false } = {},
): Dim[] {
  const strides = call.ints('strides');
  const dilations = call.ints('dilations');
  const pads = call.ints('pads');
  const autoPad = call.text('auto_pad', 'NOTSET');
  return input.map((size, i) => {
    const stride = strides?.[i] ?? 1;
    if (stride < 1) throw new Impossible(`a stride is ${stride}`);
    if (autoPad.startsWith('SAME')) return ceilDivide(size, stride);
    const padBefore = autoPad === 'VALID' ? 0 : (pads?.[i] ?? 0);
    const padAfter = autoPad === 'VALID' ? 0 : (pads?.[i + input.length] ?? 0);
    const window = dilated(kernel[i] ?? null, dilations?.[i] ?? 1);
    const room = subtract(add(size, padBefore + padAfter), window);
    if (typeof room === 'number' && room < 0)
      throw new Impossible(`a window of ${window} does not fit into ${size}`);
    if (!ceil) return add(floorDivide(room, stride), 1);
    return ceilOutput(room, stride, add(size, padBefore));
  });
}

/** With ceil_mode, a last window that would begin in the padding behind the input is left out. */
function ceilOutput(room: Dim, stride: number, startLimit: Dim): Dim {
  const windows = add(ceilDivide(room, stride), 1);
  if (typeof windows !== 'number' || typeof startLimit !== 'number') return windows;
  return (windows - 1) * stride >= startLimit ? windows - 1 : windows;
}

/** Extent of a kernel with its holes. */
export const dilated = (kernel: Dim, dilation: number): Dim =>
  add(multiply(subtract(kernel, 1), dilation), 1);
