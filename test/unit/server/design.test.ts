/** What the designer asks for, on every model there is: it draws what parses, and says what is wrong with the rest. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Design } from '../../../language/protocol';
import { apply } from '../../../language/recipe/edit';
import { shared } from '../../shared';
import { makeGraph, node, value, weight } from '../../models';
import { sample, testHost } from '../runtime/host';
import { testServer, uriOf } from './server';

const host = testHost();
const server = testServer();

const designOf = (document: string): Promise<Design> =>
  server.request('design', { document, open: null, target: 'mobile.pixel3-cpu' });

const below = (folder: string | undefined): string[] =>
  folder === undefined
    ? []
    : readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => path.join(folder, name));

/** Nodes inside the frame, edges between nodes, no number that is none. */
function expectDrawable({ view, totals, counts, model }: Design): void {
  expect(view.nodes.length).toBeGreaterThan(0);
  const ids = new Set(view.nodes.map(({ id }) => id));
  expect(ids.size).toBe(view.nodes.length);
  for (const { x, y, width, height } of view.nodes)
    for (const number of [x, y, width, height]) expect(Number.isFinite(number)).toBe(true);
  for (const { from, to } of view.edges) expect(ids.has(from) && ids.has(to)).toBe(true);
  expect(totals.length).toBeGreaterThan(0);
  expect(counts.parameters.before).not.toBeNull();
  for (const { op, reason } of model.unknown) expect(`${op}: ${reason}`).toMatch(/.+: .+/);
}

test('draws a sample with its recipe, and follows the text of the editor', async () => {
  const document = uriOf(sample('shapes-resnet.whittle.yaml'));
  await server.open(
    document,
    'version: 1\nmodel: ./shapes-resnet.onnx\nsteps:\n  - pass: quantize.int8\n',
  );
  const design = await designOf(document);
  expectDrawable(design);
  expect(design.recipe?.steps.map(({ pass }) => pass)).toEqual(['quantize.int8']);
  expect(design.recipe?.calibrated).toBe(design.recipe?.steps[0]?.title);
  expect(design.totals[0]!.latencyMs.after).toBeLessThan(design.totals[0]!.latencyMs.before!);
});

test('tells where layers stand under the roofs of a target, before and after', async () => {
  const document = uriOf(sample('roofs.whittle.yaml'));
  await server.open(
    document,
    'version: 1\nmodel: ./shapes-resnet.onnx\nsteps:\n  - pass: quantize.int8\n',
  );
  const about = { document, open: [] };
  const ask = (target: string) => server.request('roofline', { ...about, target });
  const { layers, families, compute, memory, none } = await ask('mobile.pixel3-cpu');
  expect(none).toBeNull();
  expect(compute.length * memory.length).toBeGreaterThan(0);
  expect(layers.map(({ latencyMs }) => latencyMs)).toEqual(
    layers.map(({ latencyMs }) => latencyMs).sort((a, b) => b - a),
  );
  const { view } = await server.request('design', { ...about, target: 'mobile.pixel3-cpu' });
  const drawn = new Set(view.nodes.map(({ id }) => id));
  for (const { shown } of layers) expect(drawn).toContain(shown);
  const moved = layers.filter(({ before }) => before !== null);
  expect(moved.length).toBeGreaterThan(10);
  for (const { at, before } of moved) expect(at.macsPerByte).toBeGreaterThan(before!.macsPerByte);
  expect(families.map(({ family }) => family)).toContain('convolution');
  const reram = await ask('reram.isaac');
  expect(reram.none).toMatch(/crossbars/);
  expect(reram.layers).toEqual([]);
});

test('says where the bits of a layer come from, and changes them', async () => {
  const graph = makeGraph({
    inputs: [value('x', [4, 64])],
    outputs: [value('y', [4, 64])],
    weights: ['u', 'v', 'w'].map((name, i) => weight(name, [64, 64], i + 1)),
    nodes: [
      node('MatMul', ['x', 'u'], ['h'], {}, 'first'),
      node('Relu', ['h'], ['r'], {}, 'act'),
      node('MatMul', ['r', 'v'], ['m'], {}, 'second'),
      node('Relu', ['m'], ['s'], {}, 'again'),
      node('MatMul', ['s', 'w'], ['y'], {}, 'head'),
    ],
  });
  const model = host.model('bits.onnx', graph);
  const document = uriOf(model.replace(/onnx$/, 'whittle.yaml'));
  let text =
    'version: 1\nmodel: ./bits.onnx\nsteps:\n  - pass: quantize.weights\n    at: "**" # all\n';
  await server.open(document, text);
  const shown = async () => {
    await server.change(document, text);
    const { view } = await designOf(document);
    const { chips, rounding } = view.nodes.find(({ id }) => id === 'first')!;
    return { chips: chips.map((chip) => chip.text), rounding };
  };
  expect(await shown()).toEqual({ chips: ['W4'], rounding: { step: 0, leftOut: false } });
  const choose = async (step: number, bits: number | null) => {
    const edit = { kind: 'bits', step, nodes: ['first'], bits } as const;
    text = apply(text, await server.request('edit', { document, edit }));
  };
  await choose(0, 8);
  expect(await shown()).toEqual({ chips: ['W8'], rounding: { step: 1, leftOut: false } });
  await choose(1, null);
  expect(await shown()).toEqual({ chips: ['float'], rounding: { step: 0, leftOut: true } });
  expect(text).toContain('at: "**" # all');
});

test('says which data sets feed a model', async () => {
  const files = ['shapes-calibration', 'shapes', 'text'].map((name) =>
    sample(`${name}.dataset.yaml`),
  );
  const { missing, choices } = await server.request('dataFor', {
    recipe: uriOf(sample('shapes-resnet.whittle.yaml')),
    files,
  });
  expect(missing).not.toBeNull();
  expect(choices.map(({ reference, unfed, metric }) => [reference, unfed, metric])).toEqual([
    ['./shapes-calibration.dataset.yaml', [], null],
    ['./shapes.dataset.yaml', [], 'top1'],
    ['./text.dataset.yaml', ['image'], 'answer-accuracy'],
  ]);
});

test('says of a model that nobody can count that nothing is known, not that it takes no time', async () => {
  const strange = node('Frobnicate', ['x'], ['y'], {}, 'strange', 'some.vendor');
  const graph = makeGraph({
    inputs: [value('x', [1, 8])],
    outputs: [value('y', [1, 8])],
    nodes: [strange],
  });
  const { totals, counts, view } = await designOf(uriOf(host.model('strange.onnx', graph)));
  expect(counts.macs).toMatchObject({ before: null, after: null });
  expect(totals[0]!.latencyMs).toMatchObject({ before: null, after: null });
  expect(totals[0]!.confidence).toMatchObject({ lowMs: null, highMs: null });
  expect(view.nodes.find(({ id }) => id === 'strange')!.cost.latencyMs.after).toBeNull();
});

test('says how far totals can be trusted', async () => {
  const trusted = async (model: string, target: string) => {
    const document = uriOf(sample(model));
    const design = await server.request('design', { document, open: null, target });
    return design.totals[0]!;
  };
  const cnn = await trusted('shapes-resnet.onnx', 'mobile.pixel3-cpu');
  expect(cnn.confidence.level).toBe('validated');
  expect(cnn.confidence.lowMs!).toBeLessThan(cnn.latencyMs.after!);
  expect(cnn.confidence.highMs!).toBeGreaterThan(cnn.latencyMs.after!);
  const transformer = await trusted('shapes-vit.onnx', 'mobile.pixel3-cpu');
  expect(transformer.confidence.level).not.toBe('validated');
  expect(transformer.confidence.note).toMatch(/which the calibration did not see/);
  const analytical = await trusted('shapes-resnet.onnx', 'reram.isaac');
  expect(analytical.confidence).toMatchObject({ level: 'not validated', lowMs: null });
});

const SETS: Readonly<Record<string, string | undefined>> = {
  'models found': shared('models/found'),
  'nets without weights': shared('reference/nets'),
};
for (const [name, folder] of Object.entries(SETS)) {
  const files = below(folder);
  describe.skipIf(files.length === 0)(`${name} (${files.length || 'not here'})`, () => {
    test('each is drawn, or refused in words', { timeout: 600_000 }, async () => {
      const refused: string[] = [];
      for (const file of files) {
        const place = path.relative(folder!, file);
        const design = await designOf(uriOf(file)).catch((error: unknown) => error as Error);
        expect(server.isRunning, place).toBe(true);
        if (!(design instanceof Error)) expectDrawable(design);
        else {
          expect(design.message, place).not.toMatch(/mistake|undefined|\bat .*\.[jt]s:/);
          refused.push(place);
        }
      }
      expect(refused.filter((place) => !place.startsWith('malformed'))).toEqual([]);
    });
  });
}
