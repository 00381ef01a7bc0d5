/**
 * AdaRound: whether each weight is rounded up or down is learned, so that what the layer makes of its inputs comes nearest to
 * what it made before. Nagel, Amjad, van Baalen, Louizos, Blankevoort: Up or Down? Adaptive Rounding for Post-Training
 * Quantization. ICML 2020: the soft rounding of equations 22 and 23, the regulariser of 24 with an annealed β, and the
 * asymmetric reconstruction of 25 with the activation function left out. Without it ‖Wx − Ŵx̂‖² over all samples depends on
 * them by two matrices of products alone, so that gradients are of all samples at once and take no data.
 */

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

/** Stretch of the sigmoid, ζ and γ, so that it reaches 0 and 1. */
const [ABOVE, BELOW] = [1.1, -0.1];
/** β falls from the first to the second. */
const [SHARP, SOFT] = [20, 2];
/** Share of the iterations before the regulariser sets in. */
const WARM = 0.2;
/** Weight of the regulariser; the error is counted in that of rounding to nearest, per weight. */
const REGULARISER = 0.5;
/** Adam: step, decays of both moments. */
const [STEP, DECAY, SQUARE_DECAY, TINY] = [0.02, 0.9, 0.999, 1e-8];

/** @returns K × N codes. An output for which nothing better was found than the nearest codes has these. */
export function adaround(layer: Reconstruction, iterations: number): Int8Array {
  const target = product(layer.cross, layer.weights, layer);
  const plain = nearest(layer, layer.scales);
  const errors = columnErrors(layer, plain, target);
  const total = errors.reduce((sum, error) => sum + error, 0);
  if (!(total > 0)) return plain;
  const learned = new Softened(layer, target, total).learn(iterations);
  const better = columnErrors(layer, learned, target);
  const { columns } = layer;
  return learned.map((code, i) => (better[i % columns]! < errors[i % columns]! ? code : plain[i]!));
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

class Softened {
  readonly #floors: Int8Array;
  /** V of the paper, where h(V) begins at the fraction that rounding takes away. */
  readonly #open: Float64Array;
  readonly #soft: Float64Array;
  readonly #product: Float64Array;

  /** @param unit the error that counts as one per weight */
  constructor(
    private readonly layer: Reconstruction,
    private readonly target: Float64Array,
    private readonly unit: number,
  ) {
    const { weights, scales, columns } = layer;
    this.#floors = roundedBy({ ...layer, limit: 127 }, () => 0);
    this.#open = Float64Array.from(weights, (weight, i) => {
      const real = weight / scales[i % columns]!;
      const fraction = Math.min(0.99, Math.max(0.01, real - Math.floor(real)));
      return -Math.log((ABOVE - BELOW) / (fraction - BELOW) - 1);
    });
    this.#soft = new Float64Array(weights.length);
    this.#product = new Float64Array(weights.length);
  }

  learn(iterations: number): Int8Array {
    const count = this.#open.length;
    const [mean, square] = [new Float64Array(count), new Float64Array(count)];
    for (let i = 1; i <= iterations; i++) {
      const progress = i / iterations;
      const left = Math.max(0, (1 - progress) / (1 - WARM));
      const beta = progress < WARM ? undefined : SOFT + (SHARP - SOFT) * left;
      const [first, second] = [1 - DECAY ** i, 1 - SQUARE_DECAY ** i];
      this.#descend(beta, (at, slope) => {
        mean[at] = DECAY * mean[at]! + (1 - DECAY) * slope;
        square[at] = SQUARE_DECAY * square[at]! + (1 - SQUARE_DECAY) * slope * slope;
        this.#open[at]! -= (STEP * (mean[at] / first)) / (Math.sqrt(square[at] / second) + TINY);
      });
    }
    return roundedBy(this.layer, (_, i) => (stretched(this.#open[i]!) < 0.5 ? 0 : 1));
  }

  /** Hands the slope of the loss at every open number to the optimiser. */
  #descend(beta: number | undefined, step: (at: number, slope: number) => void): void {
    const { rows, columns, scales, gram, limit } = this.layer;
    const [open, soft, floors] = [this.#open, this.#soft, this.#floors];
    for (let i = 0; i < soft.length; i++) {
      const code = floors[i]! + stretched(open[i]!);
      soft[i] = scales[i % columns]! * Math.min(limit, Math.max(-limit, code));
    }
    multiply(gram, soft, this.#product, rows, columns);
    const perUnit = (2 * soft.length) / this.unit;
    for (let i = 0; i < soft.length; i++) {
      const sigmoid = 1 / (1 + Math.exp(-open[i]!));
      const h = sigmoid * (ABOVE - BELOW) + BELOW;
      if (h <= 0 || h >= 1) continue;
      const code = floors[i]! + h;
      const isCut = code <= -limit || code >= limit;
      let slope = isCut
        ? 0
        : perUnit * scales[i % columns]! * (this.#product[i]! - this.target[i]!);
      if (beta !== undefined) {
        const off = 2 * h - 1;
        slope -= REGULARISER * 2 * beta * Math.sign(off) * Math.abs(off) ** (beta - 1);
      }
      step(i, slope * (ABOVE - BELOW) * sigmoid * (1 - sigmoid));
    }
  }
}

/** h(V): the rectified sigmoid. */
const stretched = (open: number): number =>
  Math.min(1, Math.max(0, (1 / (1 + Math.exp(-open))) * (ABOVE - BELOW) + BELOW));

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
