/**
 * GPTQ: rounds one input channel after the other and lets those that follow make up for the error.
 * Frantar, Ashkboos, Hoefler, Alistarh: GPTQ. Accurate Post-Training Quantization for Generative Pre-trained Transformers.
 * ICLR 2023, algorithm 1, without reordering of channels.
 */
import type { Matrix } from '../../linear';
import type { Gram } from '../../pass';
import { emptyRounded, fitBlock, roundRow, type Format, type Rounded } from './blockwise';
import { invertToUpper } from './cholesky';

/**
 * Rows whose errors are passed on together. Blocks of scales divide it, or begin where it does, so that a block is fitted
 * to weights that all earlier errors have reached.
 */
const LAZY = 128;

/**
 * @param gram of the layer's input, K × K
 * @param damping added to the diagonal of H = 2XᵀX, as a share of its mean
 * @returns undefined when the Gram matrix cannot be inverted, even damped
 */
export function gptq(
  { rows, columns, values }: Matrix,
  gram: Gram,
  format: Format,
  damping: number,
): Rounded | undefined {
  const dead = deadChannels(gram);
  const upper = inverseFactor(gram, dead, damping);
  if (!upper) return undefined;
  const left: Matrix = { rows, columns, values: values.slice() };
  for (const row of dead) left.values.fill(0, row * columns, (row + 1) * columns);
  const out = emptyRounded(left, format);
  const errors = new Float32Array(LAZY * columns);
  for (let from = 0; from < rows; from += LAZY) {
    const to = Math.min(from + LAZY, rows);
    for (let row = from; row < to; row++) {
      if (row % format.block === 0) fitBlock(left, out, row / format.block);
      roundRow(left.values, out, row);
      rowError(left, out, upper[row * rows + row]!, row, errors, row - from);
      for (let later = row + 1; later < to; later++)
        subtract(left.values, later, errors, row - from, upper[row * rows + later]!, columns);
    }
    passOn(left, errors, upper, from, to);
  }
  return out;
}

/** Channels that were zero throughout; their weights do not matter. */
const deadChannels = ({ size, data }: Gram): number[] =>
  Array.from({ length: size }, (_, k) => k).filter((k) => data[k * size + k] === 0);

/** The upper Cholesky factor of H⁻¹. */
function inverseFactor(
  { size, data }: Gram,
  dead: readonly number[],
  damping: number,
): Float64Array | undefined {
  const h = data.map((value) => 2 * value);
  for (const k of dead) h[k * size + k] = 1;
  let mean = 0;
  for (let k = 0; k < size; k++) mean += h[k * size + k]! / size;
  for (let k = 0; k < size; k++) h[k * size + k]! += damping * mean;
  return invertToUpper(h, size) ? h : undefined;
}

/** (w − ŵ) / U_kk of one row. */
function rowError(
  { columns, values }: Matrix,
  out: Rounded,
  diagonal: number,
  row: number,
  errors: Float32Array,
  slot: number,
): void {
  const parameters = Math.floor(row / out.format.block) * columns;
  for (let column = 0; column < columns; column++) {
    const scale = out.scales[parameters + column]!;
    const rounded =
      scale * (out.codes[row * columns + column]! - out.zeroPoints[parameters + column]!);
    errors[slot * columns + column] = (values[row * columns + column]! - rounded) / diagonal;
  }
}

function subtract(
  values: Float32Array,
  row: number,
  errors: Float32Array,
  slot: number,
  factor: number,
  columns: number,
): void {
  if (factor === 0) return;
  const [at, from] = [row * columns, slot * columns];
  for (let column = 0; column < columns; column++)
    values[at + column]! -= factor * errors[from + column]!;
}

/** Gives the errors of the rows `from` to `to` to every row after them. */
function passOn(
  { rows, columns, values }: Matrix,
  errors: Float32Array,
  upper: Float64Array,
  from: number,
  to: number,
): void {
  for (let later = to; later < rows; later++)
    for (let row = from; row < to; row++)
      subtract(values, later, errors, row - from, upper[row * rows + later]!, columns);
}
