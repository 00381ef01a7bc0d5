/**
 * int8 weights for processors without a dot product of bytes. There x86 multiplies uint8 by int8 with VPMADDUBSW, which
 * adds the products of two neighbours in 16 bits and saturates: 255 · 127 + 255 · 127 becomes 32 767. Codes of neighbours
 * that add up to at most 128 cannot saturate, whatever the activations are: 255 · 128 < 2¹⁵.
 */
import type { Numbers } from '../onnx/tensor';
import { roundHalfEven } from './affine';

/**
 * A weight as integer kernels read it: one row per output channel, along which products are summed in this order. An
 * element's place is `row · rowStride + (k mod inner) · innerStride + ⌊k / inner⌋ · outerStride`.
 */
export interface KernelRows {
  readonly rows: number;
  readonly depth: number;
  readonly rowStride: number;
  readonly inner: number;
  readonly innerStride: number;
  readonly outerStride: number;
  /** Kernels that never add products in 16 bits, such as those of depthwise convolutions, take any codes. */
  readonly paired: boolean;
}

/** @param axis of the output channels */
export function matrixRows(dims: readonly number[], axis: number): KernelRows {
  const [rows, depth] = [dims[axis]!, dims[1 - axis]!];
  const columns = dims[1]!;
  const [rowStride, innerStride] = axis === 1 ? [1, columns] : [columns, 1];
  return { rows, depth, rowStride, inner: depth, innerStride, outerStride: 0, paired: true };
}

/** Integer convolutions run with channels last: all input channels of a kernel position, then the next position. */
export function convolutionRows(dims: readonly number[], groups: number): KernelRows {
  const [rows, channels, ...kernel] = dims as [number, number, ...number[]];
  const positions = kernel.reduce((a, b) => a * b, 1);
  const depth = channels * positions;
  return {
    rows,
    depth,
    rowStride: depth,
    inner: channels,
    innerStride: positions,
    outerStride: 1,
    paired: !(channels === 1 && groups === rows),
  };
}

const MAX_CODE = 127;
const MAX_PAIR = 128;

/** Scales tried between the one that holds every element and the one that holds every pair. */
const STEPS = 6;

export interface Coded {
  /** One per row, or a single one. */
  readonly scales: Float32Array;
  readonly codes: Int8Array;
}

/**
 * Codes whose neighbours fit together, at the scales with the least squared error: large pairs are cut, or all of a row is
 * made coarser.
 * @param smallest what scales must not be below, by row
 */
export function pairedCodes(
  values: Numbers,
  rows: KernelRows,
  perRow: boolean,
  smallest: (row: number) => number,
): Coded {
  const work = new RowCoder(values, rows);
  const all = Array.from({ length: rows.rows }, (_, row) => row);
  const groups = perRow ? all.map((row) => [row]) : [all];
  const scales = Float32Array.from(groups, (group) =>
    Math.max(work.bestScale(group), ...group.map(smallest)),
  );
  const codes = new Int8Array(values.length);
  for (const row of all) work.write(row, scales[perRow ? row : 0]!, codes);
  return { scales, codes };
}

class RowCoder {
  readonly #real: Float64Array;
  readonly #codes: Int8Array;

  constructor(
    private readonly values: Numbers,
    private readonly layout: KernelRows,
  ) {
    this.#real = new Float64Array(layout.depth);
    this.#codes = new Int8Array(layout.depth);
  }

  bestScale(group: readonly number[]): number {
    let [largest, largestPair] = [0, 0];
    for (const row of group) {
      this.#read(row);
      largest = Math.max(largest, largestOf(this.#real));
      if (this.layout.paired) largestPair = Math.max(largestPair, largestPairOf(this.#real));
    }
    if (largest === 0) return 1;
    const [fine, coarse] = [largest / MAX_CODE, largestPair / MAX_PAIR];
    if (coarse <= fine) return fine;
    const candidates = Array.from(
      { length: STEPS + 1 },
      (_, step) => fine * (coarse / fine) ** (step / STEPS),
    );
    const errors = candidates.map((scale) => this.#error(group, scale));
    return candidates[errors.indexOf(Math.min(...errors))]!;
  }

  write(row: number, scale: number, into: Int8Array): void {
    this.#read(row);
    this.#encode(scale);
    for (let k = 0; k < this.#codes.length; k++) into[this.#place(row, k)] = this.#codes[k]!;
  }

  #error(group: readonly number[], scale: number): number {
    let error = 0;
    for (const row of group) {
      this.#read(row);
      this.#encode(scale);
      for (let k = 0; k < this.#real.length; k++)
        error += (this.#real[k]! - scale * this.#codes[k]!) ** 2;
    }
    return error;
  }

  #read(row: number): void {
    for (let k = 0; k < this.#real.length; k++) this.#real[k] = this.values[this.#place(row, k)]!;
  }

  #place(row: number, k: number): number {
    const { rowStride, inner, innerStride, outerStride } = this.layout;
    return row * rowStride + (k % inner) * innerStride + Math.floor(k / inner) * outerStride;
  }

  #encode(scale: number): void {
    const [real, codes] = [this.#real, this.#codes];
    for (let k = 0; k < real.length; k++)
      codes[k] = Math.min(MAX_CODE, Math.max(-MAX_CODE, roundHalfEven(real[k]! / scale)));
    if (this.layout.paired)
      for (let k = 0; k + 1 < codes.length; k += 2) {
        const excess = Math.abs(codes[k]! + codes[k + 1]!) - MAX_PAIR;
        if (excess > 0) this.#cutPair(k, excess);
      }
  }

  /** Takes the excess from both alike, which moves the pair the least. */
  #cutPair(k: number, excess: number): void {
    const codes = this.#codes;
    const sign = Math.sign(codes[k]!);
    const larger = Math.abs(codes[k]!) >= Math.abs(codes[k + 1]!) ? k : k + 1;
    const smaller = larger === k ? k + 1 : k;
    codes[larger]! -= sign * Math.ceil(excess / 2);
    codes[smaller]! -= sign * Math.floor(excess / 2);
  }
}

function largestOf(values: Float64Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** Largest sum of two neighbours; those of opposite signs never come near saturation. */
function largestPairOf(values: Float64Array): number {
  let largest = 0;
  for (let k = 0; k + 1 < values.length; k += 2)
    largest = Math.max(largest, Math.abs(values[k]! + values[k + 1]!));
  return largest;
}
