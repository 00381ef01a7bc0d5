/**
 * LogNP activation polishing: Φ(x; α) = sign(x)·(log2(|x| + α) − log2 α) before activations are rounded, its inverse
 * Φ⁻¹(y) = sign(y)·α·(2^|y| − 1) afterwards, α the 95th percentile of |x| of each channel. Shen et al.: QuartDepth.
 * Post-Training Quantization for Real-Time Depth Estimation on the Edge. CVPR 2025, section on activation polishing.
 * Φ is ln(1 + |x|/α) up to the factor 1/ln 2, which the scale of the codes takes in.
 */
import { channelLayout, roundHalfEven } from '../../affine';
import type { Activations } from '../../pass';

/** What is known of a quantiser before its numbers are. */
export interface Form {
  readonly bits: 4 | 8;
  readonly polished: boolean;
  /** That channels run along; undefined for one scale over all. */
  readonly axis: number | undefined;
}

/** How a value is turned into codes and back; one entry per channel, or a single one. */
export interface Quantiser {
  readonly form: Form;
  /** Null where activations are rounded as they are. */
  readonly alpha: Float32Array | null;
  readonly scale: Float32Array;
  readonly zeroPoint: Uint8Array;
}

const PERCENTILE = 0.95;
/** Of a channel that is nearly always zero: as a share of its largest magnitude, and at all. */
const SMALLEST_SHARE = 1e-3;
const SMALLEST = 1e-6;
/** Elements of a channel that its percentile is found on, evenly spread. */
const LOOKED_AT = 16_384;

/** What the fit of a quantiser goes by, per channel. */
interface Spread {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly percentile: Float64Array;
}

export function fitQuantiser(activations: Activations, form: Form): Quantiser {
  const { bits, polished, axis } = form;
  const { min, max, percentile } = spreadOf(activations, axis);
  const alpha = polished
    ? Float32Array.from(percentile, (share, channel) =>
        Math.max(share, SMALLEST_SHARE * Math.max(-min[channel]!, max[channel]!), SMALLEST),
      )
    : null;
  const most = 2 ** bits - 1;
  const scale = new Float32Array(min.length);
  const zeroPoint = new Uint8Array(min.length);
  for (let channel = 0; channel < min.length; channel++) {
    const [low, high] = [min[channel]!, max[channel]!].map((end) =>
      alpha ? logarithm(end, alpha[channel]!) : end,
    ) as [number, number];
    const step = Math.fround((Math.max(0, high) - Math.min(0, low)) / most);
    scale[channel] = step > 0 ? step : 1;
    zeroPoint[channel] = step > 0 ? roundHalfEven(-Math.min(0, low) / step) : 0;
  }
  return { form, alpha, scale, zeroPoint };
}

function spreadOf(activations: Activations, axis: number | undefined): Spread {
  const { channels } = channelLayout(activations[0]!.dims, axis);
  const min = new Float64Array(channels);
  const max = new Float64Array(channels);
  const counts = new Float64Array(channels);
  for (const run of activations)
    eachChannel(run, axis, (channel, at) => {
      const value = run.data[at]!;
      min[channel] = Math.min(min[channel]!, value);
      max[channel] = Math.max(max[channel]!, value);
      counts[channel]!++;
    });
  return { min, max, percentile: percentiles(activations, axis, counts) };
}

function percentiles(
  activations: Activations,
  axis: number | undefined,
  counts: Float64Array,
): Float64Array {
  const steps = counts.map((count) => Math.max(1, Math.ceil(count / LOOKED_AT)));
  const seen = new Float64Array(counts.length);
  const magnitudes = Array.from(
    counts,
    (count, channel) => new Float32Array(Math.ceil(count / steps[channel]!)),
  );
  for (const run of activations)
    eachChannel(run, axis, (channel, at) => {
      const position = seen[channel]!++;
      const step = steps[channel]!;
      if (position % step === 0) magnitudes[channel]![position / step] = Math.abs(run.data[at]!);
    });
  return Float64Array.from(
    magnitudes,
    (sizes) => sizes.sort()[Math.floor(PERCENTILE * (sizes.length - 1))] ?? 0,
  );
}

function eachChannel(
  { dims, data }: Activations[number],
  axis: number | undefined,
  visit: (channel: number, at: number) => void,
): void {
  const { channels, inner } = channelLayout(dims, axis);
  for (let at = 0, channel = 0; at < data.length; channel = (channel + 1) % channels)
    for (const end = at + inner; at < end; at++) visit(channel, at);
}

const logarithm = (x: number, alpha: number): number =>
  Math.sign(x) * Math.log(1 + Math.abs(x) / alpha);
const inverse = (y: number, alpha: number): number =>
  Math.sign(y) * alpha * (Math.exp(Math.abs(y)) - 1);

/** The values that the codes stand for. */
export function dequantised(
  activations: Activations,
  { form: { bits, axis }, alpha, scale, zeroPoint }: Quantiser,
): Activations {
  const most = 2 ** bits - 1;
  return activations.map((run) => {
    const out = new Float32Array(run.data.length);
    eachChannel(run, axis, (channel, at) => {
      const [step, zero] = [scale[channel]!, zeroPoint[channel]!];
      const x = run.data[at]!;
      const polished = alpha ? logarithm(x, alpha[channel]!) : x;
      const code = Math.min(most, Math.max(0, roundHalfEven(polished / step) + zero));
      const y = step * (code - zero);
      out[at] = alpha ? inverse(y, alpha[channel]!) : y;
    });
    return { dims: run.dims, data: out };
  });
}
