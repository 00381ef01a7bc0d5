import { beforeAll, describe, expect, it } from 'vitest';
import path from 'node:path';
import { vocabulary } from '../../../language/recipe/bundled';
import { parseRecipe, requireRecipe } from '../../../language/recipe/recipe';
import { stepSensitivity, type SensitivityJob } from '../../../language/recipe/sensitivity';
import { tensorNumbers } from '../../../language/onnx/tensor';
import { float32Tensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { testHost } from '../runtime/host';

const host = testHost();
const folder = testFolder();
process.env.WHITTLE_CACHE = path.join(folder.path, 'cache');

const SIZE = 16;
const LAYERS = ['first', 'second', 'fragile', 'fourth'];
/** One output channel of the fragile layer is this much larger, and made smaller again after it. */
const LOUD = 2000;

/** Quantised with one scale for the tensor, the other channels of the fragile weight round to nothing. */
function fragileModel() {
  const scaled = Array.from(tensorNumbers(weight('w', [SIZE, SIZE], 7)), Number).map((w, i) =>
    i % SIZE === 3 ? w * LOUD : w,
  );
  const back = Array.from({ length: SIZE }, (_, c) => (c === 3 ? 1 / LOUD : 1));
  const weights = LAYERS.map((name, i) =>
    name === 'fragile'
      ? float32Tensor(name, scaled, [SIZE, SIZE])
      : weight(name, [SIZE, SIZE], i + 1),
  );
  const chain = LAYERS.flatMap((name, i) => {
    const input = i === 0 ? 'x' : `${LAYERS[i - 1]!}/out`;
    const out = name === 'fragile' ? 'fragile/loud' : `${name}/out`;
    return [
      node('MatMul', [input, name], [`${name}/product`], {}, name),
      node('Relu', [`${name}/product`], [out], {}, `${name}/relu`),
      ...(name === 'fragile' ? [node('Mul', [out, 'back'], ['fragile/out'], {}, 'calm')] : []),
    ];
  });
  return makeGraph({
    inputs: [value('x', ['n', SIZE])],
    outputs: [value('fourth/out', ['n', SIZE])],
    weights: [...weights, float32Tensor('back', back, [SIZE])],
    nodes: chain,
  });
}

describe('sensitivity to a step', { timeout: 120_000 }, () => {
  let job: SensitivityJob;

  const jobFor = (model: string, text: string): SensitivityJob => ({
    recipe: requireRecipe(parseRecipe(text, vocabulary(folder.path)), 'test'),
    folder: folder.path,
    recipeFile: undefined,
    model,
    shapes: {},
    step: 0,
    byMetric: false,
  });
  const control = (entry = host.entry) => ({
    signal: new AbortController().signal,
    onProgress: () => undefined,
    runtimeEntry: entry,
  });
  const RECIPE = `
version: 1
calibration: { dataset: { source: { npz: x.npz }, inputs: { x: { array: x } } }, samples: 24 }
steps:
  - { pass: quantize.int8, at: '**', weights: per-tensor }
  - { pass: prune.magnitude, ratio: 0.5, at: '**' }
`;

  beforeAll(() => {
    const samples = Array.from({ length: 32 * SIZE }, (_, i) => Math.sin(i * 1.7));
    folder.write('x.npz', npz({ x: npy('<f4', [32, SIZE], samples) }));
    job = jobFor(host.model('fragile.onnx', fragileModel()), RECIPE);
  });

  it('ranks a deliberately fragile layer first', async () => {
    const told: [string, number][] = [];
    const onProgress = (detail: string, fraction: number) => void told.push([detail, fraction]);
    const found = await stepSensitivity(job, { ...control(), onProgress });
    const fractions = told.map(([, fraction]) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(Math.max(...fractions)).toBeGreaterThan(0.8);
    for (const layer of LAYERS)
      expect(told.some(([detail]) => detail.startsWith(`judging ${layer} `))).toBe(true);
    expect(found).toMatchObject({ pass: 'quantize.int8', judge: 'output error', skipped: [] });
    expect(found.layers.map((layer) => layer.node).sort()).toEqual([...LAYERS].sort());
    const [first, second] = found.layers;
    expect(first).toMatchObject({ node: 'fragile', op: 'MatMul' });
    expect(first!.error!).toBeGreaterThan(10 * second!.error!);
    expect(first!.sqnrDb!).toBeCloseTo(-10 * Math.log10(first!.error!));
    expect(host.leftovers()).toEqual([]);
  });

  it('is kept until model, steps or data change', async () => {
    const before = await stepSensitivity(job, control());
    const nowhere = control('/nowhere/runtime.js');
    expect(await stepSensitivity(job, nowhere)).toEqual(before);
    await expect(stepSensitivity({ ...job, samples: 8 }, nowhere)).rejects.toThrow();
    await expect(stepSensitivity({ ...job, step: 1 }, nowhere)).rejects.toThrow();
  });

  it('does the steps before in full', async () => {
    const pruning = RECIPE.replace(/ {2}- { pass: quantize.*\n/, '');
    const alone = await stepSensitivity(jobFor(job.model, pruning), control());
    expect(alone.layers.length).toBe(LAYERS.length);
    expect(alone.layers.every(({ error }) => error! > 0)).toBe(true);
  });

  it('says what is missing', async () => {
    await expect(stepSensitivity({ ...job, step: 4 }, control())).rejects.toThrow(
      /no step 5.*It has 2/,
    );
    await expect(stepSensitivity({ ...job, byMetric: true }, control())).rejects.toThrow(
      /the metric needs evaluation data/,
    );
    const blind = jobFor(job.model, RECIPE.replace(/calibration.*\n/, ''));
    await expect(stepSensitivity(blind, control())).rejects.toThrow(/needs calibration data/);
  });
});
