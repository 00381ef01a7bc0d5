import { describe, expect, it } from 'vitest';
import { chooseMetric } from '../../../language/data/metrics';
import type { MetricBatch } from '../../../language/data/metrics/metric';
import { PairedTallies } from '../../../language/data/metrics/paired';
import { randomStream } from '../../../language/data/random';

const SAMPLES = 2000;
const BATCH = 50;

/** Which samples a classifier of two classes gets right. */
type Hits = readonly boolean[];

function batchOf(hits: Hits, from: number): MetricBatch {
  const right = hits.slice(from, from + BATCH);
  return {
    samples: right.map((_, i) => from + i),
    answers: new Map([
      [
        'y',
        { name: 'y', dims: [BATCH, 2], values: right.flatMap((hit) => (hit ? [1, 0] : [0, 1])) },
      ],
    ]),
    target: { dims: [BATCH], values: new Float64Array(BATCH) },
    mask: undefined,
    extra: new Map(),
  };
}

const share = (hits: Hits): number => hits.filter(Boolean).length / hits.length;

function interval(reference: Hits, candidate: Hits) {
  const paired = new PairedTallies(chooseMetric({ id: 'top1' }), reference.length);
  for (let from = 0; from < reference.length; from += BATCH)
    paired.add(batchOf(reference, from), batchOf(candidate, from));
  const drop = (share(reference) - share(candidate)) / share(reference);
  return { drop, ...paired.interval(drop)! };
}

describe('the interval of a paired difference', () => {
  const random = randomStream('hits');
  const reference = Array.from({ length: SAMPLES }, () => random() < 0.9);

  it('is nothing for equal models', () => {
    expect(interval(reference, reference)).toEqual({ drop: 0, low: 0, high: 0 });
  });

  it('is as wide as the differences of the samples say, not as the models by themselves', () => {
    const candidate = reference.map((hit) => (random() < 0.04 ? !hit : hit));
    const { drop, low, high } = interval(reference, candidate);
    expect((low + high) / 2).toBeCloseTo(drop, 12);
    const differences = reference.map((hit, i) => Number(hit) - Number(candidate[i]));
    const mean = differences.reduce((sum, d) => sum + d, 0) / SAMPLES;
    const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / SAMPLES;
    const expected = (1.96 * Math.sqrt(variance / SAMPLES)) / share(reference);
    // With 20 groups the width itself is known to about a sixth.
    expect((high - low) / 2 / expected).toBeGreaterThan(0.6);
    expect((high - low) / 2 / expected).toBeLessThan(1.6);
  });

  it('is refused for fewer samples than groups', () => {
    const metric = chooseMetric({ id: 'top1' });
    expect(() => new PairedTallies(metric, 19)).toThrow('at least 20 samples');
  });
});
