/** Symmetric matrices, row by row. */

export interface Eigen {
  readonly values: Float64Array;
  /** Column k belongs to value k. */
  readonly vectors: Float64Array;
}

const MAX_SWEEPS = 60;

/** By Jacobi's rotations, in turn over all pairs (Golub & Van Loan, Matrix Computations, 8.5). The matrix is overwritten. */
export function eigen(matrix: Float64Array, size: number): Eigen {
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  let scale = 0;
  for (const element of matrix) scale = Math.max(scale, Math.abs(element));
  const least = scale * 1e-15;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let turned = false;
    for (let p = 0; p < size; p++)
      for (let q = p + 1; q < size; q++) {
        if (Math.abs(matrix[p * size + q]!) <= least) continue;
        turned = true;
        rotate(matrix, vectors, size, p, q);
      }
    if (!turned) break;
  }
  return { values: Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!), vectors };
}

function rotate(
  matrix: Float64Array,
  vectors: Float64Array,
  size: number,
  p: number,
  q: number,
): void {
  const theta = (matrix[q * size + q]! - matrix[p * size + p]!) / (2 * matrix[p * size + q]!);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(1, theta));
  const c = 1 / Math.hypot(1, t);
  const s = t * c;
  const turn = (array: Float64Array, i: number, j: number) => {
    const [a, b] = [array[i]!, array[j]!];
    array[i] = c * a - s * b;
    array[j] = s * a + c * b;
  };
  for (let k = 0; k < size; k++) turn(matrix, k * size + p, k * size + q);
  for (let k = 0; k < size; k++) turn(matrix, p * size + k, q * size + k);
  for (let k = 0; k < size; k++) turn(vectors, k * size + p, k * size + q);
}

/** The square root of a matrix without negative eigenvalues; those that rounding made negative count as 0. */
export function squareRoot(matrix: Float64Array, size: number): Float64Array {
  const { values, vectors } = eigen(matrix.slice(), size);
  const scaled = vectors.map((v, i) => v * Math.sqrt(Math.max(0, values[i % size]!)));
  return product(scaled, transposed(vectors, size), size);
}

export function product(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let k = 0; k < size; k++) {
      const factor = a[i * size + k]!;
      for (let j = 0; j < size; j++) out[i * size + j]! += factor * b[k * size + j]!;
    }
  return out;
}

function transposed(matrix: Float64Array, size: number): Float64Array {
  const out = new Float64Array(matrix.length);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) out[j * size + i] = matrix[i * size + j]!;
  return out;
}
