/** Dense factorisations of symmetric positive definite matrices, row after row in float64. */

/** Columns that are eliminated together; two rows of a block stay in the first-level cache. */
const BLOCK = 64;

/**
 * The upper triangular U with UᵀU = A⁻¹, in place of A. With P the reversal of rows and columns and PAP = LLᵀ, the matrix
 * R = PLP is upper triangular and RRᵀ = A, so U = R⁻¹: one factorisation and one triangular inverse.
 * @param a `size` × `size`, symmetric; only its lower half is read
 * @returns false when A is not positive definite; its contents are lost then
 */
export function invertToUpper(a: Float64Array, size: number): boolean {
  reverse(a);
  if (!factorise(a, size)) return false;
  reverse(a);
  invertUpper(a, size);
  return true;
}

/** Rows and columns in the opposite order: the elements of a square matrix from last to first. */
const reverse = (a: Float64Array): Float64Array => a.reverse();

/** A = LLᵀ, L in the lower half, zeros above. */
function factorise(a: Float64Array, size: number): boolean {
  for (let from = 0; from < size; from += BLOCK) {
    const to = Math.min(from + BLOCK, size);
    for (let row = from; row < size; row++) {
      for (let column = from; column < Math.min(to, row + 1); column++) {
        const rest = a[row * size + column]! - dot(a, row * size, column * size, from, column);
        if (row !== column) a[row * size + column] = rest / a[column * size + column]!;
        else if (rest > 0) a[row * size + column] = Math.sqrt(rest);
        else return false;
      }
    }
    // What this block of columns explains of the rest.
    for (let row = to; row < size; row++)
      for (let column = to; column <= row; column++)
        a[row * size + column]! -= dot(a, row * size, column * size, from, to);
  }
  for (let row = 0; row < size; row++) a.fill(0, row * size + row + 1, (row + 1) * size);
  return true;
}

function dot(a: Float64Array, left: number, right: number, from: number, to: number): number {
  let sum = 0;
  for (let k = from; k < to; k++) sum += a[left + k]! * a[right + k]!;
  return sum;
}

/** In place. Row i of the inverse is (eᵢ − Σ_{k>i} R_ik · row k) / R_ii, found from the last row up. */
function invertUpper(r: Float64Array, size: number): void {
  const row = new Float64Array(size);
  for (let i = size - 1; i >= 0; i--) {
    row.fill(0);
    row[i] = 1;
    for (let k = i + 1; k < size; k++) {
      const factor = r[i * size + k]!;
      if (factor === 0) continue;
      for (let j = k; j < size; j++) row[j]! -= factor * r[k * size + j]!;
    }
    const diagonal = r[i * size + i]!;
    for (let j = i; j < size; j++) r[i * size + j] = row[j]! / diagonal;
  }
}
