import { describe, expect, it } from 'vitest';
import { GrowingHistogram } from '../../../language/runtime/perform/histogram';
import type { Histogram } from '../../../language/runtime/tasks';

/** Counts batch by batch. */
function count(bins: number, ...batches: (readonly number[])[]): Histogram {
  const histogram = new GrowingHistogram(bins);
  for (const batch of batches) {
    const span = { from: 0, step: 1, length: batch.length };
    histogram.add(batch, span, Math.min(...batch), Math.max(...batch));
  }
  return histogram.result();
}

const plain = ({ start, width, counts }: Histogram) => [start, width, [...counts]];

describe('a histogram that grows', () => {
  it('merges neighbours exactly when the range outgrows its bins', () => {
    expect(plain(count(4, [0, 1, 2, 3]))).toEqual([0, 1, [1, 1, 1, 1]]);
    expect(plain(count(4, [0, 1, 2, 3], [7.5]))).toEqual([0, 2, [2, 2, 0, 1]]);
    expect(plain(count(4, [1, 1.25], [-0.1, 3]))).toEqual([-2, 2, [1, 2, 1]]);
  });

  it('tells the same whatever the order and the batches', () => {
    const values = Array.from({ length: 400 }, (_, i) => Math.sin(i * 12.9898) * 10 ** (i % 5));
    const whole = count(64, values);
    expect(whole.counts.length).toBeGreaterThan(32);
    expect(whole.counts.reduce((a, b) => a + b)).toBe(400);
    const backwards = [...values].reverse().map((value) => [value]);
    expect(plain(count(64, ...backwards))).toEqual(plain(whole));
    for (const [bin, n] of whole.counts.entries()) {
      const low = whole.start + bin * whole.width;
      expect(values.filter((x) => x >= low && x < low + whole.width).length).toBe(n);
    }
  });

  it('holds constants, zeros, tiny and huge numbers', () => {
    expect(count(8, [0, 0, 0]).counts).toEqual(Float64Array.of(3));
    expect(count(8, [3], [3]).counts).toEqual(Float64Array.of(2));
    expect(plain(count(2, [0], [3e38, -3e38]))).toEqual([-(2 ** 128), 2 ** 128, [1, 2]]);
    expect(count(8, [1e-45], [2e-45]).counts.reduce((a, b) => a + b)).toBe(2);
    expect(count(8).counts).toEqual(new Float64Array(0));
  });
});
