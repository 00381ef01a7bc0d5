import { describe, expect, it } from 'vitest';
import { chooseMetric, relativeDrop } from '../../../language/data/metrics';
import type { MetricBatch } from '../../../language/data/metrics/metric';

const labels = (dims: number[], values: number[]) => ({ dims, values: Float64Array.from(values) });
const batch = (
  dims: number[],
  logits: number[],
  target: ReturnType<typeof labels> | undefined,
  mask?: ReturnType<typeof labels>,
): MetricBatch => ({
  samples: Array.from({ length: dims[0]! }, (_, i) => i),
  answers: new Map([['logits', { name: 'logits', dims, values: logits }]]),
  target,
  mask,
  extra: new Map(),
});
const judge = (id: string, ...batches: MetricBatch[]) => {
  const tally = chooseMetric({ id }).start();
  for (const each of batches) tally.add(each);
  return tally.score();
};

describe('top1', () => {
  it('counts over batches', () => {
    const first = batch([2, 3], [0, 5, 1, 9, 2, 3], labels([2], [1, 2]));
    const second = batch([1, 3], [-3, -2, -1], labels([1], [2]));
    expect(judge('top1', first, second)).toEqual({ value: 2 / 3, more: {} });
  });
  it('takes pooled maps, and targets of one column', () => {
    const maps = batch([2, 2, 1, 1], [1, 0, 0, 1], labels([2], [0, 1]));
    expect(judge('top1', maps).value).toBe(1);
    expect(judge('top1', batch([2, 1, 2], [1, 0, 0, 1], labels([2, 1], [1, 1]))).value).toBe(0.5);
  });
  it('takes what is not a number for wrong', () => {
    const broken = batch([3, 2], [NaN, NaN, 1, NaN, 2, 1], labels([3], [0, 0, 0]));
    expect(judge('top1', broken).value).toBeCloseTo(1 / 3);
  });
});

describe('perplexity', () => {
  // Softmax of logarithms gives the numbers back: probabilities ¼ ¾ and ½ ½.
  const logits = [1, 3, 1, 1].map(Math.log);
  const tokens = (mask?: ReturnType<typeof labels>) =>
    batch([1, 2, 2], logits, labels([1, 2], [0, 1]), mask);
  it('is the inverse geometric mean of the probabilities of what is true', () => {
    expect(judge('perplexity', tokens()).value).toBeCloseTo(Math.sqrt(4 * 2), 12);
    expect(judge('perplexity', tokens(), tokens()).value).toBeCloseTo(Math.sqrt(4 * 2), 12);
  });
  it('looks only where the mask says', () => {
    expect(judge('perplexity', tokens(labels([1, 2], [0, 1]))).value).toBeCloseTo(2, 12);
  });
  it('is exact for logits far from zero', () => {
    const far = batch([1, 2], [-1e9, -1e9 + Math.log(3)], labels([1], [1]));
    expect(judge('perplexity', far).value).toBeCloseTo(4 / 3, 6);
  });
  it('is infinite where the truth has no probability, or the answer is no number', () => {
    const never = batch([1, 2], [-Infinity, 0], labels([1], [0]));
    expect(judge('perplexity', never).value).toBe(Infinity);
    expect(judge('perplexity', batch([1, 2], [NaN, 0], labels([1], [1]))).value).toBe(Infinity);
  });
});

describe('answer-accuracy', () => {
  it('judges answers by the best token and everything by perplexity', () => {
    // Positions: right answer, wrong answer, wrong but no answer; each with probability ½ for the truth.
    const third = [1, 1].map(Math.log);
    const logits = [Math.log(2), Math.log(1), ...[Math.log(1), Math.log(2)], ...third];
    const text = batch([1, 3, 2], logits, labels([1, 3], [0, 0, 1]), labels([1, 3], [1, 1, 0]));
    const { value, more } = judge('answer-accuracy', text);
    expect(value).toBe(0.5);
    expect(more.perplexity).toBeCloseTo(((3 / 2) * 3 * 2) ** (1 / 3), 12);
  });
});

describe('what cannot be judged', () => {
  const one = labels([1], [0]);
  const cases: [string, () => unknown, RegExp][] = [
    ['an unknown metric', () => judge('top2'), /no metric top2.*Did you mean top1 or top5\?/],
    ['no samples', () => judge('top1'), /no samples/],
    ['no target', () => judge('top1', batch([1, 2], [0, 1], undefined)), /no target/],
    [
      'no mask',
      () => judge('answer-accuracy', batch([1, 2], [0, 1], one)),
      /which tokens are answers/,
    ],
    [
      'no answers',
      () => judge('answer-accuracy', batch([1, 2], [0, 1], one, one)),
      /no answer tokens/,
    ],
    [
      'a class too many',
      () => judge('top1', batch([2, 2], [0, 1, 0, 1], labels([2], [1, 2]))),
      /target 2 is none of the 2 classes.*sample 1/,
    ],
    [
      'a class between classes',
      () => judge('top1', batch([1, 2], [0, 1], labels([1], [0.5]))),
      /target 0\.5/,
    ],
    [
      'other sizes',
      () => judge('top1', batch([1, 4, 2], [0], labels([1, 3], [0, 0, 0]))),
      /logits of 1 × 4 × 2 does not fit a target of 1 × 3/,
    ],
  ];
  for (const [what, work, message] of cases)
    it(what, () => {
      expect(work).toThrow(message);
    });

  it('the wrong output', () => {
    const choose = (choice: { id: string; output?: string }, available: string[]) =>
      chooseMetric(choice).outputs(available);
    expect(choose({ id: 'top1' }, ['logits'])).toEqual(['logits']);
    expect(choose({ id: 'top1', output: 'b' }, ['a', 'b'])).toEqual(['b']);
    expect(() => choose({ id: 'top1' }, ['a', 'b'])).toThrow(/model has 2.*output: a, b/);
    expect(() => choose({ id: 'top1', output: 'c' }, ['a'])).toThrow(/no output c/);
    expect(() => chooseMetric({ id: 'top1', ouput: 'a' })).toThrow(/metric top1/);
  });
});

describe('relativeDrop', () => {
  const cases: [boolean, number, number, number][] = [
    [true, 0.8, 0.6, 0.25],
    [true, 0.8, 0.9, -0.125],
    [false, 4, 5, 0.25],
    [false, 4, 4, 0],
    [true, 0, 0, 0],
    [false, 4, Infinity, Infinity],
  ];
  for (const [higherIsBetter, before, after, drop] of cases)
    it(`from ${before} to ${after}`, () => {
      expect(relativeDrop({ higherIsBetter }, before, after)).toBeCloseTo(drop, 12);
    });
});
