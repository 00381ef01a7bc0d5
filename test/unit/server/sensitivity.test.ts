/** Sensitivity as the designer asks for it: measured by a job, found again in the view, and told to be stale. */
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Design, RecipeEdit, StepSensitivity } from '../../../language/protocol';
import { apply } from '../../../language/recipe/edit';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { testHost } from '../runtime/host';
import { testServer, uriOf } from './server';

const host = testHost();
const folder = testFolder();
process.env.WHITTLE_CACHE = path.join(folder.path, 'cache');
const server = testServer();

const SIZE = 16;
const LAYERS = ['/enc/first', '/enc/second', '/head'];
const DATA =
  'calibration: { dataset: { source: { npz: x.npz }, inputs: { x: { array: x } } }, samples: 8 }\n';
const INT8 = 'steps:\n  - pass: quantize.int8\n';

function chain() {
  return makeGraph({
    inputs: [value('x', [4, SIZE])],
    outputs: [value('/head/out', [4, SIZE])],
    weights: LAYERS.map((name, i) => weight(`${name}.w`, [SIZE, SIZE], i + 1)),
    nodes: LAYERS.flatMap((name, i) => {
      const input = i === 0 ? 'x' : `${LAYERS[i - 1]!}/out`;
      return [
        node('MatMul', [input, `${name}.w`], [`${name}/product`], {}, name),
        node('Relu', [`${name}/product`], [`${name}/out`], {}, `${name}/relu`),
      ];
    }),
  });
}

describe('sensitivity in the designer', { timeout: 60_000 }, () => {
  let document: string;
  let text: string;
  let found: StepSensitivity;

  const write = async (changed: string) => {
    text = changed;
    await server.change(document, text);
  };
  const edit = async (change: RecipeEdit) =>
    write(apply(text, await server.request('edit', { document, edit: change })));
  const measure = (step = 0, byMetric = false) =>
    server.request('sensitivity', { recipe: document, step, byMetric, token: 'test' });
  const designOf = (open: readonly string[] | null = []): Promise<Design> => {
    const { key, pass, step, origins } = found;
    const effects = { key, pass, step, layers: origins };
    return server.request('design', { document, open, target: 'reram.isaac', effects });
  };

  beforeAll(async () => {
    const samples = Array.from({ length: 32 * SIZE }, (_, i) => Math.sin(i * 1.7));
    folder.write('x.npz', npz({ x: npy('<f4', [32, SIZE], samples) }));
    const model = host.model('chain.onnx', chain());
    document = uriOf(path.join(folder.path, 'chain.whittle.yaml'));
    text = `version: 1\nmodel: ${model}\n${DATA}${INT8}`;
    await server.open(document, text);
    found = await measure();
  });

  test('says what each layer costs, and on what that stands', () => {
    expect([...found.origins].sort()).toEqual([...LAYERS].sort());
    expect(found).toMatchObject({ judge: 'output error', byMetric: false, madeUp: false });
    expect(found.layers.every(({ error }) => error! > 0)).toBe(true);
  });

  test('finds the layers in what is visible', async () => {
    const closed = (await designOf()).effects!;
    expect(closed).toMatchObject({ step: 0, stale: false, others: 0, worked: [true, true, true] });
    const at = (effects: typeof closed, layer: string) =>
      effects.shown[found.origins.indexOf(layer)];
    expect(at(closed, '/enc/first')).toBe('/enc');
    expect(at((await designOf(['/enc'])).effects!, '/enc/first')).toBe('/enc/first');
  });

  test('still holds when layers are left out, and says which', async () => {
    const [worst] = found.origins;
    const before = text;
    await edit({ kind: 'except', step: 0, node: worst!, excepted: true });
    const { effects, recipe } = await designOf();
    expect(recipe!.steps[0]).toMatchObject({ sites: 2, except: [worst] });
    expect(effects).toMatchObject({ step: 0, stale: false, worked: [false, true, true] });
    await edit({ kind: 'except', step: 0, node: worst!, excepted: false });
    expect((await designOf()).effects).toMatchObject({ worked: [true, true, true] });
    await write(before);
  });

  test('is stale when what it stands on changes', async () => {
    const before = text;
    const changes: readonly [string, object][] = [
      [before.replace('samples: 8', 'samples: 4'), { step: 0, stale: true }],
      [`${before}    weights: per-tensor\n`, { step: 0, stale: true }],
      [
        before.replace('steps:\n', 'steps:\n  - { pass: prune.magnitude, ratio: 0.5 }\n'),
        { step: 1, stale: true },
      ],
      [`${before}  - { pass: prune.magnitude, ratio: 0.5 }\n`, { step: 0, stale: false }],
      [before.replace('quantize.int8', 'prune.magnitude'), { step: null, stale: true }],
      [before, { step: 0, stale: false }],
    ];
    for (const [changed, expected] of changes) {
      await write(changed);
      expect((await designOf()).effects, changed).toMatchObject(expected);
    }
  });

  test('is measured on made-up inputs where there are no others, which it says', async () => {
    const before = text;
    await write(before.replace(DATA, '').replace(INT8, 'steps:\n  - { pass: prune.magnitude }\n'));
    expect(await measure()).toMatchObject({ madeUp: true, pass: 'prune.magnitude' });
    await write(before.replace(DATA, ''));
    await expect(measure()).rejects.toThrow(/needs calibration data/);
    await write(before);
  });

  test('fails in words', async () => {
    await expect(measure(3)).rejects.toThrow(/no step 4/);
    await expect(measure(0, true)).rejects.toThrow(/evaluation data/);
  });

  test('does not leave layers out where a pass spreads by itself', async () => {
    const before = text;
    await write(before.replace(INT8, 'steps:\n  - { pass: tokens.topk, keep: [0.5] }\n'));
    await expect(edit({ kind: 'except', step: 0, node: '/head', excepted: true })).rejects.toThrow(
      /chooses its layers by itself/,
    );
    await write(before);
  });

  test('what goes in and out of a node is measured on the same samples', async () => {
    const ask = (node: string, open: readonly string[] = []) =>
      server.request('activations', { document, node, open, target: 'reram.isaac', token: 'a' });
    const found = await ask('/enc');
    expect(found).toMatchObject({ samples: 8, madeUp: false, attentions: [], skipped: [] });
    const sides = found.values.map(({ name, side }) => [side, name]);
    expect(sides).toEqual([
      ['input', 'x'],
      ['output', '/enc/second/out'],
    ]);
    const [x] = found.values;
    expect(x!.histogram.counts.reduce((a, b) => a + b)).toBe(8 * SIZE);
    expect(x!.channels!.count).toBe(SIZE);
    expect(x!.channels!.largest).toBeCloseTo(Math.max(-x!.min, x!.max), 6);
    const { values } = await ask('/enc/first', ['/enc']);
    expect(values.map(({ name }) => name)).toEqual(['x', '/enc/first/product']);
    await expect(ask('/nowhere')).rejects.toThrow(/put in by the recipe/);
  });
});
