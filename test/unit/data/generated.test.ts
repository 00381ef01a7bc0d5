import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../../language/data/dataset';
import type { ModelInput } from '../../../language/data/feed';
import type { Sizes } from '../../../language/data/generated';

const made = (input: Omit<ModelInput, 'name'>, sizes: Sizes = {}, samples = 3, seed = 0) => {
  const dataset = loadDataset({ source: { generated: {} }, samples, seed }, '.');
  const binding = dataset.bind([{ name: 'x', ...input }], sizes);
  return [...binding.batches(1)].map((batch) => batch.inputs.get('x')!);
};
const numbers = (feeds: ReturnType<typeof made>) =>
  feeds.flatMap(({ data }) => Array.from(data as ArrayLike<number | bigint>, Number));

describe('made-up inputs', () => {
  it('say that they are made up', () => {
    const dataset = loadDataset({ source: { generated: {} } }, '.');
    expect(dataset).toMatchObject({ generated: true, name: 'made-up inputs', samples: 8 });
  });

  it('are the same every time, and others for another seed, sample or input', () => {
    const input = { elementType: 'float32', shape: [1, 50] } as const;
    expect(made(input)).toEqual(made(input));
    expect(made(input)).not.toEqual(made(input, {}, 3, 1));
    const [first, second] = made(input);
    expect(first).not.toEqual(second);
  });

  it('are standard normal where they are floats', () => {
    const values = numbers(made({ elementType: 'float32', shape: [1, 20_000] }, {}, 1));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('stay below the size of what they index', () => {
    const values = numbers(made({ elementType: 'int64', shape: [1, 500], below: 7 }));
    expect([...new Set(values)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('are 1 for integers that index nothing, all bytes, both booleans, and texts', () => {
    expect(new Set(numbers(made({ elementType: 'int32', shape: [1, 50] })))).toEqual(new Set([1]));
    const bytes = numbers(made({ elementType: 'uint8', shape: [1, 5000] }));
    expect([Math.min(...bytes), Math.max(...bytes)]).toEqual([0, 255]);
    expect(new Set(numbers(made({ elementType: 'bool', shape: [1, 50] })))).toEqual(
      new Set([0, 1]),
    );
    expect(made({ elementType: 'string', shape: [2] })[0]!.data).toEqual(['a', 'a']);
  });

  const shapes: [string, ModelInput['shape'], Sizes, number[] | RegExp][] = [
    ['fixed', [2, 3], {}, [2, 3]],
    ['with a free batch', ['batch', 3], {}, [1, 3]],
    ['with a batch given', ['batch', 3], { batch: 4 }, [4, 3]],
    ['with a symbol given', ['batch', 'sequence'], { sequence: 5 }, [1, 5]],
    ['given as a whole', [null, null], { x: [2, 9] }, [2, 9]],
    ['given as a whole without rank', undefined, { x: [2] }, [2]],
    [
      'with a free symbol',
      ['batch', 'sequence'],
      {},
      /sequence is free \(input x\).*shapes: \{ sequence/,
    ],
    ['with an unnamed dimension', [1, null], {}, /\? is free/],
    ['without rank', undefined, {}, /how many dimensions/],
    ['named like a built-in property', ['n', 'constructor'], {}, /constructor is free/],
    ['beyond reason', [1, 2 ** 40], {}, /1 × 1099511627776 can be made up/],
    ['negative', [1, -4], {}, /1 × -4 can be made up/],
  ];
  for (const [what, shape, sizes, expected] of shapes)
    it(`have the model's shape: ${what}`, () => {
      const dims = () => made({ elementType: 'float32', shape }, sizes)[0]!.dims;
      if (expected instanceof RegExp) expect(dims).toThrow(expected);
      else expect(dims()).toEqual(expected);
    });

  it('are refused where they cannot be made', () => {
    for (const elementType of ['sequence', 'bfloat16', 'complex64'] as const)
      expect(() => made({ elementType, shape: [1] })).toThrow(`no input of ${elementType}`);
  });
});
