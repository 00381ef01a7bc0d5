import { describe, expect, it } from 'vitest';
import {
  patternTitle,
  zeroStructure,
  type Pattern,
  type WeightLayout,
} from '../../../language/cost/patterns';
import { layoutOf } from '../../../language/cost/sparsity';

/** Weights as outputs × inputs × taps, zero where the rule says so. */
function structure(
  [outputs, inputs, taps]: readonly [number, number, number],
  isZero: (output: number, input: number, tap: number) => boolean,
) {
  const layout: WeightLayout = {
    outputs,
    inputs,
    taps,
    strides: { output: inputs * taps, input: taps, tap: 1 },
  };
  return zeroStructure((index) => {
    const tap = index % taps;
    const input = Math.floor(index / taps) % inputs;
    return isZero(Math.floor(index / (taps * inputs)), input, tap);
  }, layout);
}

/** Scattered and the same on every run. */
const noise = (...at: number[]): number => {
  const mixed = at.reduce((h, x) => Math.imul(h ^ (x + 0x9e37), 0x85ebca6b) ^ (h >>> 13), 77);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
};

describe('zeroStructure', () => {
  const cases: readonly [
    string,
    readonly [number, number, number],
    Pattern,
    Parameters<typeof structure>[1],
  ][] = [
    ['none', [16, 16, 9], { kind: 'unstructured' }, () => false],
    ['anywhere', [32, 32, 9], { kind: 'unstructured' }, (o, i, t) => noise(o, i, t) < 0.7],
    ['whole outputs', [32, 16, 9], { kind: 'channel' }, (o) => noise(o) < 0.5],
    ['whole inputs', [32, 16, 1], { kind: 'channel' }, (_, i) => i % 3 === 0],
    [
      'squares',
      [64, 64, 1],
      { kind: 'block', outputs: 16, inputs: 16 },
      (o, i) => noise(o >> 4, i >> 4) < 0.5,
    ],
    [
      'rows of four',
      [32, 32, 1],
      { kind: 'block', outputs: 1, inputs: 4 },
      (o, i) => noise(o, i >> 2) < 0.5,
    ],
    [
      'taps punched through blocks',
      [32, 32, 9],
      { kind: 'block-punched', outputs: 8, inputs: 8 },
      (o, i, t) => noise(o >> 3, i >> 3, t) < 0.5,
    ],
    [
      'kernels of four shapes',
      [32, 32, 9],
      { kind: 'pattern', kept: 4, shapes: 4 },
      (o, i, t) => !SHAPES[Math.floor(4 * noise(o, i))]!.includes(t),
    ],
    [
      'two of four',
      [32, 32, 1],
      { kind: 'n:m', n: 2, m: 4 },
      (o, i) => {
        const first = Math.floor(4 * noise(o, i >> 2));
        const second = (first + 1 + Math.floor(3 * noise(o, i >> 2, 1))) % 4;
        return i % 4 !== first && i % 4 !== second;
      },
    ],
  ];

  it.each(cases)('%s', (_, size, pattern, isZero) => {
    expect(structure(size, isZero).pattern).toEqual(pattern);
  });

  it('forgives a few zeros that are there by chance', () => {
    const isZero = (o: number, i: number, t: number) => noise(o) < 0.5 || noise(o, i, t) < 0.002;
    expect(structure([64, 32, 9], isZero).pattern).toEqual({ kind: 'channel' });
  });

  it('says which rows and columns of the product hold anything', () => {
    const { filledRows, filledColumns } = structure([8, 4, 9], (o, i) => o < 2 || i === 3);
    expect([filledRows, filledColumns]).toEqual([0.75, 0.75]);
  });

  it('is named for people', () => {
    expect(patternTitle({ kind: 'n:m', n: 2, m: 4 })).toBe('2:4');
    expect(patternTitle({ kind: 'block', outputs: 1, inputs: 16 })).toBe('block (1×16)');
  });
});

const SHAPES = [
  [0, 1, 3, 4],
  [1, 2, 4, 5],
  [3, 4, 6, 7],
  [4, 5, 7, 8],
];

describe('where weights lie', () => {
  const conv = (kernel: number[], transposed = false) => ({
    conv: { kernel, transposed } as Parameters<typeof layoutOf>[1] extends infer L
      ? NonNullable<NonNullable<L>['conv' & keyof L]>
      : never,
  });

  it('in a convolution, channels first or last', () => {
    expect(layoutOf([8, 4, 3, 3], conv([3, 3]), false)).toEqual({
      outputs: 8,
      inputs: 4,
      taps: 9,
      strides: { output: 36, input: 9, tap: 1 },
    });
    expect(layoutOf([8, 3, 3, 4], conv([3, 3]), false)).toEqual({
      outputs: 8,
      inputs: 4,
      taps: 9,
      strides: { output: 36, input: 1, tap: 4 },
    });
    expect(layoutOf([4, 8, 3, 3], conv([3, 3], true), false)).toMatchObject({
      outputs: 8,
      inputs: 4,
    });
  });

  it('in a product, either way round', () => {
    const matmul = { batch: 1, m: 1, n: 10, k: 20, constant: 'b' as const };
    expect(layoutOf([20, 10], { matmul }, false)).toMatchObject({ outputs: 10, inputs: 20 });
    expect(layoutOf([10, 20], { matmul }, true)).toMatchObject({ outputs: 10, inputs: 20 });
  });
});
