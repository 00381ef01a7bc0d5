/**
 * Weights in blocks along their input channels, each block of each output with a scale and a zero point:
 * real = scale · (code − zeroPoint), codes from 0 to 2^bits − 1. A weight is K × N, input channels first.
 */

import type { Matrix } from '../../linear';

export type Bits = 2 | 4 | 8;

export interface Format {
  readonly bits: Bits;
  /** Input channels that share a scale. */
  readonly block: number;
  /** The zero point is the middle code everywhere. */
  readonly symmetric: boolean;
}

/** A matrix in integers. */
export interface Rounded {
  readonly format: Format;
  readonly rows: number;
  readonly columns: number;
  /** K × N. */
  readonly codes: Uint8Array;
  /** One per block and column: blocks × N. */
  readonly scales: Float32Array;
  /** Codes, or numbers between them. */
  readonly zeroPoints: Uint8Array | Float32Array;
}

export const levels = (bits: Bits): number => 2 ** bits - 1;
export const blocksOf = (rows: number, { block }: Format): number => Math.ceil(rows / block);

export function emptyRounded({ rows, columns }: Matrix, format: Format): Rounded {
  const parameters = blocksOf(rows, format) * columns;
  return {
    format,
    rows,
    columns,
    codes: new Uint8Array(rows * columns),
    scales: new Float32Array(parameters),
    zeroPoints: new Uint8Array(parameters),
  };
}

/**
 * Chooses scale and zero point of every column of one block from the smallest and largest weight in it.
 * @param shrink factor on the range by column, for clipping; default 1
 */
export function fitBlock(
  { rows, columns, values }: Matrix,
  out: Rounded,
  block: number,
  shrink?: ArrayLike<number>,
): void {
  const { bits, symmetric, block: length } = out.format;
  const [from, to] = [block * length, Math.min(rows, (block + 1) * length)];
  for (let column = 0; column < columns; column++) {
    let [min, max] = [0, 0];
    for (let row = from; row < to; row++) {
      const value = values[row * columns + column]!;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    const by = shrink?.[column] ?? 1;
    const fitted = symmetric
      ? symmetricScale(min * by, max * by, bits)
      : asymmetricScale(min * by, max * by, bits);
    out.scales[block * columns + column] = fitted.scale;
    out.zeroPoints[block * columns + column] = fitted.zeroPoint;
  }
}

/** The middle code stands for zero; there is one more code below it than above. */
function symmetricScale(min: number, max: number, bits: Bits) {
  const middle = 2 ** (bits - 1);
  const scale = Math.fround(Math.max(-min / middle, max / (middle - 1)));
  return { scale: scale > 0 ? scale : 1, zeroPoint: middle };
}

function asymmetricScale(min: number, max: number, bits: Bits) {
  const scale = Math.fround((max - min) / levels(bits));
  if (!(scale > 0)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(levels(bits), Math.max(0, Math.round(-min / scale))) };
}

export function codeOf(value: number, scale: number, zeroPoint: number, bits: Bits): number {
  return Math.min(levels(bits), Math.max(0, Math.round(value / scale + zeroPoint)));
}

/** Rounds one row of `values` with the parameters of its block. */
export function roundRow(values: Float32Array, out: Rounded, row: number): void {
  const { columns, format } = out;
  const parameters = Math.floor(row / format.block) * columns;
  for (let column = 0; column < columns; column++)
    out.codes[row * columns + column] = codeOf(
      values[row * columns + column]!,
      out.scales[parameters + column]!,
      out.zeroPoints[parameters + column]!,
      format.bits,
    );
}

/** Round to nearest: every weight by itself. */
export function roundToNearest(
  matrix: Matrix,
  format: Format,
  shrink?: (block: number) => ArrayLike<number>,
): Rounded {
  const out = emptyRounded(matrix, format);
  for (let block = 0; block < blocksOf(matrix.rows, format); block++)
    fitBlock(matrix, out, block, shrink?.(block));
  for (let row = 0; row < matrix.rows; row++) roundRow(matrix.values, out, row);
  return out;
}

/** The weights that the codes stand for, K × N. */
export function restored({ rows, columns, codes, scales, zeroPoints, format }: Rounded) {
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const parameters = Math.floor(row / format.block) * columns;
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      values[at] = scales[parameters + column]! * (codes[at]! - zeroPoints[parameters + column]!);
    }
  }
  return values;
}
