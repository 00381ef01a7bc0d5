/** Ranges of activations that leave out what is rare, found on samples of their elements. */
import { affineOfRange } from './affine';
import type { Activations, Range } from './pass';

export type RangeMethod = 'percentile' | 'mse' | 'entropy';

/** Elements of one value that a search looks at; evenly spread over what there is. */
const LOOKED_AT = 65_536;

/**
 * @param percentile of the elements that lie within, in percent, for that method
 * @returns a range within the whole one
 */
export function narrowedRange(
  whole: Range,
  activations: Activations,
  method: RangeMethod,
  percentile: number,
): Range {
  const elements = spread(activations).sort();
  if (elements.length === 0) return whole;
  switch (method) {
    case 'percentile':
      return percentileRange(elements, percentile);
    case 'mse':
      return leastError(whole, elements);
    case 'entropy':
      return leastDivergence(whole, elements);
  }
}

function spread(activations: Activations): Float32Array {
  const total = activations.reduce((sum, { data }) => sum + data.length, 0);
  const step = Math.max(1, Math.ceil(total / LOOKED_AT));
  const out = new Float32Array(Math.ceil(total / step));
  let [at, next] = [0, 0];
  for (const { data } of activations) {
    for (; next < data.length; next += step) out[at++] = data[next]!;
    next -= data.length;
  }
  return out.subarray(0, at);
}

/** The rest is left out on both sides alike. */
function percentileRange(sorted: Float32Array, percentile: number): Range {
  const outside = (1 - percentile / 100) / 2;
  const last = sorted.length - 1;
  return {
    min: sorted[Math.floor(outside * last)]!,
    max: sorted[Math.ceil((1 - outside) * last)]!,
  };
}

/** Shares of the whole range that are tried, from all of it down. */
const SHARES = Array.from({ length: 40 }, (_, i) => 1 - i / 50);

const scaled = ({ min, max }: Range, share: number): Range => ({
  min: min * share,
  max: max * share,
});

/** The share of the range whose codes are nearest to the elements (OMSE; Choukroun et al., 2019). */
function leastError(whole: Range, elements: Float32Array): Range {
  return best(whole, (range) => {
    const { scale, zeroPoint } = affineOfRange(range);
    let error = 0;
    for (const element of elements) {
      const code = Math.min(255, Math.max(0, Math.round(element / scale) + zeroPoint));
      error += (element - scale * (code - zeroPoint)) ** 2;
    }
    return error;
  });
}

function best(whole: Range, cost: (range: Range) => number): Range {
  let [chosen, least] = [whole, Infinity];
  for (const share of SHARES) {
    const range = scaled(whole, share);
    const found = cost(range);
    if (found < least) [chosen, least] = [range, found];
  }
  return chosen;
}

const BINS = 2048;
const LEVELS = 256;

/**
 * The share of the range that loses the least information: the divergence of the histogram, what lies outside counted at
 * the ends, from the same in 256 levels (Migacz, GTC 2017).
 */
function leastDivergence(whole: Range, elements: Float32Array): Range {
  const width = (whole.max - whole.min) / BINS;
  if (!(width > 0)) return whole;
  const histogram = new Float64Array(BINS);
  for (const element of elements)
    histogram[Math.min(BINS - 1, Math.max(0, Math.floor((element - whole.min) / width)))]!++;
  const bin = (value: number) => Math.round((value - whole.min) / width);
  return best(whole, ({ min, max }) => divergence(histogram, bin(min), bin(max)));
}

function divergence(histogram: Float64Array, from: number, to: number): number {
  if (to - from < LEVELS) return Infinity;
  const inside = histogram.slice(from, to);
  const kept = Float64Array.from(inside);
  for (let i = 0; i < from; i++) kept[0]! += histogram[i]!;
  for (let i = to; i < histogram.length; i++) kept[kept.length - 1]! += histogram[i]!;
  const levelled = levels(inside);
  const [total, levelledTotal] = [sum(kept), sum(levelled)];
  if (levelledTotal === 0) return Infinity;
  let out = 0;
  for (let i = 0; i < kept.length; i++) {
    const p = kept[i]! / total;
    if (p > 0) out += p * Math.log(p / Math.max(levelled[i]! / levelledTotal, 1e-12));
  }
  return out;
}

/** Each level's mass spread evenly over those of its bins that hold anything. */
function levels(bins: Float64Array): Float64Array {
  const out = new Float64Array(bins.length);
  for (let level = 0; level < LEVELS; level++) {
    const [start, end] = [level, level + 1].map((i) => Math.floor((i * bins.length) / LEVELS)) as [
      number,
      number,
    ];
    const held = bins.subarray(start, end);
    const filled = held.reduce((count, mass) => count + (mass > 0 ? 1 : 0), 0);
    const mass = filled ? sum(held) / filled : 0;
    for (let i = start; i < end; i++) out[i] = bins[i]! > 0 ? mass : 0;
  }
  return out;
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
