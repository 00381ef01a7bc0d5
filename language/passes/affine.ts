/** Affine quantisation: real = scale · (code − zeroPoint). */
import type { Numbers } from '../onnx/tensor';
import type { Range } from './pass';

export interface Affine {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** `symmetric`: zero lies in the middle, at code 128, unless nothing is negative. */
export type ActivationScheme = 'asymmetric' | 'symmetric';

/** uint8, covering the range and zero. A range of nothing but zero gets scale 1. */
export function affineOfRange(
  { min, max }: Range,
  scheme: ActivationScheme = 'asymmetric',
): Affine {
  if (scheme === 'symmetric' && min < 0) {
    const scale = Math.fround(Math.max(-min, max, 0) / 127);
    return { scale: scale > 0 ? scale : 1, zeroPoint: 128 };
  }
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  const scale = Math.fround((high - low) / 255);
  if (!(scale > 0)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(255, Math.max(0, roundHalfEven(-low / scale))) };
}

/** As ONNX's QuantizeLinear rounds. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** A view of a row-major tensor as outer × channels × inner, the channels along one axis. */
export interface ChannelLayout {
  readonly channels: number;
  readonly inner: number;
}

/** @param axis the channel axis, or undefined to treat the whole tensor as one channel */
export function channelLayout(dims: readonly number[], axis: number | undefined): ChannelLayout {
  const size = (from: number) => dims.slice(from).reduce((a, b) => a * b, 1);
  if (axis === undefined) return { channels: 1, inner: size(0) };
  return { channels: dims[axis]!, inner: size(axis + 1) };
}

/** Largest magnitude in each channel. */
export function channelMaxima(values: Numbers, { channels, inner }: ChannelLayout): Float64Array {
  const maxima = new Float64Array(channels);
  for (let i = 0, channel = 0; i < values.length; channel = (channel + 1) % channels) {
    let max = maxima[channel]!;
    for (const end = i + inner; i < end; i++) max = Math.max(max, Math.abs(values[i]!));
    maxima[channel] = max;
  }
  return maxima;
}

/** Symmetric codes in −limit … limit. */
export function int8Codes(
  values: Numbers,
  { channels, inner }: ChannelLayout,
  scales: ArrayLike<number>,
  limit = 127,
): Int8Array {
  const codes = new Int8Array(values.length);
  for (let i = 0, channel = 0; i < values.length; channel = (channel + 1) % channels) {
    const scale = scales[channel]!;
    for (const end = i + inner; i < end; i++)
      codes[i] = Math.min(limit, Math.max(-limit, roundHalfEven(values[i]! / scale)));
  }
  return codes;
}
