import { describe, expect, it } from 'vitest';
import { parseDescription, readDescription } from '../../../language/data/description';
import { testFolder } from './arrays';

const folder = testFolder();
const fine = {
  source: { npz: './x.npz' },
  inputs: { image: { array: 'x', scale: '1/255', mean: [0.5], std: 0.25, layout: 'NCHW' } },
  target: { array: 'y', slice: [1], mask: { array: 'm', slice: [0, -1] } },
  extra: { boxes: { array: 'b' } },
  metric: { id: 'top1', output: 'logits' },
  samples: 700,
  seed: 3,
};

describe('descriptions', () => {
  it('are read from YAML', () => {
    const file = folder.write(
      'shapes.dataset.yaml',
      `# pictures
source: { npz: ./x.npz }
inputs:
  image: { array: x, scale: 1/255, mean: [0.5], std: 0.25, layout: NCHW }
target: { array: y, slice: [1], mask: { array: m, slice: [0, -1] } }
extra: { boxes: { array: b } }
metric: { id: top1, output: logits }
samples: 700
seed: 3
`,
    );
    expect(readDescription(file)).toEqual(fine);
  });

  it('may ask for made-up inputs', () => {
    const made = { source: { generated: {} }, samples: 4 };
    expect(parseDescription(made, 'r.yaml')).toEqual(made);
  });

  it('may feed the same to every sample', () => {
    const filled = { ...fine, inputs: { mask: { fill: 1, shape: [96] } } };
    expect(parseDescription(filled, 'r.yaml')).toEqual(filled);
  });
});

describe('what is wrong is said', () => {
  const image = fine.inputs.image;
  const withImage = (change: object) => ({ ...fine, inputs: { image: { ...image, ...change } } });
  const cases: [string, unknown, RegExp][] = [
    ['no source', { inputs: {} }, /source/],
    ['no inputs', { source: fine.source }, /inputs/],
    [
      'an unknown kind of source',
      { ...fine, source: { parquet: './x' } },
      /parquet is no source of data .*npz, npy, images, text, jsonl, generated/,
    ],
    [
      'a mistyped kind of source',
      { ...fine, source: { nzp: './x' } },
      /nzp is no source of data .*Did you mean npz or npy\?/,
    ],
    ['an unknown key', { ...fine, colour: 1 }, /colour is not known here/],
    [
      'an unknown key of an input',
      withImage({ sclae: 2 }),
      /inputs\.image: sclae is not known here/,
    ],
    [
      'a scale that is none',
      withImage({ scale: 'half' }),
      /inputs\.image\.scale: expected a number or a fraction/,
    ],
    [
      'a layout with an axis twice',
      withImage({ layout: 'NCCW' }),
      /inputs\.image\.layout: expected the axes/,
    ],
    ['a layout without samples', withImage({ layout: 'CHW' }), /inputs\.image\.layout/],
    ['an array without a name', withImage({ array: 7 }), /inputs\.image\.array/],
    ['a slice of three', withImage({ slice: [0, 1, 2] }), /inputs\.image\.slice/],
    [
      'a shape that is none',
      { ...fine, inputs: { m: { fill: 1, shape: [-1] } } },
      /inputs\.m\.shape\.0/,
    ],
    ['half a sample', { ...fine, samples: 1.5 }, /samples/],
    ['no samples', { ...fine, samples: 0 }, /samples/],
    ['a metric without id', { ...fine, metric: { output: 'y' } }, /metric\.id/],
    ['a list', [], /not a description/],
    ['a text', 'x.npz', /not a description/],
    ['nothing', null, /not a description/],
  ];
  for (const [what, value, message] of cases)
    it(what, () => {
      expect(() => parseDescription(value, 'my.dataset.yaml')).toThrow(message);
      expect(() => parseDescription(value, 'my.dataset.yaml')).toThrow('my.dataset.yaml');
    });

  it('broken YAML, with its line', () => {
    const file = folder.write('broken.dataset.yaml', 'source: { npz: a }\ninputs: {\n  image: [\n');
    expect(() => readDescription(file)).toThrow(/not valid YAML.*broken\.dataset\.yaml:\d/);
  });

  it('a file that is not there, or far too large to be one', () => {
    expect(() => readDescription('/nowhere/a.dataset.yaml')).toThrow('/nowhere/a.dataset.yaml');
    const file = folder.write('large.dataset.yaml', Buffer.alloc(2 ** 21, 0x20));
    expect(() => readDescription(file)).toThrow('too large');
  });
});
