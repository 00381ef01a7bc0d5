/**
 * Whether each weight is rounded up or down, learned for all of them together: the relaxation of AdaRound. Nagel, Amjad, van
 * Baalen, Louizos, Blankevoort: Up or Down? Adaptive Rounding for Post-Training Quantization. ICML 2020: the rectified
 * sigmoid h(V) of equation 23 and the regulariser of equation 24 with an annealed β, by Adam.
 */

export interface Relaxation {
  /** What rounding down takes away from each weight, in steps: from 0 to 1. */
  readonly fractions: ArrayLike<number>;
  readonly iterations: number;
  /** Weight of the regulariser beside the error. */
  readonly regulariser: number;
  /** Writes the slope of the error by h of every weight. */
  readonly slopes: (h: Float64Array, into: Float64Array) => void;
}

/** Stretch of the sigmoid, ζ and γ, so that it reaches 0 and 1. */
const [ABOVE, BELOW] = [1.1, -0.1];
/** β falls from the first to the second. */
const [SHARP, SOFT] = [20, 2];
/** Share of the iterations before the regulariser sets in. */
const WARM = 0.2;
/** Adam: step, decays of both moments. */
const [STEP, DECAY, SQUARE_DECAY, TINY] = [0.02, 0.9, 0.999, 1e-8];

/** @returns 1 for weights that are rounded up, 0 for the others */
export function settled(relaxation: Relaxation): Uint8Array {
  const { fractions, iterations, regulariser, slopes } = relaxation;
  const open = Float64Array.from(fractions, openAt);
  const [h, slope] = [new Float64Array(open.length), new Float64Array(open.length)];
  const [mean, square] = [new Float64Array(open.length), new Float64Array(open.length)];
  for (let t = 1; t <= iterations; t++) {
    for (let i = 0; i < open.length; i++) h[i] = rectified(open[i]!);
    slopes(h, slope);
    const beta = betaAt(t / iterations);
    const [first, second] = [1 - DECAY ** t, 1 - SQUARE_DECAY ** t];
    for (let i = 0; i < open.length; i++) {
      if (h[i] === 0 || h[i] === 1) continue;
      const s = sigmoid(open[i]!);
      const push = beta === undefined ? 0 : regulariser * pushAt(h[i]!, beta);
      const down = (slope[i]! + push) * (ABOVE - BELOW) * s * (1 - s);
      mean[i] = DECAY * mean[i]! + (1 - DECAY) * down;
      square[i] = SQUARE_DECAY * square[i]! + (1 - SQUARE_DECAY) * down * down;
      open[i]! -= (STEP * (mean[i]! / first)) / (Math.sqrt(square[i]! / second) + TINY);
    }
  }
  return Uint8Array.from(open, (v) => (rectified(v) < 0.5 ? 0 : 1));
}

const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

/** h(V). */
const rectified = (v: number): number =>
  Math.min(1, Math.max(0, sigmoid(v) * (ABOVE - BELOW) + BELOW));

/** The V whose h is the fraction; not quite at the ends, from where no slope leads away. */
function openAt(fraction: number): number {
  const inside = Math.min(0.99, Math.max(0.01, fraction));
  return -Math.log((ABOVE - BELOW) / (inside - BELOW) - 1);
}

function betaAt(progress: number): number | undefined {
  if (progress < WARM) return undefined;
  return SOFT + (SHARP - SOFT) * ((1 - progress) / (1 - WARM));
}

/** The slope of 1 − |2h − 1|^β. */
function pushAt(h: number, beta: number): number {
  const off = 2 * h - 1;
  return -2 * beta * Math.sign(off) * Math.abs(off) ** (beta - 1);
}
