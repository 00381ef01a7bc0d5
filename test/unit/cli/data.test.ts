/** Data from the command line: what is wrong with it is named and nothing is written; metrics that need more than a model. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encode as encodePng } from 'fast-png';
import { beforeAll, describe, expect, it } from 'vitest';
import { openNpyFiles } from '../../../language/data/npy';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, range } from '../data/arrays';
import { testHost } from '../runtime/host';
import { answer, whittle } from './terminal';

const host = testHost();
const terminal = () => ({ runtimeEntry: host.entry });
const place = (...names: string[]) => path.join(host.folder, 'data ü', ...names);
const write = (name: string, bytes: Uint8Array | string) => {
  mkdirSync(path.dirname(place(name)), { recursive: true });
  writeFileSync(place(name), bytes);
};
const describeData = (content: object): string => JSON.stringify(content);

beforeAll(() => {
  mkdirSync(place());
  const picture = makeGraph({
    inputs: [value('x', ['n', 3, 4, 4])],
    outputs: [value('y', ['n', 2, 4, 4])],
    weights: [weight('w', [2, 3, 1, 1])],
    nodes: [node('Conv', ['x', 'w'], ['y'], {}, 'conv')],
  });
  const words = makeGraph({
    inputs: [value('ids', ['n', 't'], 'int64')],
    outputs: [value('y', ['n', 't', 4])],
    weights: [weight('table', [3, 8]), weight('w', [8, 4])],
    nodes: [
      node('Gather', ['table', 'ids'], ['e'], {}, 'embed'),
      node('MatMul', ['e', 'w'], ['y'], {}, 'head'),
    ],
  });
  const rows = makeGraph({
    inputs: [value('x', ['n', 4])],
    outputs: [value('y', ['n', 4])],
    weights: [weight('w', [4, 4])],
    nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'product')],
  });
  host.model(path.join('data ü', 'picture.onnx'), picture);
  host.model(path.join('data ü', 'words.onnx'), words);
  host.model(path.join('data ü', 'rows.onnx'), rows);
  host.model(path.join('data ü', 'features.onnx'), rows);

  const image = encodePng({ width: 4, height: 4, channels: 3, data: Uint8Array.from(range(48)) });
  write('pictures/a/0.png', image);
  write('pictures/a/1.png', image.slice(0, 60));
  const vocabulary = { type: 'WordLevel', vocab: { a: 0, b: 1, c: 7 }, unk_token: 'a' };
  write(
    'tokenizer.json',
    JSON.stringify({
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      decoder: null,
      pre_tokenizer: { type: 'Whitespace' },
      model: vocabulary,
    }),
  );
  write('text.txt', 'a b a b a b a c a b a b');
  const numbers = range(32).map((i) => Math.sin(i));
  write('good.npz', npz({ x: npy('<f4', [8, 4], numbers) }));
  write('shape.npz', npz({ x: npy('<f4', [8, 4], numbers), z: npy('<f4', [8, 5], range(40)) }));
  const notNumbers = numbers.map((number, i) => (i === 22 ? NaN : number));
  write('nan.npz', npz({ x: npy('<f4', [8, 4], notNumbers) }));
  write('empty.npz', npz({ x: npy('<f4', [0, 4], []) }));
});

describe('bad data', { timeout: 120_000 }, () => {
  const rows = (file: string, array = 'x') => ({
    source: { npz: `./${file}` },
    inputs: { x: { array } },
  });
  const pictures = {
    source: { images: './pictures' },
    inputs: { x: { array: 'image', stored: 'NHWC', layout: 'NCHW' } },
  };
  const text = {
    source: { text: './text.txt', tokenizer: './tokenizer.json', length: 3 },
    inputs: { ids: { array: 'ids' } },
  };
  it.for([
    ['a missing array', 'rows', rows('good.npz', 'pixels'), /pixels.*good\.npz/],
    ['a wrong shape', 'rows', rows('shape.npz', 'z'), /array z.*shape\.npz/],
    ['a NaN', 'rows', rows('nan.npz'), /array x.*sample 5.*nan\.npz/],
    ['an empty set', 'rows', rows('empty.npz'), /the data set is empty.*empty\.npz/],
    ['a broken image', 'picture', pictures, /png image is damaged.*1\.png/],
    [
      'the tokenizer of another model',
      'words',
      text,
      /7 is none of the 3 ids.*ids.*sample \d.*text\.txt/,
    ],
  ] as const)('%s is named, and nothing is written', async ([what, model, data, message]) => {
    const name = what.replaceAll(' ', '-');
    const recipe = place(`${name}.whittle.yaml`);
    writeFileSync(
      recipe,
      describeData({
        version: 1,
        model: `./${model}.onnx`,
        calibration: { dataset: data },
        steps: [{ pass: 'quantize.int8', at: '**' }],
      }),
    );
    const before = readdirSync(place()).sort();
    const applied = await whittle(['apply', recipe], terminal());
    expect(applied).toMatchObject({ code: 1, stdout: '' });
    expect(applied.stderr).toMatch(message);
    expect(readdirSync(place()).sort()).toEqual(before);
    expect(host.leftovers()).toEqual([]);
  });
});

describe('evaluate', { timeout: 120_000 }, () => {
  const dataset = (name: string, more: object): string => {
    const file = place(`${name}.dataset.yaml`);
    const inputs = { x: { array: 'x' } };
    writeFileSync(file, describeData({ source: { npz: './good.npz' }, inputs, ...more }));
    return file;
  };

  it('gives the Fréchet distance on the features of a model', async () => {
    const more = {
      target: { array: 'x' },
      metric: { id: 'frechet', features: { model: './features.onnx' } },
    };
    const args = ['evaluate', place('rows.onnx'), '--data', dataset('frechet', more)];
    const found = await answer<{ metric: string; value: number; samples: number }>(
      args,
      terminal(),
    );
    expect(found).toMatchObject({ metric: 'frechet', samples: 8 });
    expect(found.value).toBeGreaterThan(0);

    // Without a model of features it is that of answers and targets themselves.
    const plain = dataset('plain', { target: { array: 'x' }, metric: { id: 'frechet' } });
    const other = await answer<{ value: number }>(
      ['evaluate', place('rows.onnx'), '--data', plain],
      terminal(),
    );
    expect(other.value).not.toBeCloseTo(found.value, 6);
  });

  it('compares two models without a metric, on data and on made-up inputs', async () => {
    const other = host.model(
      path.join('data ü', 'other.onnx'),
      makeGraph({
        inputs: [value('x', ['n', 4])],
        outputs: [value('y', ['n', 4])],
        weights: [weight('w', [4, 4], 2)],
        nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'product')],
      }),
    );
    for (const data of [['--data', dataset('unjudged', {})], []]) {
      const args = ['evaluate', other, '--against', place('rows.onnx'), ...data];
      const found = await answer<Record<string, unknown>>(args, terminal());
      expect(found).toMatchObject({
        metric: null,
        value: null,
        against: {
          value: null,
          drop: null,
          sqnrDb: expect.any(Number) as number,
          cosine: expect.any(Number) as number,
        },
        outputs: [{ name: 'y', maxAbs: expect.any(Number) as number }],
      });
      expect((await whittle(args, terminal())).stdout).toMatch(/no metric is named; compared on/);
    }
  });
});

describe('capture', { timeout: 120_000 }, () => {
  const capture = (data: string, folder: string): string[] => {
    const content = { source: { npz: `./${data}` }, inputs: { x: { array: 'x' } } };
    writeFileSync(place('grams.dataset.yaml'), describeData(content));
    const model = [place('rows.onnx'), '--data', place('grams.dataset.yaml')];
    return ['capture', ...model, '--tensors', 'x', '--grams', folder];
  };

  it('writes XᵀX as NumPy files, with an index', async () => {
    const folder = place('grams');
    const { grams } = await answer<{ grams: unknown }>(capture('good.npz', folder), terminal());
    expect(grams).toEqual([{ name: 'x', file: '0.npy', rows: 8, size: 4 }]);
    expect(JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'))).toEqual(grams);
    const matrix = openNpyFiles({ x: path.join(folder, '0.npy') }, (file) => file).array('x');
    const at = (row: number, column: number) => Math.sin(row * 4 + column);
    for (let i = 0; i < 4; i++)
      for (let j = 0; j < 4; j++) {
        const sum = range(8).reduce((total, row) => total + at(row, i) * at(row, j), 0);
        expect(matrix.row(i)[j]).toBeCloseTo(sum, 5);
      }
  });

  it('refuses a folder that is there, and leaves none behind where data are bad', async () => {
    mkdirSync(place('taken'));
    const taken = capture('good.npz', place('taken'));
    expect(await whittle(taken, terminal())).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/exists already/) as string,
    });
    const bad = capture('nan.npz', place('none'));
    const before = readdirSync(place());
    expect((await whittle(bad, terminal())).code).toBe(1);
    expect(readdirSync(place())).toEqual(before);
  });
});
