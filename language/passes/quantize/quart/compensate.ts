/**
 * Compensation of what rounding does to activations: the ΔW that minimises ‖W·x − (W + ΔW)·x̂‖² + λ‖ΔW‖² is
 * W·(x − x̂)x̂ᵀ·(x̂x̂ᵀ + λI)⁻¹. Shen et al.: QuartDepth. CVPR 2025, section on activation compensation; the sign is that of
 * the normal equations.
 */
import type { Matrix } from '../../linear';
import { invertToUpper } from '../rounding/cholesky';
import type { Rows } from './rows';

/** XᵀX of rows, K × K. */
export function gramOf({ count, size, data }: Rows): Float64Array {
  const gram = new Float64Array(size * size);
  for (let row = 0; row < count; row++) {
    const at = row * size;
    for (let i = 0; i < size; i++) {
      const value = data[at + i]!;
      if (value === 0) continue;
      for (let j = 0; j <= i; j++) gram[i * size + j]! += value * data[at + j]!;
    }
  }
  for (let i = 0; i < size; i++)
    for (let j = i + 1; j < size; j++) gram[i * size + j] = gram[j * size + i]!;
  return gram;
}

/**
 * @param real inputs of the layer in the float model, row by row those that `rounded` stands for
 * @param gram x̂ᵀx̂ of `rounded`
 * @param damping λ as a share of the mean of the gram's diagonal
 * @returns W + ΔW; the weights themselves where the gram cannot be inverted
 */
export function compensated(
  weights: Matrix,
  real: Rows,
  rounded: Rows,
  gram: Float64Array,
  damping: number,
): Matrix {
  const { rows, columns } = weights;
  const upper = gram.slice();
  let mean = 0;
  for (let k = 0; k < rows; k++) mean += gram[k * rows + k]! / rows;
  for (let k = 0; k < rows; k++) upper[k * rows + k]! += damping * mean;
  if (!(mean > 0) || !invertToUpper(upper, rows)) return weights;
  const lost = lostProducts(weights, real, rounded);
  const correction = transposedTimes(upper, times(upper, lost, rows, columns), rows, columns);
  return { rows, columns, values: weights.values.map((value, i) => value + correction[i]!) };
}

/** x̂ᵀ((x − x̂)W), K × N. */
function lostProducts({ rows, columns, values }: Matrix, real: Rows, rounded: Rows): Float64Array {
  const out = new Float64Array(rows * columns);
  const lost = new Float64Array(columns);
  for (let row = 0; row < rounded.count; row++) {
    const at = row * rows;
    lost.fill(0);
    for (let k = 0; k < rows; k++) {
      const error = real.data[at + k]! - rounded.data[at + k]!;
      if (error === 0) continue;
      for (let n = 0; n < columns; n++) lost[n]! += error * values[k * columns + n]!;
    }
    for (let k = 0; k < rows; k++) {
      const value = rounded.data[at + k]!;
      if (value === 0) continue;
      for (let n = 0; n < columns; n++) out[k * columns + n]! += value * lost[n]!;
    }
  }
  return out;
}

/** U·B for an upper triangle U. */
function times(u: Float64Array, b: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let k = i; k < rows; k++) {
      const factor = u[i * rows + k]!;
      for (let n = 0; n < columns; n++) out[i * columns + n]! += factor * b[k * columns + n]!;
    }
  return out;
}

/** Uᵀ·B. */
function transposedTimes(u: Float64Array, b: Float64Array, rows: number, columns: number) {
  const out = new Float64Array(rows * columns);
  for (let k = 0; k < rows; k++)
    for (let i = k; i < rows; i++) {
      const factor = u[k * rows + i]!;
      for (let n = 0; n < columns; n++) out[i * columns + n]! += factor * b[k * columns + n]!;
    }
  return out;
}
