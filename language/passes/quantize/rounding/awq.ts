/**
 * AWQ: input channels that carry large activations are scaled up before rounding, and the activations down by as much, so
 * that rounding costs them less. Lin, Tang, Tang, Yang, Xiao, Dang, Gan, Han: AWQ. Activation-aware Weight Quantization for
 * LLM Compression and Acceleration. MLSys 2024, equations 4 and 5, and the search for clipping of its section on
 * implementation.
 */
import type { Matrix } from '../../linear';
import type { Gram } from '../../pass';
import { restored, roundToNearest, blocksOf, type Format } from './blockwise';

/** Exponents that are tried: r = 0, 1/20, … */
const STEPS = 20;
/** Smallest factor that a range is shrunk by, and how many are tried. */
const LEAST_SHRINK = 0.5;
const SHRINKS = 20;

/**
 * Factors for the input channels of layers that read the same value; all 1 when no scaling lowers the error.
 * @param meanAbs mean magnitude of each input channel
 */
export function searchScales(
  layers: readonly Matrix[],
  meanAbs: ArrayLike<number>,
  gram: Gram,
  format: Format,
): Float32Array {
  const typical = typicalWeights(layers, format);
  let best: Float32Array = new Float32Array(gram.size).fill(1);
  let least = Infinity;
  for (const scales of candidates(meanAbs, typical)) {
    let error = 0;
    for (const layer of layers)
      error += outputError(layer, scaledRound(layer, scales, format), gram);
    if (error >= least) continue;
    least = error;
    best = scales;
  }
  return best;
}

/** Mean over outputs of |w| / (largest |w| of its block), by input channel. */
function typicalWeights(layers: readonly Matrix[], format: Format): Float64Array {
  const { rows } = layers[0]!;
  const sums = new Float64Array(rows);
  let outputs = 0;
  for (const { columns, values } of layers) {
    outputs += columns;
    for (let block = 0; block < blocksOf(rows, format); block++) {
      const [from, to] = [block * format.block, Math.min(rows, (block + 1) * format.block)];
      const maxima = new Float64Array(columns);
      for (let row = from; row < to; row++)
        for (let column = 0; column < columns; column++)
          maxima[column] = Math.max(maxima[column]!, Math.abs(values[row * columns + column]!));
      for (let row = from; row < to; row++)
        for (let column = 0; column < columns; column++)
          if (maxima[column]! > 0)
            sums[row]! += Math.abs(values[row * columns + column]!) / maxima[column]!;
    }
  }
  return sums.map((sum) => sum / outputs);
}

/** s = x̄^r of equation 5, all 1 first, and s = x̄^r / w̄^(1 − r), which the authors’ program came to. */
function* candidates(meanAbs: ArrayLike<number>, typical: Float64Array): Generator<Float32Array> {
  for (let step = 0; step < STEPS; step++) {
    const r = step / STEPS;
    yield centred(typical.map((_, k) => meanAbs[k]! ** r));
    yield centred(typical.map((weight, k) => meanAbs[k]! ** r / (weight ** (1 - r) + 1e-4)));
  }
}

/** The largest and the smallest factor as far from 1. */
function centred(factors: Float64Array): Float32Array {
  const scales = Float32Array.from(factors, (factor) => Math.max(1e-4, factor));
  let [min, max] = [Infinity, 0];
  for (const scale of scales) {
    min = Math.min(min, scale);
    max = Math.max(max, scale);
  }
  const centre = Math.sqrt(min * max);
  return scales.map((scale) => scale / centre);
}

/** Q(W · s) / s. */
function scaledRound(matrix: Matrix, scales: Float32Array, format: Format): Float32Array {
  const values = restored(roundToNearest(scaleRows(matrix, scales), format));
  return scaleRows(
    { ...matrix, values },
    scales.map((scale) => 1 / scale),
  ).values;
}

export function scaleRows(matrix: Matrix, factors: ArrayLike<number>): Matrix {
  const { rows, columns } = matrix;
  const values = new Float32Array(matrix.values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      values[row * columns + column] = matrix.values[row * columns + column]! * factors[row]!;
  return { rows, columns, values };
}

/** ‖X(W − Ŵ)‖², from the Gram matrix: Σ over outputs of dᵀGd with d the error of one output's weights. */
export function outputError(
  { rows, columns, values }: Matrix,
  approximated: Float32Array,
  { data }: Gram,
): number {
  const difference = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) difference[i] = values[i]! - approximated[i]!;
  const product = new Float64Array(columns);
  let error = 0;
  for (let row = 0; row < rows; row++) {
    product.fill(0);
    for (let other = 0; other <= row; other++) {
      // G is symmetric: what two rows have in common counts twice.
      const weight = data[row * rows + other]! * (other < row ? 2 : 1);
      const at = other * columns;
      for (let column = 0; column < columns; column++)
        product[column]! += weight * difference[at + column]!;
    }
    for (let column = 0; column < columns; column++)
      error += product[column]! * difference[row * columns + column]!;
  }
  return error;
}

/**
 * How far the range of every block of every output is shrunk, as steps from 0 (not at all) to `SHRINKS` − 1: what lowers the
 * error of that block's part of the output most.
 * @returns one step per block and column
 */
export function searchClips(matrix: Matrix, gram: Gram, format: Format): Uint8Array {
  const blocks = blocksOf(matrix.rows, format);
  const best = new Uint8Array(blocks * matrix.columns);
  const least = new Float64Array(best.length).fill(Infinity);
  for (let step = 0; step < SHRINKS; step++) {
    const rounded = restored(roundToNearest(matrix, format, () => filled(matrix.columns, step)));
    blockErrors(matrix, rounded, gram, format).forEach((error, at) => {
      if (error >= least[at]!) return;
      least[at] = error;
      best[at] = step;
    });
  }
  return best;
}

const filled = (columns: number, step: number) => new Float32Array(columns).fill(shrinkOf(step));

/** The factor that a step of `searchClips` stands for. */
export const shrinkOf = (step: number): number => 1 - ((1 - LEAST_SHRINK) * step) / SHRINKS;

/** dᵀGd of the rows of each block alone, per block and column. */
function blockErrors(
  { rows, columns, values }: Matrix,
  approximated: Float32Array,
  { data }: Gram,
  format: Format,
): Float64Array {
  const errors = new Float64Array(blocksOf(rows, format) * columns);
  const product = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    const block = Math.floor(row / format.block);
    const [from, to] = [block * format.block, Math.min(rows, (block + 1) * format.block)];
    product.fill(0);
    for (let other = from; other < to; other++) {
      const weight = data[row * rows + other]!;
      for (let column = 0; column < columns; column++) {
        const at = other * columns + column;
        product[column]! += weight * (values[at]! - approximated[at]!);
      }
    }
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      errors[block * columns + column]! += product[column]! * (values[at]! - approximated[at]!);
    }
  }
  return errors;
}
