/** Symmetric scales, one for many numbers: x ≈ s·code, codes from −2^(b−1) to 2^(b−1) − 1, or from 0 to 2^b − 1. */
import { roundHalfEven } from '../../affine';

export interface Codes {
  readonly low: number;
  readonly high: number;
}

export const codesOf = (bits: number, signed: boolean): Codes =>
  signed ? { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 } : { low: 0, high: 2 ** bits - 1 };

/** Shares of the range that are tried, all of it first. */
const SHARES = Array.from({ length: 60 }, (_, i) => 0.95 ** i);

/** @returns 1 where there is nothing but zero */
export function scaleOf(
  values: ArrayLike<number>,
  { low, high }: Codes,
  method: 'mse' | 'minmax',
): number {
  let [min, max] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    min = Math.min(min, values[i]!);
    max = Math.max(max, values[i]!);
  }
  const whole = Math.max(max / high, low < 0 ? min / low : 0);
  if (!(whole > 0)) return 1;
  if (method === 'minmax') return Math.fround(whole);
  let [best, least] = [whole, Infinity];
  for (const share of SHARES) {
    const scale = whole * share;
    let error = 0;
    for (let i = 0; i < values.length; i++) {
      const code = Math.min(high, Math.max(low, roundHalfEven(values[i]! / scale)));
      error += (values[i]! - scale * code) ** 2;
    }
    if (error < least) [best, least] = [scale, error];
  }
  return Math.fround(best);
}
