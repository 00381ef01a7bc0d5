/**
 * Half-quadratic quantisation: moves the zero point of each block so that outliers weigh less than their square, without
 * any data. Badri, Shaji: Half-Quadratic Quantization of Large Machine Learning Models, 2023, equations 5 to 10. Zero points
 * are real numbers; where the search does not lower the error, a block stays as it was.
 */
import type { Matrix } from '../../linear';
import { levels, roundToNearest, type Format, type Rounded } from './blockwise';

/** ‖·‖ₚ with p < 1 is forgiving of outliers. */
const P = 0.7;
const ITERATIONS = 20;
/** Weight of the quadratic half, raised by `GROWTH` every time. */
const FIRST_BETA = 10;
const GROWTH = 1.01;

export function hqq(matrix: Matrix, format: Format): Rounded {
  const nearest = roundToNearest(matrix, format);
  const out = { ...nearest, zeroPoints: Float32Array.from(nearest.zeroPoints) };
  const { rows, columns } = matrix;
  for (let block = 0, from = 0; from < rows; block++, from += format.block)
    for (let column = 0; column < columns; column++)
      improveColumn(matrix, out, column, block, from, Math.min(rows, from + format.block));
  return out;
}

function improveColumn(
  { columns, values }: Matrix,
  out: Rounded,
  column: number,
  block: number,
  from: number,
  to: number,
): void {
  const at = block * columns + column;
  const scale = out.scales[at]!;
  const weights = Float64Array.from(
    { length: to - from },
    (_, i) => values[(from + i) * columns + column]! / scale,
  );
  const before = out.zeroPoints[at]!;
  const most = levels(out.format.bits);
  const zeroPoint = Math.fround(settle(weights, before, most));
  if (normOf(weights, zeroPoint, most) >= normOf(weights, before, most)) return;
  out.zeroPoints[at] = zeroPoint;
  for (let row = from; row < to; row++)
    out.codes[row * columns + column] = clampedCode(weights[row - from]!, zeroPoint, most);
}

const clampedCode = (weight: number, zeroPoint: number, most: number): number =>
  Math.min(most, Math.max(0, Math.round(weight + zeroPoint)));

/** Alternates the shrinkage of the errors and the mean that is left, in units of the scale. */
function settle(weights: Float64Array, start: number, most: number): number {
  let zeroPoint = start;
  let beta = FIRST_BETA;
  for (let i = 0; i < ITERATIONS; i++, beta *= GROWTH) {
    let sum = 0;
    for (const weight of weights) {
      const code = clampedCode(weight, zeroPoint, most);
      const error = weight - (code - zeroPoint);
      sum += code - (weight - shrink(error, beta));
    }
    zeroPoint = sum / weights.length;
  }
  return zeroPoint;
}

/** sign(e) · max(0, |e| − |e|^(p − 1) / β): what minimises |·|ᵖ + β/2 · (· − e)². */
function shrink(error: number, beta: number): number {
  const size = Math.abs(error);
  return size === 0 ? 0 : Math.sign(error) * Math.max(0, size - size ** (P - 1) / beta);
}

function normOf(weights: Float64Array, zeroPoint: number, most: number): number {
  let norm = 0;
  for (const weight of weights)
    norm += Math.abs(weight - (clampedCode(weight, zeroPoint, most) - zeroPoint)) ** P;
  return norm;
}
