/**
 * TRIP, refinement of activations by powers of two: of the scales s·2^(i − K), i from 0 to K, each channel takes the one
 * that rounds it best, s = (max − min)/(2^b − 1) over all channels. The factor 2^(i − K) goes into what makes the channel, and
 * its inverse into the weights that read it, so that one scale serves all channels. Shen et al.: Agile-Quant.
 * Activation-Guided Quantization for Faster Inference of LLMs on the Edge. AAAI 2024, section on activation-guided
 * quantisation. Here s is each token's own.
 */
import { roundHalfEven } from '../../affine';
import type { Matrix } from '../../linear';
import type { Activations } from '../../pass';
import { scaleRows } from '../rounding/awq';
import { restored, roundToNearest } from '../rounding/blockwise';
import { formatOf } from './parameters';

/** Largest K that is tried. */
const DEEPEST = 4;
/** Rows that are looked at, evenly spread. */
const ROWS = 384;

/** Scale and zero point of a token over its range and zero: x ≈ s·(code + z), codes from 0 to 2^b − 1. */
export function tokenScale(row: ArrayLike<number>, bits: number): { scale: number; zero: number } {
  let [min, max] = [0, 0];
  for (let k = 0; k < row.length; k++) {
    min = Math.min(min, row[k]!);
    max = Math.max(max, row[k]!);
  }
  const scale = (max - min) / (2 ** bits - 1);
  return scale > 0 ? { scale, zero: roundHalfEven(min / scale) } : { scale: 1, zero: 0 };
}

function roundedTo(x: number, scale: number, zero: number, bits: number): number {
  const code = Math.min(2 ** bits - 1, Math.max(0, roundHalfEven(x / scale) - zero));
  return scale * (code + zero);
}

/**
 * The factors that channels are divided by, one of 1, 1/2, … 2^−K each; undefined where none lowers the error of the
 * products, weights rounded to 4 bits as well.
 */
export function refinement(
  activations: Activations,
  layers: readonly Matrix[],
  bits: number,
): readonly number[] | undefined {
  const rows = sampledRows(activations, layers[0]!.rows);
  const none = new Float64Array(layers[0]!.rows).fill(1);
  let best: Float64Array = none;
  let least = productError(rows, layers, none, bits);
  for (let deepest = 1; deepest <= DEEPEST; deepest++) {
    const factors = channelFactors(rows, deepest, bits);
    const error = productError(rows, layers, factors, bits);
    if (error < least) [best, least] = [factors, error];
  }
  return best === none ? undefined : Array.from(best);
}

function sampledRows(activations: Activations, size: number): Float32Array[] {
  const total = activations.reduce((sum, { data }) => sum + data.length / size, 0);
  const step = Math.max(1, Math.floor(total / ROWS));
  const out: Float32Array[] = [];
  let next = 0;
  for (const { data } of activations) {
    const count = data.length / size;
    for (; next < count; next += step) out.push(data.subarray(next * size, (next + 1) * size));
    next -= count;
  }
  return out;
}

function channelFactors(
  rows: readonly Float32Array[],
  deepest: number,
  bits: number,
): Float64Array {
  const size = rows[0]!.length;
  const errors = Array.from({ length: deepest + 1 }, () => new Float64Array(size));
  for (const row of rows) {
    const { scale, zero } = tokenScale(row, bits);
    errors.forEach((error, i) => {
      const finer = scale * 2 ** (i - deepest);
      for (let k = 0; k < size; k++)
        error[k]! += (row[k]! - roundedTo(row[k]!, finer, zero, bits)) ** 2;
    });
  }
  return Float64Array.from({ length: size }, (_, k) => {
    let best = deepest;
    for (let i = deepest - 1; i >= 0; i--) if (errors[i]![k]! < errors[best]![k]!) best = i;
    return 2 ** (best - deepest);
  });
}

/** ‖XW − X̂Ŵ‖², the channels of X divided by the factors and the rows of W multiplied. */
function productError(
  rows: readonly Float32Array[],
  layers: readonly Matrix[],
  factors: Float64Array,
  bits: number,
): number {
  let error = 0;
  for (const layer of layers) {
    const scaled = scaleRows(layer, factors);
    const rounded = restored(roundToNearest(scaled, formatOf(layer.rows)));
    for (const row of rows) error += rowError(row, scaled, rounded, factors, bits);
  }
  return error;
}

function rowError(
  row: Float32Array,
  { rows, columns, values }: Matrix,
  rounded: Float32Array,
  factors: Float64Array,
  bits: number,
): number {
  const refined = row.map((x, k) => x / factors[k]!);
  const { scale, zero } = tokenScale(refined, bits);
  const lost = new Float64Array(columns);
  for (let k = 0; k < rows; k++) {
    const [x, codeOfX] = [refined[k]!, roundedTo(refined[k]!, scale, zero, bits)];
    const at = k * columns;
    for (let n = 0; n < columns; n++) lost[n]! += x * values[at + n]! - codeOfX * rounded[at + n]!;
  }
  return lost.reduce((sum, value) => sum + value * value, 0);
}
