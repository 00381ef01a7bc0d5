import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadDataset, type Batch } from '../../../language/data/dataset';
import type { Description } from '../../../language/data/description';
import { cleanShares } from '../../../language/data/diffusion';
import type { ModelInput } from '../../../language/data/feed';
import type { Shape } from '../../../language/onnx/model';
import { npy, npz, range, testFolder } from './arrays';

const folder = testFolder();
folder.write(
  'data.npz',
  npz({
    pictures: npy('|u1', [4, 2, 2, 3], range(48)), // N H W C
    planes: npy('|u1', [4, 3, 2, 2], range(48)), // N C H W
    wide: npy('<u2', [4, 3, 2, 2], range(48)),
    ids: npy('<u2', [4, 5], range(20, 100)),
    labels: npy('<i8', [4], [3, 1, 2, 0]),
    steps: npy('<i2', [4], [0, 1, 2, 3]),
    marks: npy(
      '|u1',
      [4, 5],
      range(20).map((i) => i % 2),
    ),
    floats: npy('<f4', [4, 2], [0, 1, 2, 3, NaN, 5, 6, 7]),
    halves: npy('<f4', [4, 2], [0, 1, 2, 3.5, 4, 5, 6, 7]),
    few: npy('|u1', [3], [1, 2, 3]),
    none: npy('|u1', [0, 2], []),
  }),
);

const describeData = (rest: Omit<Extract<Description, { inputs: object }>, 'source'>) => ({
  source: { npz: './data.npz' },
  ...rest,
});
const load = (...[rest, options]: [Parameters<typeof describeData>[0], object?]) =>
  loadDataset(describeData(rest), folder.path, options);
const input = (
  name: string,
  shape?: Shape,
  elementType: ModelInput['elementType'] = 'float32',
) => ({
  name,
  elementType,
  shape,
});
const numbersOf = (batch: Batch | undefined, name: string) =>
  Array.from(batch!.inputs.get(name)!.data as ArrayLike<number | bigint>, Number);

describe('inputs', () => {
  it.each(['planes', 'wide'])(
    'of %s are scaled, shifted and divided, per channel where asked',
    (array) => {
      const dataset = load({
        inputs: {
          x: { array, scale: '1/2', mean: [1, 2, 3], std: [1, 2, 4], layout: 'NCHW' },
        },
      });
      const [batch] = dataset.bind([input('x', ['n', 3, 2, 2])]).batches(1);
      const expected = range(12).map((v, i) => {
        const channel = Math.floor(i / 4);
        return (v / 2 - [1, 2, 3][channel]!) / [1, 2, 4][channel]!;
      });
      expect(numbersOf(batch, 'x')).toEqual(expected);
      expect(batch!.inputs.get('x')!.dims).toEqual([1, 3, 2, 2]);
    },
  );

  it('are laid out as the model takes them', () => {
    const dataset = load({
      inputs: {
        x: { array: 'pictures', mean: [0, 100, 200], layout: 'NCHW', stored: 'NHWC' },
      },
    });
    const [, second] = dataset.bind([input('x', ['n', 3, 2, 2])]).batches(1);
    // Element (c, h, w) of sample 1 is stored at 12 + h·6 + w·3 + c.
    const expected = [0, 1, 2].flatMap((c) =>
      [0, 1].flatMap((h) => [0, 1].map((w) => 12 + h * 6 + w * 3 + c - 100 * c)),
    );
    expect(numbersOf(second, 'x')).toEqual(expected);
  });

  it('are sliced along the axis after the samples, beside targets and masks', () => {
    const dataset = load({
      inputs: { input_ids: { array: 'ids', slice: [0, -1] } },
      target: { array: 'ids', slice: [1], mask: { array: 'marks', slice: [1] } },
      extra: { last: { array: 'ids', slice: [-2, 9] } },
    });
    const [first, second] = dataset.bind([input('input_ids', ['b', 's'], 'int64')]).batches(2);
    expect(first!.inputs.get('input_ids')).toEqual({
      type: 'int64',
      dims: [2, 4],
      data: BigInt64Array.from([100n, 101n, 102n, 103n, 105n, 106n, 107n, 108n]),
    });
    expect(first!.target).toEqual({
      dims: [2, 4],
      values: Float64Array.from([101, 102, 103, 104, 106, 107, 108, 109]),
    });
    expect([...first!.mask!.values]).toEqual([1, 0, 1, 0, 0, 1, 0, 1]);
    expect([...second!.extra.get('last')!.values]).toEqual([113, 114, 118, 119]);
  });

  it('take the element type of the model', () => {
    const feed = (elementType: ModelInput['elementType']) => {
      const dataset = load({ inputs: { x: { array: 'few' } } });
      return [...dataset.bind([input('x', ['n'], elementType)]).batches(3)][0]!.inputs.get('x')!;
    };
    expect(feed('float16').data).toEqual(Uint16Array.from([0x3c00, 0x4000, 0x4200]));
    expect(feed('float64').data).toEqual(Float64Array.from([1, 2, 3]));
    expect(feed('int32').data).toEqual(Int32Array.from([1, 2, 3]));
    expect(feed('uint64').data).toEqual(BigUint64Array.from([1n, 2n, 3n]));
    expect(() => feed('bool')).toThrow(/2 is no bool \(array few, sample 1 in/);
    expect(() => feed('string')).toThrow(/string cannot be fed/);
    expect(() => feed('sequence')).toThrow(/sequence cannot be fed/);
  });

  it('may be the same for every sample', () => {
    const dataset = load({
      inputs: { ids: { array: 'ids' }, attention_mask: { fill: 1, shape: [5] } },
    });
    const inputs = [input('ids', ['b', 's'], 'int64'), input('attention_mask', ['b', 's'], 'bool')];
    const [batch] = dataset.bind(inputs).batches(3);
    expect(batch!.inputs.get('attention_mask')).toEqual({
      type: 'bool',
      dims: [3, 5],
      data: new Uint8Array(15).fill(1),
    });
  });
});

describe('inputs of their own kind', () => {
  it('may have elements before them', () => {
    const dataset = load({
      inputs: { x: { array: 'ids', slice: [0, 2], prepend: [64] } },
    });
    const [batch] = dataset.bind([input('x', ['b', 's'], 'int64')]).batches(1);
    expect(numbersOf(batch, 'x')).toEqual([64, 100, 101]);
  });

  it('may be clean data with noise on it', () => {
    const dataset = load({
      inputs: {
        x: {
          noised: {
            clean: { array: 'labels' },
            noise: { array: 'steps', scale: '1/2' },
            time: { array: 'steps' },
            schedule: { values: [0.64, 0.36, 1] },
          },
        },
      },
    });
    const [batch] = dataset.bind([input('x', ['n'], 'float64')]).batches(3);
    // √0.64 · 3 + √0.36 · 0, √0.36 · 1 + √0.64 · ½, √1 · 2 + 0 · 1
    [2.4, 1, 2].forEach((value, i) => expect(numbersOf(batch, 'x')[i]).toBeCloseTo(value, 12));
    const all = dataset.bind([input('x', ['n'])]);
    expect(() => [...all.batches(4)]).toThrow(/step 3 is none of the 3 .*array steps, sample 3 in/);
  });

  it('may be caches, empty at the start', () => {
    const cache = { ...input('past', ['b', 4, 'p', 8]), cache: { axis: 2, output: 'present' } };
    const dataset = load({ inputs: { x: { array: 'labels' } } });
    const [batch] = dataset.bind([input('x', ['b']), cache]).batches(2);
    expect(batch!.inputs.get('past')).toEqual({
      type: 'float32',
      dims: [2, 4, 0, 8],
      data: new Float32Array(0),
    });
    const open = { ...cache, shape: ['b', 'heads', 'p', 8] };
    expect(() => dataset.bind([input('x', ['b']), open])).toThrow(/nothing feeds .* past/);
  });

  it('may count', () => {
    const dataset = load({
      inputs: { x: { array: 'labels' }, at: { fill: 'count', shape: [3] } },
    });
    const inputs = [input('x', ['n']), input('at', ['n', 3], 'int64')];
    const [batch] = dataset.bind(inputs).batches(2);
    expect(numbersOf(batch, 'at')).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('have targets at their scale', () => {
    const dataset = load({
      inputs: { x: { array: 'labels' } },
      target: { array: 'labels', scale: '1/2' },
    });
    const [batch] = dataset.bind([input('x', ['n'])]).batches(4);
    expect([...batch!.target!.values]).toEqual([1.5, 0.5, 1, 0]);
  });
});

describe('schedules', () => {
  it('agree with those of the papers', () => {
    const linear = cleanShares({ linear: [1e-4, 0.02], steps: 1000 });
    expect(linear[0]).toBeCloseTo(0.9999, 12);
    expect(linear[38]).toBeCloseTo(0.981507025, 9);
    const cosine = cleanShares({ cosine: 0.008, steps: 100 });
    const f = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
    expect(cosine[49]).toBeCloseTo(f(0.5) / f(0), 12);
  });
});

describe('batches', () => {
  const flat = { inputs: { x: { array: 'labels' } } };
  const rows = (shape: Shape | undefined, size: number) =>
    Array.from(
      load(flat)
        .bind([input('x', shape)])
        .batches(size),
      (batch) => [
        batch.inputs.get('x')!.dims.join(),
        numbersOf(batch, 'x').join(),
        batch.samples.join(),
      ],
    );

  it('hold what is left at the end', () => {
    expect(rows(['n'], 3)).toEqual([
      ['3', '3,1,2', '0,1,2'],
      ['1', '0', '3'],
    ]);
  });

  it('of a fixed size are filled up with the last sample', () => {
    expect(rows([3], 32)).toEqual([
      ['3', '3,1,2', '0,1,2'],
      ['3', '0,0,0', '3'],
    ]);
  });

  it('are single samples for a model without an axis for them', () => {
    expect(rows([], 32)).toEqual([
      ['', '3', '0'],
      ['', '1', '1'],
      ['', '2', '2'],
      ['', '0', '3'],
    ]);
  });

  it('have an axis for the samples where the model declares no shape', () => {
    expect(rows(undefined, 4)).toEqual([['4', '3,1,2,0', '0,1,2,3']]);
  });
});

describe('samples', () => {
  const chosen = (samples: number, seed?: number) => {
    const dataset = load({ inputs: { x: { array: 'labels' } } }, { samples, seed });
    return [...dataset.bind([input('x', ['n'])]).batches(9)].flatMap((batch) => batch.samples);
  };
  it('are drawn by the seed, the same ones every time', () => {
    const sets = range(20).map((seed) => chosen(2, seed));
    for (const [seed, set] of sets.entries()) {
      expect(set).toEqual(chosen(2, seed));
      expect(new Set(set).size).toBe(2);
      expect([...set].sort()).toEqual(set);
    }
    expect(new Set(sets.map(String)).size).toBe(6); // every pair of four comes up
  });
  it('are all taken when nobody asks for fewer', () => {
    expect(load({ inputs: { x: { array: 'labels' } } }).samples).toBe(4);
    expect(chosen(4)).toEqual([0, 1, 2, 3]);
  });
});

describe('paths', () => {
  const yaml = 'source: { npz: ./data.npz }\ninputs: { x: { array: labels } }\n';
  it('are relative to the description', () => {
    folder.write('mit Umlaut ä.dataset.yaml', yaml);
    expect(loadDataset('./mit Umlaut ä.dataset.yaml', folder.path).samples).toBe(4);
    expect(loadDataset(path.join(folder.path, 'mit Umlaut ä.dataset.yaml'), '/').samples).toBe(4);
  });
  it('may be written as on Windows', () => {
    folder.write('windows.dataset.yaml', yaml.replace('./', '.\\'));
    expect(loadDataset('.\\windows.dataset.yaml', folder.path).samples).toBe(4);
  });
});

describe('what does not fit is said', () => {
  type Data = Parameters<typeof describeData>[0];
  const flat = input('x', ['n']);
  const cases: [string, Data, ModelInput[], RegExp][] = [
    [
      'a missing array',
      { inputs: { x: { array: 'label' } } },
      [flat],
      /no array label .*data\.npz.*labels/,
    ],
    [
      'unequal lengths',
      { inputs: { x: { array: 'labels' } }, target: { array: 'few' } },
      [flat],
      /labels has 4 samples and array few has 3/,
    ],
    [
      'too few samples',
      { inputs: { x: { array: 'few' } }, samples: 5 },
      [flat],
      /5 samples are asked for and there are 3 .*data\.npz/,
    ],
    [
      'no samples at all',
      { inputs: { x: { array: 'none' } } },
      [input('x', ['n', 2])],
      /the data set is empty.*data\.npz/,
    ],
    ['no array at all', { inputs: { x: { fill: 0, shape: [] } } }, [flat], /no input is read/],
    [
      'a wrong size',
      { inputs: { x: { array: 'planes' } } },
      [input('x', ['n', 3, 4, 4])],
      /3 × 2 × 2 does not fit input x of n × 3 × 4 × 4 \(array planes in/,
    ],
    [
      'a wrong rank',
      { inputs: { x: { array: 'planes' } } },
      [input('x', ['n', 12])],
      /does not fit input x of n × 12/,
    ],
    [
      'an input that nothing feeds',
      { inputs: { x: { array: 'few' } } },
      [flat, input('sizes')],
      /nothing feeds the model's input sizes/,
    ],
    [
      'an input that the model has not',
      { inputs: { x: { array: 'few' }, imgae: { array: 'few' } } },
      [flat, input('image')],
      /no input imgae .*Did you mean image\?/,
    ],
    [
      'a type that is another',
      { inputs: { x: { array: 'few', type: 'int64' } } },
      [flat],
      /input x takes float32, not int64/,
    ],
    [
      'NaN',
      { inputs: { x: { array: 'floats' } } },
      [input('x', ['n', 2])],
      /not a number \(NaN\) \(array floats, sample 2 in .*data\.npz/,
    ],
    [
      'a fraction for an integer',
      { inputs: { x: { array: 'halves' } } },
      [input('x', ['n', 2], 'int64')],
      /3\.5 is no int64 \(array halves, sample 1 in/,
    ],
    [
      'an empty slice',
      { inputs: { x: { array: 'ids', slice: [3, 2] } } },
      [flat],
      /slice \[3, 2\] of an axis of 5 is empty/,
    ],
    [
      'a slice of single numbers',
      { inputs: { x: { array: 'few', slice: [1] } } },
      [flat],
      /no axis to slice/,
    ],
    [
      'channels without a layout',
      { inputs: { x: { array: 'planes', mean: [1, 2, 3] } } },
      [flat],
      /need a layout \(inputs\.x/,
    ],
    [
      'a wrong number of channels',
      { inputs: { x: { array: 'planes', std: [1, 2], layout: 'NCHW' } } },
      [flat],
      /2 numbers and array planes has 3 channels/,
    ],
    [
      'a division by zero',
      { inputs: { x: { array: 'planes', std: 0 } } },
      [flat],
      /divide by zero/,
    ],
    [
      'a layout of another rank',
      { inputs: { x: { array: 'planes', layout: 'NTC' } } },
      [flat],
      /layout NTC does not fit samples of 3 × 2 × 2/,
    ],
    [
      'layouts of different axes',
      { inputs: { x: { array: 'planes', layout: 'NCHW', stored: 'NHWD' } } },
      [flat],
      /different axes/,
    ],
    [
      'different batches',
      { inputs: { x: { array: 'labels' }, y: { array: 'labels' } } },
      [input('x', [2]), input('y', [4])],
      /x takes 2, y takes 4/,
    ],
  ];
  for (const [what, data, inputs, message] of cases)
    it(what, () => {
      expect(() => [...load(data).bind(inputs).batches(4)]).toThrow(message);
    });
});
