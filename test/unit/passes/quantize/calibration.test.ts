import { describe, expect, it } from 'vitest';
import { narrowedRange, type RangeMethod } from '../../../../language/passes/calibration';

/** A bell of 60 000 elements within ±3, and one far outlier. */
function bell(outlier: number) {
  const data = Float32Array.from({ length: 60_000 }, (_, i) => {
    const u = (i + 0.5) / 60_000;
    return Math.max(-3, Math.min(3, Math.log(u / (1 - u)) / 2));
  });
  data[30_000] = outlier;
  return [{ dims: [1, data.length], data }];
}

describe('narrowedRange', () => {
  const methods: RangeMethod[] = ['percentile', 'mse', 'entropy'];

  it.each(methods)('leaves a far outlier out by %s', (method) => {
    const range = narrowedRange({ min: -3, max: 8 }, bell(8), method, 99.9);
    expect(range.max).toBeLessThan(8);
    expect(range.max).toBeGreaterThan(1);
    expect(range.min).toBeGreaterThanOrEqual(-3);
  });

  it.each(methods)('keeps the range of nothing but one number by %s', (method) => {
    const same = [{ dims: [4], data: Float32Array.of(0, 0, 0, 0) }];
    expect(narrowedRange({ min: 0, max: 0 }, same, method, 99)).toEqual({ min: 0, max: 0 });
  });

  it('falls back to the whole range where nothing was captured', () => {
    const whole = { min: -1, max: 2 };
    expect(narrowedRange(whole, [], 'mse', 99)).toBe(whole);
  });
});
