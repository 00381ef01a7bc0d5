import { describe, expect, it } from 'vitest';
import { counts } from '../../../../language/cost/counts';
import { estimate } from '../../../../language/cost/estimate';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { float32Tensor } from '../../../../language/onnx/tensor';
import agile from '../../../../language/passes/quantize/agile';
import { refinement } from '../../../../language/passes/quantize/agile/trip';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { bundled } from '../../cost/subject';
import { stepsOf } from '../../recipe/subject';
import { sample, testHost } from '../../runtime/host';
import { open, preview } from '../subject';

const host = testHost();

/** Two layers behind a normalisation, some of whose channels are 16 times as large as the others, and one behind them. */
const NETWORK: ModelSpec = {
  inputs: [value('x', [12, 32])],
  outputs: [value('y', [12, 32])],
  nodes: [
    node('LayerNormalization', ['x', 'gain'], ['n'], {}, 'norm'),
    node('Transpose', ['wt'], ['w'], { perm: [1, 0] }, 'turn'),
    node('Gemm', ['n', 'w', 'bias'], ['g'], {}, 'first'),
    node('MatMul', ['n', 'v'], ['u'], {}, 'second'),
    node('Sigmoid', ['g'], ['s'], {}, 'gate'),
    node('Mul', ['s', 'u'], ['m'], {}, 'gated'),
    node('MatMul', ['m', 'wo'], ['o'], {}, 'third'),
    node('Mul', ['o', 'x'], ['y'], {}, 'mixed'),
  ],
  weights: [
    float32Tensor(
      'gain',
      Array.from({ length: 32 }, (_, i) => (i % 8 === 0 ? 16 : 1)),
    ),
    weight('wt', [48, 32], 3),
    weight('bias', [48], 4),
    weight('v', [32, 48], 2),
    weight('wo', [48, 32], 5),
  ],
};

async function quantised(given: Parameters<typeof agile.parameters.parse>[0]) {
  const graph = makeGraph(NETWORK);
  const facts = inferShapes(graph, { inputs: new Map() });
  const evidence = gatherEvidence(
    { graph, facts },
    {
      data: generatedData(16),
      sizes: {},
      signal: new AbortController().signal,
      onProgress: () => undefined,
      runtimeEntry: host.entry,
    },
  );
  const sites = agile.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: agile.parameters.parse(given) };
  const decisions = await agile.plan(request, evidence);
  const refused = agile.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never);
  const model = host.model('after.onnx', graph);
  const { outputs } = await runTask(
    {
      kind: 'compare',
      reference: host.model('before.onnx', makeGraph(NETWORK)),
      candidate: model,
      data: generatedData(16),
    },
    { entry: host.entry },
  );
  return { graph, refused, model, decibels: outputs[0]!.sqnrDb ?? Infinity };
}

describe('quantize.agile', () => {
  it('multiplies codes in integer kernels, and 8 bits cost next to nothing over 4-bit weights', async () => {
    const whole = await quantised({ activations: 8, refine: 'off' });
    expect(whole.refused).toEqual([]);
    const { kernels } = await runTask(
      { kind: 'kernels', model: whole.model },
      { entry: host.entry },
    );
    expect(Object.fromEntries(kernels)).toMatchObject({ MatMulInteger: 3 });
    const alone = await quantised({ activations: 16 });
    expect(whole.decibels).toBeGreaterThan(alone.decibels - 0.5);
  });

  it('has less error in 4 bits than rounding every number by itself', async () => {
    const whole = await quantised({ activations: 4 });
    const plain = await quantised({ activations: 4, rounding: 'rtn', refine: 'off' });
    expect(whole.decibels).toBeGreaterThan(plain.decibels + 1);
  });

  const steps: [
    step: { pass: string; [parameter: string]: unknown },
    speedup: number,
    mapping: RegExp,
  ][] = [
    [{ pass: 'quantize.agile', activations: 8 }, 1.26, /4-bit weights and 8-bit activations/],
    [{ pass: 'quantize.agile', activations: 4 }, 1.59, /4-bit weights and 4-bit activations/],
    [{ pass: 'quantize.int8', mode: 'dynamic' }, 1, /^int8 product of matrices$/],
  ];
  it.each(steps)(
    '%j is billed by its bits where a profile has kernels for them',
    (step, speedup, mapping) => {
      const base = open(sample('text-llama.onnx'), { sequence: 64 });
      const given =
        step.pass === 'quantize.agile' ? { ...step, rounding: 'rtn', refine: 'off' } : step;
      const { graph, facts } = preview(base, stepsOf(given)).situation;
      const layerOn = (target: string) => {
        const { layers } = estimate(graph, facts, bundled(target));
        const layer = layers.find(({ node }) => node === '/layers.0/mlp/up_proj/MatMul')!;
        return { ...layer, arithmetic: layer.terms.find(({ name }) => name === 'arithmetic')!.ms };
      };
      const [plain, narrow] = [layerOn('mobile.generic-cpu'), layerOn('mobile.generic-cpu-4bit')];
      expect(plain.arithmetic / narrow.arithmetic).toBeCloseTo(speedup);
      expect(plain.mapping).toMatch(/^int8 product of matrices$/);
      expect(narrow.mapping).toMatch(mapping);
    },
  );

  it('has products of attention billed as the bytes that they read, and as many of them', () => {
    const base = open(sample('text-llama.onnx'), { sequence: 64 });
    const given = { pass: 'quantize.agile', activations: 4, rounding: 'rtn', refine: 'off' };
    const { graph, facts } = preview(base, stepsOf(given)).situation;
    for (const target of ['mobile.generic-cpu', 'mobile.generic-cpu-4bit']) {
      const { layers } = estimate(graph, facts, bundled(target));
      const products = layers.filter(({ node }) => /attn.MatMul(_1)?$/.test(node));
      expect(products).toHaveLength(12);
      for (const { mapping } of products)
        expect(mapping).toMatch(/^int8 product of two activations$/);
    }
    expect(counts(graph, facts).macs).toBe(counts(base.graph, base.facts).macs);
  });
});

describe('refinement', () => {
  const size = 16;
  const data = Float32Array.from(
    { length: 64 * size },
    (_, i) => Math.sin(i * 1.7) * (i % 8 === 0 ? 16 : 1),
  );
  const even = {
    rows: size,
    columns: 8,
    values: Float32Array.from({ length: size * 8 }, (_, i) => Math.cos(i)),
  };

  it('takes powers of two, smaller ones for small channels', () => {
    const factors = refinement([{ dims: [64, size], data }], [even], 4)!;
    for (const factor of factors) expect(Number.isInteger(Math.log2(factor))).toBe(true);
    expect(factors[0]).toBe(1);
    expect(factors[1]).toBeLessThan(1);
  });

  it('leaves alone what one scale serves', () => {
    const flat = data.map((x, i) => (i % 8 === 0 ? x / 16 : x));
    const exact = { ...even, values: even.values.map((w) => Math.round(w * 7)) };
    expect(refinement([{ dims: [64, size], data: flat }], [exact], 8)).toBeUndefined();
  });
});
