/**
 * Rounding of all weights of a layer together: minimises (w − ŵ)ᵀF(w − ŵ) + λ·Σ(1 − |2h − 1|^β) over h, F ≈ G ⊗ A by K-FAC
 * with A = E[x̂x̂ᵀ] of the inputs and G = E[δδᵀ] of the gradients at the output; ŵ = s·(⌊w/s⌋ + h), h = clip(1.2·σ(v) − 0.1,
 * 0, 1). Shen et al.: QuartDepth. CVPR 2025, section on weight reconstruction; the relaxation is AdaRound's.
 */
import type { Matrix } from '../../linear';
import { settled } from '../rounding/relaxation';

/** Scale and zero point per output channel; codes from 0 to 2^bits − 1. */
export interface Grid {
  readonly bits: 4 | 8;
  readonly scales: Float32Array;
  readonly zeroPoints: Uint8Array;
}

/** A block of G on its diagonal, for the output channels `from` to `from + size`. */
export interface FisherBlock {
  readonly from: number;
  readonly size: number;
  readonly data: Float64Array;
}

/** Asymmetric, over each output channel's smallest and largest weight and zero. */
export function gridOf({ rows, columns, values }: Matrix, bits: 4 | 8): Grid {
  const scales = new Float32Array(columns);
  const zeroPoints = new Uint8Array(columns);
  const most = 2 ** bits - 1;
  for (let n = 0; n < columns; n++) {
    let [min, max] = [0, 0];
    for (let k = 0; k < rows; k++) {
      min = Math.min(min, values[k * columns + n]!);
      max = Math.max(max, values[k * columns + n]!);
    }
    const step = Math.fround((max - min) / most);
    scales[n] = step > 0 ? step : 1;
    zeroPoints[n] = step > 0 ? Math.round(-min / step) : 0;
  }
  return { bits, scales, zeroPoints };
}

export function nearestCodes({ columns, values }: Matrix, grid: Grid): Uint8Array {
  const most = 2 ** grid.bits - 1;
  return Uint8Array.from(values, (value, i) => {
    const n = i % columns;
    return Math.min(most, Math.max(0, Math.round(value / grid.scales[n]!) + grid.zeroPoints[n]!));
  });
}

const ITERATIONS = 400;
/** λ, where the error of a weight that is off by a whole step counts about 1. */
const PUSH = 0.05;

/**
 * @param gram A, K × K, up to a factor
 * @param fisher G up to a factor, as blocks of its diagonal
 * @returns codes with at most the error of the nearest ones
 */
export function reconstructedCodes(
  matrix: Matrix,
  grid: Grid,
  gram: Float64Array,
  fisher: readonly FisherBlock[],
): Uint8Array {
  const objective = new Objective(matrix, grid, gram, fisher);
  const nearest = nearestCodes(matrix, grid);
  const found = objective.settle();
  return objective.errorOf(found) < objective.errorOf(nearest) ? found : nearest;
}

/** In units of steps: weights divided by their scales. */
class Objective {
  readonly #count: number;
  readonly #most: number;
  readonly #floor: Float32Array;
  readonly #rest: Float32Array;
  /** A and G as single precision, with mean diagonals of 1 in units of steps. */
  readonly #gram: Float32Array;
  readonly #blocks: readonly { from: number; size: number; data: Float32Array }[];
  readonly #product: Float32Array;

  constructor(
    private readonly matrix: Matrix,
    private readonly grid: Grid,
    gram: Float64Array,
    fisher: readonly FisherBlock[],
  ) {
    const { rows, columns, values } = matrix;
    this.#count = values.length;
    this.#most = 2 ** grid.bits - 1;
    this.#floor = new Float32Array(this.#count);
    this.#rest = new Float32Array(this.#count);
    for (let i = 0; i < this.#count; i++) {
      const code = values[i]! / grid.scales[i % columns]! + grid.zeroPoints[i % columns]!;
      this.#floor[i] = Math.floor(code);
      this.#rest[i] = code - Math.floor(code);
    }
    const inputs = 1 / Math.max(meanDiagonal(gram, rows), Number.MIN_VALUE);
    this.#gram = Float32Array.from(gram, (value) => value * inputs);
    this.#blocks = this.#inSteps(fisher);
    this.#product = new Float32Array(this.#count);
  }

  #inSteps(fisher: readonly FisherBlock[]) {
    const { scales } = this.grid;
    const blocks = fisher.map(({ from, size, data }) => ({
      from,
      size,
      data: data.map(
        (value, at) => value * scales[from + Math.floor(at / size)]! * scales[from + (at % size)]!,
      ),
    }));
    let [sum, count] = [0, 0];
    for (const { size, data } of blocks)
      for (let i = 0; i < size; i++, count++) sum += data[i * size + i]!;
    const factor = sum > 0 ? count / sum : 1;
    return blocks.map((block) => ({
      ...block,
      data: Float32Array.from(block.data, (value) => value * factor),
    }));
  }

  /** tr(DᵀA·D·G), D the errors in steps. */
  errorOf(codes: Uint8Array): number {
    const errors = Float32Array.from(codes, (code, i) => code - this.#floor[i]! - this.#rest[i]!);
    const gradient = this.#times(errors);
    let error = 0;
    for (let i = 0; i < this.#count; i++) error += errors[i]! * gradient[i]!;
    return error;
  }

  /** A·D·G. */
  #times(errors: Float32Array): Float32Array {
    const { rows, columns } = this.matrix;
    const product = this.#product.fill(0);
    for (let k = 0; k < rows; k++) {
      const at = k * columns;
      for (let j = 0; j < rows; j++) {
        const factor = this.#gram[k * rows + j]!;
        if (factor === 0) continue;
        const from = j * columns;
        for (let n = 0; n < columns; n++) product[at + n]! += factor * errors[from + n]!;
      }
    }
    const row = new Float32Array(columns);
    for (let k = 0; k < rows; k++) {
      const at = k * columns;
      row.fill(0);
      for (const { from, size, data } of this.#blocks)
        for (let i = 0; i < size; i++) {
          const factor = product[at + from + i]!;
          for (let n = 0; n < size; n++) row[from + n]! += factor * data[i * size + n]!;
        }
      product.set(row, at);
    }
    return product;
  }

  settle(): Uint8Array {
    const errors = new Float32Array(this.#count);
    const up = settled({
      fractions: this.#rest,
      iterations: ITERATIONS,
      regulariser: PUSH,
      slopes: (h, into) => {
        for (let i = 0; i < this.#count; i++)
          errors[i] = this.#clamped(i, h[i]!) - this.#floor[i]! - this.#rest[i]!;
        const gradient = this.#times(errors);
        for (let i = 0; i < this.#count; i++) {
          const code = this.#floor[i]! + h[i]!;
          into[i] = code >= 0 && code <= this.#most ? 2 * gradient[i]! : 0;
        }
      },
    });
    return Uint8Array.from(up, (step, i) => this.#clamped(i, step));
  }

  #clamped(i: number, up: number): number {
    return Math.min(this.#most, Math.max(0, this.#floor[i]! + up));
  }
}

function meanDiagonal(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += matrix[i * size + i]!;
  return sum / size;
}
