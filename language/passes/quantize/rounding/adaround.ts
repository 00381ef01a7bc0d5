/**
 * AdaRound: whether each weight is rounded up or down is learned, so that what the layer makes of its inputs comes nearest to
 * what it made before. Nagel, Amjad, van Baalen, Louizos, Blankevoort: Up or Down? Adaptive Rounding for Post-Training
 * Quantization. ICML 2020: the asymmetric reconstruction of equation 25 with the activation function left out. Without it
 * ‖Wx − Ŵx̂‖² over all samples depends on them by two matrices of products alone, so that gradients are of all samples at once
 * and take no data.
 */
import { settled } from './relaxation';

/** A layer, or one group of a convolution: outputs are columns. */
export interface Reconstruction {
  /** K, inputs of an output. */
  readonly rows: number;
  /** N, outputs. */
  readonly columns: number;
  /** K × N. */
  readonly weights: Float32Array;
  /** One per output. */
  readonly scales: ArrayLike<number>;
  /** Σ x̂x̂ᵀ, K × K: x̂ the inputs as the quantised layers before make them. */
  readonly gram: Float64Array;
  /** Σ x̂xᵀ, K × K: x the inputs of the layer before quantisation. */
  readonly cross: Float64Array;
  /** Codes go from −limit to limit. */
  readonly limit: number;
}

/** Weight of the regulariser; the error is counted in that of rounding to nearest, per weight. */
const REGULARISER = 0.5;

/** @returns K × N codes. An output for which nothing better was found than the nearest codes has these. */
export function adaround(layer: Reconstruction, iterations: number): Int8Array {
  const target = product(layer.cross, layer.weights, layer);
  const plain = nearest(layer, layer.scales);
  const errors = columnErrors(layer, plain, target);
  const total = errors.reduce((sum, error) => sum + error, 0);
  if (!(total > 0)) return plain;
  const codes = learned(layer, target, total, iterations);
  const better = columnErrors(layer, codes, target);
  const { columns } = layer;
  return codes.map((code, i) => (better[i % columns]! < errors[i % columns]! ? code : plain[i]!));
}

type Weights = Pick<Reconstruction, 'rows' | 'columns' | 'weights' | 'limit'>;

export const nearest = (layer: Weights, scales: ArrayLike<number>): Int8Array =>
  roundedBy({ ...layer, scales }, (fraction) => (fraction < 0.5 ? 0 : 1));

/** Codes by a rule for the fraction of each. */
function roundedBy(
  { weights, scales, columns, limit }: Weights & Pick<Reconstruction, 'scales'>,
  up: (fraction: number, i: number) => number,
): Int8Array {
  return Int8Array.from(weights, (weight, i) => {
    const real = weight / scales[i % columns]!;
    const floor = Math.floor(real);
    return Math.min(limit, Math.max(-limit, floor + up(real - floor, i)));
  });
}

/** A (K × K) times B (K × N). */
function product(
  a: Float64Array,
  b: Float32Array | Float64Array,
  { rows, columns }: Pick<Reconstruction, 'rows' | 'columns'>,
): Float64Array {
  const out = new Float64Array(rows * columns);
  multiply(a, b, out, rows, columns);
  return out;
}

/** Rows of B are taken four at a time: a row of the result stays in the first-level cache. */
function multiply(
  a: Float64Array,
  b: Float32Array | Float64Array,
  out: Float64Array,
  rows: number,
  columns: number,
): void {
  out.fill(0);
  for (let row = 0; row < rows; row++) {
    const [at, from] = [row * columns, row * rows];
    let k = 0;
    for (; k + 3 < rows; k += 4) {
      const [a0, a1, a2, a3] = [a[from + k]!, a[from + k + 1]!, a[from + k + 2]!, a[from + k + 3]!];
      const b0 = k * columns;
      const [b1, b2, b3] = [b0 + columns, b0 + 2 * columns, b0 + 3 * columns];
      for (let column = 0; column < columns; column++)
        out[at + column]! +=
          a0 * b[b0 + column]! + a1 * b[b1 + column]! + a2 * b[b2 + column]! + a3 * b[b3 + column]!;
    }
    for (; k < rows; k++) {
      const factor = a[from + k]!;
      for (let column = 0; column < columns; column++)
        out[at + column]! += factor * b[k * columns + column]!;
    }
  }
}

/** ‖Wx − Ŵx̂‖² of each output but for what does not depend on Ŵ, counted from the error of the exact weights. */
function columnErrors(layer: Reconstruction, codes: Int8Array, target: Float64Array): Float64Array {
  const { rows, columns, weights, scales, gram } = layer;
  const restored = Float64Array.from(codes, (code, i) => code * scales[i % columns]!);
  const [of, ofExact] = [product(gram, restored, layer), product(gram, weights, layer)];
  const errors = new Float64Array(columns);
  for (let i = 0; i < rows * columns; i++) {
    const exact = weights[i]! * (ofExact[i]! - 2 * target[i]!);
    errors[i % columns]! += restored[i]! * (of[i]! - 2 * target[i]!) - exact;
  }
  return errors;
}

/** @param unit the error that counts as one per weight */
function learned(
  layer: Reconstruction,
  target: Float64Array,
  unit: number,
  iterations: number,
): Int8Array {
  const { rows, columns, weights, scales, gram, limit } = layer;
  const reals = Float64Array.from(weights, (weight, i) => weight / scales[i % columns]!);
  const floors = reals.map(Math.floor);
  const [soft, products] = [new Float64Array(reals.length), new Float64Array(reals.length)];
  const perUnit = (2 * reals.length) / unit;
  const up = settled({
    fractions: reals.map((real, i) => real - floors[i]!),
    iterations,
    regulariser: REGULARISER,
    slopes(h, into) {
      for (let i = 0; i < soft.length; i++) {
        const code = Math.min(limit, Math.max(-limit, floors[i]! + h[i]!));
        soft[i] = scales[i % columns]! * code;
      }
      multiply(gram, soft, products, rows, columns);
      for (let i = 0; i < soft.length; i++) {
        const isCut = Math.abs(floors[i]! + h[i]!) >= limit;
        into[i] = isCut ? 0 : perUnit * scales[i % columns]! * (products[i]! - target[i]!);
      }
    },
  });
  return roundedBy(layer, (_, i) => up[i]!);
}

/** Shares of the range that are tried. */
const SHARES = Array.from({ length: 51 }, (_, i) => 1 - i / 100);

/** For each output the step with the least squared error of the weights, rounded to nearest. */
export function leastErrorScales({
  rows,
  columns,
  weights,
  limit,
}: Pick<Reconstruction, 'rows' | 'columns' | 'weights' | 'limit'>): Float32Array {
  const scales = new Float32Array(columns).fill(1);
  for (let column = 0; column < columns; column++) {
    let largest = 0;
    for (let row = 0; row < rows; row++)
      largest = Math.max(largest, Math.abs(weights[row * columns + column]!));
    let least = Infinity;
    for (const share of largest > 0 ? SHARES : []) {
      const scale = Math.fround((share * largest) / limit);
      let error = 0;
      for (let row = 0; row < rows; row++) {
        const weight = weights[row * columns + column]!;
        const code = Math.min(limit, Math.max(-limit, Math.round(weight / scale)));
        error += (weight - scale * code) ** 2;
      }
      if (error < least) [least, scales[column]] = [error, scale];
    }
  }
  return scales;
}
