/** Metrics of maps, boxes, points, images and noise, on answers small enough to judge by hand. */
import { describe, expect, it } from 'vitest';
import { chooseMetric } from '../../../language/data/metrics';
import type { MetricBatch } from '../../../language/data/metrics/metric';
import { eigen } from '../../../language/data/metrics/symmetric';
import type { MetricChoice } from '../../../language/data/description';
import { range } from './arrays';

type Numbers = readonly [dims: readonly number[], values: readonly number[]];
interface Case {
  readonly outputs: Readonly<Record<string, Numbers>>;
  readonly target: Numbers;
  readonly mask?: Numbers;
  readonly extra?: Readonly<Record<string, Numbers>>;
}
const labels = ([dims, values]: Numbers) => ({ dims, values: Float64Array.from(values) });
const batchOf = ({ outputs, target, mask, extra = {} }: Case): MetricBatch => ({
  samples: range(target[0][0]!),
  answers: new Map(
    Object.entries(outputs).map(([name, [dims, values]]) => [name, { name, dims, values }]),
  ),
  target: labels(target),
  mask: mask && labels(mask),
  extra: new Map(Object.entries(extra).map(([name, numbers]) => [name, labels(numbers)])),
});
const judge = (choice: MetricChoice, ...cases: Case[]) => {
  const tally = chooseMetric(choice).start();
  for (const each of cases) tally.add(batchOf(each));
  return tally.score();
};
const y = (dims: number[], values: number[]) => ({ y: [dims, values] as const });

describe('top5', () => {
  it('takes the five best, ties in order', () => {
    const outputs = y([2, 7], [7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    const found = (a: number, b: number) =>
      judge({ id: 'top5' }, { outputs, target: [[2], [a, b]] });
    expect(found(4, 4)).toEqual({ value: 1, more: { top1: 0 } });
    expect(found(5, 0)).toEqual({ value: 0.5, more: { top1: 0.5 } });
  });
});

describe('miou', () => {
  // Two pixels a row; classes 0 0 1 predicted as 0 1 1.
  const scores = y([1, 2, 1, 3], [1, 0, 0, 0, 1, 1]);
  it('averages over the classes that there are', () => {
    const { value, more } = judge(
      { id: 'miou', classes: ['sky', 'road'] },
      {
        outputs: scores,
        target: [
          [1, 1, 3],
          [0, 0, 1],
        ],
      },
    );
    expect(value).toBeCloseTo(0.5, 12);
    expect(more).toEqual({ pixel_accuracy: 2 / 3, sky: 0.5, road: 0.5 });
  });
  it('takes classes themselves, and passes over labels that do not count', () => {
    const outputs = y([1, 1, 3], [0, 1, 1]);
    expect(
      judge(
        { id: 'miou', ignore: [255] },
        {
          outputs,
          target: [
            [1, 1, 3],
            [0, 255, 1],
          ],
        },
      ).value,
    ).toBe(1);
    expect(() =>
      judge(
        { id: 'miou' },
        {
          outputs,
          target: [
            [1, 1, 3],
            [0, -1, 1],
          ],
        },
      ),
    ).toThrow(/label -1 is no class.*ignore/);
  });
});

describe('absrel', () => {
  it('compares depths, also as powers', () => {
    const outputs = y([1, 1, 2], [2, 1]);
    const target: Numbers = [
      [1, 2],
      [1, 1],
    ];
    const { value, more } = judge({ id: 'absrel' }, { outputs, target });
    expect([value, more.delta1, more.rmse]).toEqual([0.5, 0.5, Math.SQRT1_2]);
    expect(judge({ id: 'absrel', base: 10 }, { outputs, target }).value).toBeCloseTo(4.5, 12);
    const mask: Numbers = [
      [1, 2],
      [0, 1],
    ];
    expect(judge({ id: 'absrel' }, { outputs, target, mask }).value).toBe(0);
    expect(() =>
      judge(
        { id: 'absrel' },
        {
          outputs,
          target: [
            [1, 2],
            [1, 0],
          ],
        },
      ),
    ).toThrow(/depth of 0.*sample 0/);
  });
});

describe('psnr and ssim', () => {
  const size = 12 * 12;
  const wave = range(size).map((i) => 0.5 + 0.4 * Math.sin(i));
  const image = (values: number[]) => y([1, 1, 12, 12], values);
  const target: Numbers = [[1, 1, 12, 12], wave];
  it('psnr clips and averages over images', () => {
    const outputs = y([2, 1, 1, 2], [2, 1, 0.9, 1]);
    const found = judge(
      { id: 'psnr' },
      {
        outputs,
        target: [
          [2, 1, 1, 2],
          [0, 1, 1, 1],
        ],
      },
    );
    expect(found.value).toBeCloseTo((10 * Math.log10(2) + 10 * Math.log10(200)) / 2, 9);
    expect(judge({ id: 'psnr' }, { outputs: image(wave), target }).value).toBe(Infinity);
  });
  it('ssim is 1 for the same, less for noise and shifts, negative for the opposite', () => {
    const found = (change: (v: number, i: number) => number) =>
      judge({ id: 'ssim' }, { outputs: image(wave.map(change)), target }).value;
    expect(found((v) => v)).toBeCloseTo(1, 12);
    expect(found((v) => v / 2 + 0.25)).toBeLessThan(0.9);
    expect(found((v) => 1 - v)).toBeLessThan(-0.5);
    // Flat images leave the term of the means: (2ab + c1) / (a² + b² + c1).
    const flat = (v: number) => range(size).map(() => v);
    const means = judge(
      { id: 'ssim' },
      { outputs: image(flat(0.2)), target: [target[0], flat(0.6)] },
    );
    expect(means.value).toBeCloseTo((0.24 + 1e-4) / (0.4 + 1e-4), 9);
  });
});

describe('eps-mse', () => {
  it('is the mean over everything', () => {
    const first = {
      outputs: y([1, 2], [1, 2]),
      target: [
        [1, 2],
        [0, 0],
      ] as Numbers,
    };
    const second = {
      outputs: y([1, 2], [0, 1]),
      target: [
        [1, 2],
        [0, 0],
      ] as Numbers,
    };
    expect(judge({ id: 'eps-mse' }, first, second).value).toBe(1.5);
    expect(() =>
      judge(
        { id: 'eps-mse' },
        {
          ...first,
          target: [
            [1, 3],
            [0, 0, 0],
          ],
        },
      ),
    ).toThrow(/output y of 1 × 2 does not fit a target of 1 × 3/);
  });
});

describe('peak-f1', () => {
  /** 5 × 5 with peaks at (1, 1) and (4, 4). */
  const map = range(25).map((i) => (i === 6 ? 0.9 : i === 24 ? 0.8 : i === 7 ? 0.5 : 0));
  const outputs = y([1, 1, 5, 5], map);
  const choice = { id: 'peak-f1', radius: 1 };
  it('matches peaks to the nearest free points', () => {
    const { value, more } = judge(choice, {
      outputs,
      target: [
        [1, 2, 1, 2],
        [1, 2, 0, 4],
      ],
    });
    expect([value, more.precision, more.recall]).toEqual([0.5, 0.5, 0.5]);
  });
  it('looks only for visible points', () => {
    const target: Numbers = [
      [1, 2, 1, 2],
      [1, 1, 9, 9],
    ];
    const found = judge(choice, {
      outputs,
      target,
      mask: [
        [1, 2, 1],
        [1, 0],
      ],
    });
    expect(found.more).toEqual({ precision: 0.5, recall: 1 });
  });
  it('does not match a point twice', () => {
    const both = y([1, 1, 1, 5], [0.9, 0, 0.8, 0, 0]);
    const found = judge(choice, {
      outputs: both,
      target: [
        [1, 1, 1, 2],
        [1, 0],
      ],
    });
    expect(found.more).toEqual({ precision: 0.5, recall: 1 });
  });
});

describe('pck', () => {
  const target: Numbers = [
    [1, 2, 2],
    [0, 0, 10, 10],
  ];
  it('judges coordinates by a share of the size', () => {
    const outputs = y([1, 4], [1, 0, 10, 13]);
    expect(judge({ id: 'pck', share: 0.2, size: 10 }, { outputs, target }).value).toBe(0.5);
    const extra = { size: [[1], [15]] as Numbers };
    expect(judge({ id: 'pck', share: 0.2 }, { outputs, target, extra }).value).toBe(1);
    expect(() => judge({ id: 'pck', share: 0.2 }, { outputs, target })).toThrow(
      /size of the objects/,
    );
  });
  it('reads the highest pixel of heat maps', () => {
    const outputs = y([1, 2, 1, 3], [1, 0, 0, 0, 0, 1]);
    const decoder = { kind: 'highest', stride: 5 };
    const found = judge(
      { id: 'pck', share: 0.1, size: 10, decoder },
      {
        outputs,
        target: [
          [1, 2, 2],
          [0, 0, 10, 0],
        ],
      },
    );
    expect(found.value).toBe(1);
  });
});

describe('map', () => {
  const boxes = { kind: 'boxes', boxes: 'b', scores: 's' };
  const target: Numbers = [
    [1, 2, 4],
    [0, 0, 10, 10, 20, 20, 30, 30],
  ];
  const extra = {
    class: [
      [1, 2],
      [0, 0],
    ] as Numbers,
  };
  const found = (list: number[][], scores: number[], decoder: object = boxes) =>
    judge(
      { id: 'map', decoder },
      {
        outputs: {
          b: [[1, list.length, 4], list.flat()],
          s: [[1, list.length, 1], scores],
        },
        target,
        extra,
      },
    );
  const first = [0, 0, 10, 10];
  const second = [20, 20, 30, 30];
  it('is 1 where every box is found, and falls with false ones before true ones', () => {
    expect(found([first, second], [0.9, 0.8]).value).toBe(1);
    const wrong = found([[50, 50, 60, 60], first, second], [0.95, 0.9, 0.8]);
    expect(wrong.value).toBeCloseTo(2 / 3, 12);
    expect(found([first], [0.9]).value).toBe(0.5);
  });
  it('asks for the overlap', () => {
    // IoU 0.8 with the first: found up to 0.80.
    const { value, more } = found([[0, 0, 10, 8], second], [0.9, 0.8]);
    expect(more).toEqual({ map50: 1, map75: 1 });
    expect(value).toBeCloseTo((7 + 3 * 0.25) / 10, 12);
  });
  it('counts a second box on the same object as false, unless suppressed', () => {
    const twice = [first, [0, 0, 10, 9], second];
    expect(found(twice, [0.9, 0.85, 0.8]).value).toBeCloseTo((1 + 2 / 3) / 2, 12);
    expect(found(twice, [0.9, 0.85, 0.8], { ...boxes, overlap: 0.5 }).value).toBe(1);
  });
  it('reads a grid of centres', () => {
    // One class on 2 × 2 cells of 10 pixels: cell (1, 0) fires, its box is 10 × 20 around (15, 5).
    const logits = [-9, 4, -9, -9];
    const rest = [...range(8).map(() => 0), ...[0, 0, 0, 0], ...range(4).map(() => Math.log(2))];
    const outputs = {
      m: [
        [1, 5, 2, 2],
        [...logits, ...rest],
      ] as Numbers,
    };
    const grid = { id: 'map', decoder: { kind: 'centre-grid', stride: 10 }, format: 'centre-size' };
    const truth = {
      target: [
        [1, 1, 4],
        [15, 5, 10, 20],
      ] as Numbers,
      extra: { class: [[1, 1], [0]] as Numbers },
    };
    expect(judge(grid, { outputs, ...truth }).value).toBeCloseTo(1, 12);
    expect(() => judge(grid, { outputs: { m: [[1, 4, 2, 2], range(16)] }, ...truth })).toThrow(
      /output m of 1 × 4 × 2 × 2 is not N × \(classes \+ 4\)/,
    );
  });
});

describe('tokens', () => {
  const two = (choices: number[]) =>
    y(
      [1, choices.length, 2],
      choices.flatMap((c) => [1 - c, c]),
    );
  it('token-perplexity looks at the chosen positions', () => {
    const outputs = y([1, 3, 2], [0, 9, 0, 0, Math.log(3), 0]);
    const found = judge(
      { id: 'token-perplexity', positions: [1] },
      {
        outputs,
        target: [
          [1, 3],
          [0, 1, 0],
        ],
      },
    );
    expect(found.value).toBeCloseTo(Math.sqrt(2 * (4 / 3)), 12);
    expect(found.more.top1).toBe(0.5);
  });
  it('masked-accuracy passes over negative labels', () => {
    const found = judge(
      { id: 'masked-accuracy' },
      {
        outputs: two([1, 0, 1]),
        target: [
          [1, 3],
          [-100, 0, 0],
        ],
      },
    );
    expect(found.value).toBe(0.5);
  });
  it('exact-match wants whole texts', () => {
    const answer = {
      outputs: two([1, 1, 0, 1, 1]),
      target: [
        [1, 5],
        [1, 0, 0, 1, 1],
      ] as Numbers,
      mask: [
        [1, 5],
        [1, 1, 0, 1, 1],
      ] as Numbers,
    };
    expect(judge({ id: 'exact-match' }, answer)).toEqual({
      value: 0,
      more: { token_accuracy: 0.75 },
    });
    expect(judge({ id: 'exact-match', per: 'answer' }, answer).value).toBe(0.5);
  });
  it('answer-accuracy tells groups apart', () => {
    const found = judge(
      { id: 'answer-accuracy', groups: ['easy', 'hard'] },
      {
        outputs: two([1, 1, 0]),
        target: [
          [1, 3],
          [1, 0, 0],
        ],
        mask: [
          [1, 3],
          [1, 1, 1],
        ],
        extra: {
          group: [
            [1, 3],
            [0, 1, 1],
          ],
        },
      },
    );
    expect([found.more.easy, found.more.hard]).toEqual([1, 0.5]);
  });
});

describe('frechet', () => {
  it('is the distance of two normal distributions', () => {
    // Along each axis −1, 1 about 0 and −2, 2 about 3: |μ|² = 9, (σ − σ*)² = 2·(2 − 1)² per axis with n − 1.
    const outputs = y([2, 1], [-1, 1]);
    const value = judge(
      { id: 'frechet' },
      {
        outputs,
        target: [
          [2, 1],
          [1, 5],
        ],
      },
    ).value;
    expect(value).toBeCloseTo(9 + 2, 9);
    expect(
      judge(
        { id: 'frechet' },
        {
          outputs,
          target: [
            [2, 1],
            [-1, 1],
          ],
        },
      ).value,
    ).toBeCloseTo(0, 12);
  });
  it('does not change with the axes', () => {
    const cloud = range(60).map((i) => Math.sin(7 * i * i));
    const other = range(60).map((i) => 2 * Math.cos(5 * i * i) + (i % 3));
    const turned = (values: number[]) =>
      range(20).flatMap((i) => {
        const [a, b, c] = values.slice(3 * i, 3 * i + 3) as [number, number, number];
        return [0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b, c];
      });
    const distance = (a: number[], b: number[]) =>
      judge({ id: 'frechet' }, { outputs: y([20, 3], a), target: [[20, 3], b] }).value;
    expect(distance(turned(cloud), turned(other))).toBeCloseTo(distance(cloud, other), 9);
    expect(distance(cloud, other)).toBeGreaterThan(0.5);
  });
  it('finds eigenvalues', () => {
    const { values } = eigen(Float64Array.from([2, 1, 0, 1, 2, 1, 0, 1, 2]), 3);
    const sorted = [...values].sort((a, b) => a - b);
    [2 - Math.SQRT2, 2, 2 + Math.SQRT2].forEach((value, i) => {
      expect(sorted[i]).toBeCloseTo(value, 12);
    });
  });
});
