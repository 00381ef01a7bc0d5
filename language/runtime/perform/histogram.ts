/**
 * A histogram over a range that nobody knows before: bins are a power of two wide and start at multiples of that, so that two
 * neighbours merge into one without a remainder when the range outgrows them. What comes out is the same whatever the order
 * of the elements: the finest such bins that the whole range fits into.
 */
import type { Histogram } from '../tasks';

/** Widths below this would not divide exactly. */
const LEAST_EXPONENT = -1000;
/** Positions of bins stay whole numbers that a double holds. */
const MOST_POSITIONS = 2 ** 50;

export class GrowingHistogram {
  #exponent = LEAST_EXPONENT;
  /** Position of the first bin, in widths. */
  #first = 0;
  #counts: Float64Array;
  #min = Infinity;
  #max = -Infinity;

  /** @param bins how many there may be: a power of two */
  constructor(private readonly bins: number) {
    this.#counts = new Float64Array(bins);
  }

  /**
   * Adds `length` elements of `values`, `step` apart. All have to be finite.
   * @param min and `max` of these elements
   */
  add(values: ArrayLike<number>, span: Span, min: number, max: number): void {
    this.#cover(min, max);
    const counts = this.#counts;
    const first = this.#first;
    const scale = 2 ** -this.#exponent;
    const { from, step, length } = span;
    for (let i = 0, at = from; i < length; i++, at += step)
      counts[Math.floor(values[at]! * scale) - first]!++;
  }

  result(): Histogram {
    const width = 2 ** this.#exponent;
    const [low, high] = [this.#min, this.#max].map((x) => Math.floor(x / width) - this.#first);
    if (this.#max < this.#min) return { start: 0, width, counts: new Float64Array(0) };
    return {
      start: (this.#first + low!) * width,
      width,
      counts: this.#counts.slice(low, high! + 1),
    };
  }

  /** Makes the bins wide enough for more elements. */
  #cover(min: number, max: number): void {
    const old = { min: this.#min, exponent: this.#exponent, first: this.#first };
    this.#min = Math.min(min, old.min);
    this.#max = Math.max(max, this.#max);
    this.#exponent = exponentFor(this.#min, this.#max, this.bins, old.exponent);
    this.#first = Math.floor(this.#min * 2 ** -this.#exponent);
    const isSame = this.#exponent === old.exponent && this.#first === old.first;
    if (isSame || old.min === Infinity) return;
    const shrink = 2 ** (old.exponent - this.#exponent);
    const counts = new Float64Array(this.bins);
    this.#counts.forEach((count, i) => {
      if (count > 0) counts[Math.floor((old.first + i) * shrink) - this.#first]! += count;
    });
    this.#counts = counts;
  }
}

/** Which elements of an array belong to something. */
export interface Span {
  readonly from: number;
  readonly step: number;
  readonly length: number;
}

/** The smallest exponent from `least` on with which a range needs no more than so many bins. */
function exponentFor(min: number, max: number, bins: number, least: number): number {
  const largest = Math.max(Math.abs(min), Math.abs(max));
  // A bound from below; what is left is a step or two.
  const guess = (x: number) => (x > 0 ? Math.floor(Math.log2(x)) - 1 : least);
  let exponent = Math.max(least, guess((max - min) / bins), guess(largest / MOST_POSITIONS));
  const position = (x: number) => Math.floor(x * 2 ** -exponent);
  while (position(max) - position(min) >= bins || largest * 2 ** -exponent > MOST_POSITIONS)
    exponent++;
  return exponent;
}
