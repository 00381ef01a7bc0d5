import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkGraph } from '../../../language/graph/check';
import { float32Tensor } from '../../../language/onnx/tensor';
import { applyRecipe, type ApplyJob } from '../../../language/recipe/apply';
import { vocabulary } from '../../../language/recipe/bundled';
import {
  beyondTolerance,
  quantisedBy,
  requireValid,
  unfusedLayers,
} from '../../../language/recipe/postconditions';
import { parseRecipe, requireRecipe } from '../../../language/recipe/recipe';
import type { Run } from '../../../language/recipe/run';
import { stepChecks } from '../../../language/recipe/stepChecks';
import { bindModel, openModel } from '../../../language/recipe/opened';
import { readModelFile } from '../../../language/onnx/read';
import { verify } from '../../../language/recipe/verify';
import { generatedData } from '../../../language/runtime/tasks';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { testHost } from '../runtime/host';
import { baseOf, network, stepsOf } from './subject';
import type { Graph } from '../../../language/graph/graph';

const host = testHost();
const folder = testFolder();
const PATIENCE = { timeout: 120_000 };
const SIZE = 16;

describe('what a result has to keep to', () => {
  const output = { name: 'y', sqnrDb: 20, cosine: 0.99, maxAbs: 0.5 };
  it.for([
    [{ sqnr: 21 }, output, /SQNR of 20.0 dB, less than 21 dB/],
    [{ cosine: 0.995 }, output, /cosine of 0.9900/],
    [{ maxAbs: 0.1 }, output, /by up to 0.5000, more than 0.1/],
    [{ sqnr: 1 }, { ...output, sqnrDb: null, cosine: null, maxAbs: null }, /cannot be compared/],
  ] as const)('is held against %j', ([tolerance, found, complaint]) => {
    expect(beyondTolerance(tolerance, [found])).toMatch(complaint);
  });

  it('may be kept', () => {
    expect(beyondTolerance({ sqnr: 20, cosine: 0.99, maxAbs: 0.5 }, [output])).toBeUndefined();
    const equal = { ...output, sqnrDb: null, cosine: 1, maxAbs: 0 };
    expect(beyondTolerance({ sqnr: 90 }, [equal])).toBeUndefined();
  });

  it('is integer kernels for quantised layers', () => {
    const executed = new Map([
      ['a', 'QLinearConv'],
      ['b', 'com.microsoft.nchwc.Conv'],
      ['c', 'MatMul'],
      ['d', 'com.microsoft.MatMulIntegerToFloat'],
    ]);
    expect(unfusedLayers(['a', 'b', 'c', 'd', 'gone'], executed)).toEqual([
      { node: 'b', kernel: 'com.microsoft.nchwc.Conv' },
      { node: 'c', kernel: 'MatMul' },
    ]);
  });
});

describe('a step', () => {
  const before = baseOf(network());
  const step = stepsOf({ pass: 'prune.magnitude' }, { pass: 'quantize.int8', at: '/head' })[1]!;
  const outcome = (graph: Graph) => ({
    step,
    situation: { ...before, graph },
    sites: [],
    skipped: [],
    touched: new Set<string>(),
    estimated: false,
  });

  it('that leaves an invalid model is named with the layer, whatever comes after it', () => {
    const broken = before.graph.fork();
    broken.setInput('/head/Gemm', 1, 'nothing makes this');
    const known = new Set(checkGraph(before.graph));
    expect(() => requireValid(outcome(broken), known)).toThrow(
      /not a valid model: \/head\/Gemm reads nothing makes this.*step 2, quantize.int8/s,
    );
    expect(() => requireValid(outcome(before.graph), known)).not.toThrow();
  });

  it('is not to blame for what was wrong with the model that it was given', () => {
    const odd = before.graph.fork();
    odd.setInput('/head/Gemm', 1, 'nothing makes this');
    const known = new Set(checkGraph(odd));
    expect(() => requireValid(outcome(odd.fork()), known)).not.toThrow();
  });

  it('whose layers should run on integers and do not is named', PATIENCE, async () => {
    const model = host.model('float.onnx', network());
    const layer = '/stem/conv/Conv';
    const request = {
      reference: model,
      candidate: model,
      evaluation: undefined,
      calibration: generatedData(1),
      sizes: {},
      quantised: [layer],
      quantisedBy: (node: string) => ({ step: 2, pass: 'quantize.int8', node }),
      blame: () => Promise.resolve(undefined),
    };
    const control = {
      signal: new AbortController().signal,
      onProgress: () => undefined,
      runtimeEntry: host.entry,
    };
    await expect(verify({ ...request, tolerance: { unfused: 0 } }, control)).rejects.toThrow(
      /1 of the quantised layers in floating point, 0 are tolerated: \/stem\/conv\/Conv runs as .*Conv.*step 2, quantize.int8, layer \/stem\/conv\/Conv.*except: "\/stem\/conv\/Conv"/s,
    );
    const { checks } = await verify({ ...request, tolerance: { unfused: 1 } }, control);
    expect(checks.unfused).toMatchObject([{ node: layer }]);
  });

  it('that quantised a layer is found', () => {
    const quantised = before.graph.fork();
    const [x, w] = quantised.node('/head/Gemm')!.inputs as [string, string];
    for (const [at, input] of [x, w].entries()) {
      const [codes, back] = [`${input}/codes`, `${input}/back`];
      const place = quantised.node('/head/Gemm')!;
      quantised.setInitializer(float32Tensor('scale', [1], []));
      quantised.insert({ op: 'QuantizeLinear', inputs: [input, 'scale'], outputs: [codes] }, place);
      quantised.insert(
        { op: 'DequantizeLinear', inputs: [codes, 'scale'], outputs: [back] },
        place,
      );
      quantised.setInput('/head/Gemm', at, back);
    }
    const run: Run = {
      outcomes: [outcome(before.graph), outcome(quantised)],
      attempts: [],
      decisions: [],
    };
    expect(quantisedBy(run, before.graph, '/head/Gemm')).toEqual({
      step: 2,
      pass: 'quantize.int8',
      node: '/head/Gemm',
    });
    expect(quantisedBy(run, before.graph, '/stem/conv/Conv')).toBeUndefined();
  });
});

describe('applying', PATIENCE, () => {
  let model: string;
  const RECIPE = `
version: 1
calibration: { dataset: { source: { npz: x.npz }, inputs: { x: { array: x } } } }
budget: { latency: { target: mobile.pixel3-cpu, max: 1s } }
`;
  const job = (name: string, text: string): ApplyJob => ({
    recipe: requireRecipe(parseRecipe(RECIPE + text, vocabulary(folder.path)), 'test'),
    folder: folder.path,
    recipeFile: undefined,
    recipeText: RECIPE + text,
    model,
    output: path.join(folder.path, `${name}.onnx`),
    overwrite: false,
    shapes: {},
    decisionsOut: path.join(folder.path, `${name}.decisions.json`),
  });
  const control = () => ({
    signal: new AbortController().signal,
    onProgress: () => undefined,
    runtimeEntry: host.entry,
  });

  beforeAll(() => {
    const samples = Array.from({ length: 8 * SIZE }, (_, i) => Math.sin(i * 1.7));
    folder.write('x.npz', npz({ x: npy('<f4', [8, SIZE], samples) }));
    const loud = Array.from({ length: SIZE * SIZE }, (_, i) =>
      i % SIZE === 3 ? 900 * Math.cos(i) : Math.cos(i),
    );
    const calm = Array.from({ length: SIZE }, (_, c) => (c === 3 ? 1 / 900 : 1));
    model = host.model(
      'layers.onnx',
      makeGraph({
        inputs: [value('x', ['n', SIZE])],
        outputs: [value('y', ['n', SIZE])],
        weights: [
          weight('w', [SIZE, SIZE]),
          float32Tensor('loud', loud, [SIZE, SIZE]),
          float32Tensor('calm', calm, [SIZE]),
        ],
        nodes: [
          node('MatMul', ['x', 'w'], ['a'], {}, 'plain'),
          node('MatMul', ['a', 'loud'], ['b'], {}, 'fragile'),
          node('Mul', ['b', 'calm'], ['y'], {}, 'quieter'),
        ],
      }),
    );
  });

  it('beyond the tolerance writes nothing and names step and layer', async () => {
    const text = `
tolerance: { sqnr: 25dB }
steps: [{ pass: quantize.int8, at: '**', weights: per-tensor }]
`;
    const wrong = job('wrong', text);
    await expect(applyRecipe(wrong, control())).rejects.toThrow(
      /beyond its tolerance: output y .*step 1, quantize.int8, layer fragile.*except: "fragile"/s,
    );
    expect(existsSync(wrong.output)).toBe(false);
    expect(host.leftovers()).toEqual([]);
  });

  it('rolls back a step beyond the tolerance where asked, says why, and repeats it', async () => {
    const text = `
tolerance: { sqnr: 25dB, rollback: true }
steps:
  - { pass: quantize.int8, at: '**', weights: per-tensor }
  - { pass: prune.magnitude, ratio: 0.05, at: plain }
`;
    const rolled = job('rolled', text);
    const { content } = await applyRecipe(rolled, control());
    const [quantising, pruning] = content.steps;
    expect(quantising!.rolledBack!.node).toBe('fragile');
    expect(quantising!.rolledBack!.reason).toMatch(/beyond its tolerance: output y/);
    expect(pruning!.rolledBack).toBeUndefined();
    const written = readModelFile(rolled.output).graph.nodes.map(({ op }) => op);
    expect(written).toEqual(['MatMul', 'MatMul', 'Mul']);
    const again = { ...job('rolled-again', text), replay: rolled.decisionsOut };
    await applyRecipe(again, control());
    expect(readFileSync(again.output).equals(readFileSync(rolled.output))).toBe(true);
  });

  it('loads the model after each step, and names the one that ONNX Runtime refuses', async () => {
    const base = bindModel(openModel(model), {});
    const graph = base.graph.fork();
    const last = graph.node('quieter')!;
    graph.insert({ op: 'NoSuchOperator', inputs: ['a'], outputs: ['nothing'] }, last);
    graph.setInput('quieter', 0, 'nothing');
    const [step] = stepsOf({ pass: 'prune.magnitude' });
    const outcome = {
      ...{ step: step!, sites: [], skipped: [], touched: new Set<string>(), estimated: false },
      situation: { graph, facts: base.facts },
    };
    const shared = { sizes: {}, tolerance: undefined, evaluation: undefined, repeated: undefined };
    const check = stepChecks(
      {
        ...{ ...shared, reference: model, calibration: generatedData(), steps: 2 },
        planning: { ...control(), data: undefined, sizes: {} },
        quantised: () => [],
      },
      control(),
    );
    await expect(check!(base, outcome, 0)).rejects.toThrow(
      /ONNX Runtime refuses the result: .*NoSuchOperator.*step 1, prune.magnitude/s,
    );
    expect(await check!(base, { ...outcome, situation: base }, 0)).toBeUndefined();
    expect(host.leftovers()).toEqual([]);
  });

  it('leaves out what does not pay, says so, and repeats it from its decisions', async () => {
    const text = `
guard: { minGain: 5%, drop: true }
steps:
  - { pass: prune.magnitude, ratio: 0.5, at: plain }
  - { pass: quantize.int8, at: plain }
`;
    const guarded = job('guarded', text);
    const { content } = await applyRecipe(guarded, control());
    const [pruning, quantising] = content.steps;
    expect(pruning!.guard).toMatchObject({
      gain: 0,
      kind: 'modelled',
      on: 'mobile.pixel3-cpu',
      pays: false,
      dropped: true,
    });
    expect(quantising!.guard).toMatchObject({ minGain: 0.05 });
    expect(content.budget).toMatchObject([{ what: 'latency', kind: 'modelled', kept: true }]);
    expect(content.checks!.loads).toBe(true);
    expect(Object.keys(content.checks!.kernels).length).toBeGreaterThan(0);

    const again = { ...job('again', text), replay: guarded.decisionsOut };
    await applyRecipe(again, control());
    expect(readFileSync(again.output).equals(readFileSync(guarded.output))).toBe(true);
  });

  it('may be guarded by what this machine measures', async () => {
    const text = `
guard: { minGain: 99%, on: measured }
steps: [{ pass: prune.magnitude, ratio: 0.5, at: plain }]
`;
    const { content } = await applyRecipe(job('measured', text), control());
    const { gain, ...guard } = content.steps[0]!.guard!;
    expect(guard).toEqual({
      minGain: 0.99,
      kind: 'measured',
      on: 'this machine',
      pays: false,
      dropped: false,
    });
    expect(gain).toBeLessThan(0.99);
  });
});
