import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { float32Tensor, int64Tensor } from '../../../../language/onnx/tensor';
import type { ChannelMoments } from '../../../../language/passes/pass';
import int8 from '../../../../language/passes/quantize/int8';
import smooth from '../../../../language/passes/quantize/smooth';
import {
  bestSmoothing,
  expectedNoise,
  smoothingFactors,
} from '../../../../language/passes/smoothing';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { testHost } from '../../runtime/host';

const host = testHost();

/** Channels 0, 8, 16, … are a thousand times as large as the others. */
const UNEVEN = float32Tensor(
  'uneven',
  Array.from({ length: 32 }, (_, i) => (i % 8 === 0 ? 300 : 0.3)),
  [32],
);
/** What undoes that, so that every channel counts. */
const EVEN = (name: string) =>
  float32Tensor(
    name,
    Array.from(
      { length: 32 * 16 },
      (_, i) => Math.sin(i * 1.7) / (Math.floor(i / 16) % 8 === 0 ? 300 : 0.3),
    ),
    [32, 16],
  );

const INPUT = { inputs: [value('x', [4, 32])], outputs: [value('y', [4, 16])] };
const CASES: Record<string, ModelSpec> = {
  'a normalisation': {
    ...INPUT,
    nodes: [
      node('LayerNormalization', ['x', 'uneven'], ['n'], {}, 'norm'),
      node('MatMul', ['n', 'w'], ['y'], {}, 'layer'),
    ],
    weights: [UNEVEN, EVEN('w')],
  },
  'a product with constants': {
    ...INPUT,
    nodes: [
      node('Mul', ['x', 'uneven'], ['n'], {}, 'scale'),
      node('MatMul', ['n', 'w'], ['y'], {}, 'layer'),
    ],
    weights: [UNEVEN, EVEN('w')],
  },
  'a layer, read by two': {
    ...INPUT,
    nodes: [
      node('MatMul', ['x', 'first'], ['h'], {}, 'first'),
      node('Mul', ['h', 'uneven'], ['n'], {}, 'scale'),
      node('MatMul', ['n', 'w'], ['a'], {}, 'layer'),
      node('MatMul', ['n', 'v'], ['b'], {}, 'other'),
      node('Add', ['a', 'b'], ['y'], {}, 'sum'),
    ],
    weights: [weight('first', [32, 32]), UNEVEN, EVEN('w'), EVEN('v')],
  },
  'a value whose size is asked for': {
    ...INPUT,
    nodes: [
      node('LayerNormalization', ['x', 'uneven'], ['n'], {}, 'norm'),
      node('Shape', ['n'], ['size'], { start: 0, end: 1 }, 'size'),
      node('MatMul', ['n', 'w'], ['h'], {}, 'layer'),
      node('Reshape', ['h', 'dims'], ['y'], {}, 'shape'),
    ],
    weights: [UNEVEN, EVEN('w'), int64Tensor('dims', [4, 16])],
  },
  'nothing that takes factors': {
    ...INPUT,
    nodes: [
      node('Mul', ['x', 'uneven'], ['m'], {}, 'scale'),
      node('Tanh', ['x'], ['t'], {}, 'tanh'),
      node('Add', ['m', 't'], ['n'], {}, 'sum'),
      node('Transpose', ['wt'], ['w'], { perm: [1, 0] }, 'turn'),
      node('Gemm', ['n', 'w', 'bias'], ['y'], {}, 'layer'),
    ],
    weights: [
      UNEVEN,
      float32Tensor(
        'wt',
        Array.from({ length: 16 * 32 }, (_, i) => Math.cos(i) / ((i % 32) % 8 === 0 ? 300 : 0.3)),
        [16, 32],
      ),
      weight('bias', [16]),
    ],
  },
};

function evidenceOf(graph: Graph) {
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
  return { facts, evidence };
}

async function smoothed(spec: ModelSpec, given: Parameters<typeof smooth.parameters.parse>[0]) {
  const graph = makeGraph(spec);
  const { facts, evidence } = evidenceOf(graph);
  const sites = smooth.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: smooth.parameters.parse(given) };
  const decisions = await smooth.plan(request, evidence);
  const refused = smooth.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never);
  return { graph, refused };
}

/** @param float layers that measurement would leave float */
async function quantised(
  spec: ModelSpec,
  given: Parameters<typeof int8.parameters.parse>[0],
  float: readonly string[] = [],
) {
  const graph = makeGraph(spec);
  const { facts, evidence } = evidenceOf(graph);
  const sites = int8.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: int8.parameters.parse(given) };
  const plan = await int8.plan(request, evidence);
  const decisions = { ...plan, float: [...plan.float, ...float] };
  int8.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never);
  return graph;
}

async function fidelity(spec: ModelSpec, graph: Graph): Promise<number> {
  const { outputs } = await runTask(
    {
      kind: 'compare',
      reference: host.model('before.onnx', makeGraph(spec)),
      candidate: host.model('after.onnx', graph),
      data: generatedData(16),
    },
    { entry: host.entry },
  );
  return outputs[0]!.sqnrDb ?? Infinity;
}

describe('quantize.smooth', () => {
  it.each(Object.entries(CASES))('keeps what is computed behind %s', async (_, spec) => {
    const { graph, refused } = await smoothed(spec, { where: 'everywhere' });
    expect(refused).toEqual([]);
    expect(await fidelity(spec, graph)).toBeGreaterThan(90);
  });

  it('costs nothing where constants take the factors, and says where none do', async () => {
    const free = await smoothed(CASES['a normalisation']!, {});
    expect(free.graph.order.map(({ op }) => op)).toEqual(['LayerNormalization', 'MatMul']);
    const sized = await smoothed(CASES['a value whose size is asked for']!, {});
    expect(sized.refused).toEqual([]);
    expect(sized.graph.order).toHaveLength(4);
    const { graph, refused } = await smoothed(CASES['nothing that takes factors']!, {});
    expect(refused).toEqual([
      { node: 'layer', reason: expect.stringMatching(/everywhere/) as string },
    ]);
    expect(graph.order).toHaveLength(5);
  });

  it('lets 8 bits suffice', async () => {
    const spec = CASES['a normalisation']!;
    const [plain, better] = [
      await quantised(spec, { form: 'full', smooth: 'off' }),
      await quantised(spec, { form: 'full', smooth: 'auto' }),
    ];
    expect(await fidelity(spec, better)).toBeGreaterThan((await fidelity(spec, plain)) + 10);
  });
});

describe('layers that measurement leaves float', () => {
  it('read the smoothed values too', async () => {
    const spec = CASES['nothing that takes factors']!;
    const graph = await quantised(spec, { form: 'full' }, ['layer']);
    expect(await fidelity(spec, graph)).toBeGreaterThan(90);
  });
});

describe('factors', () => {
  const moments: ChannelMoments = {
    count: 100,
    min: Float64Array.of(-8, -1, 0, 0),
    max: Float64Array.of(4, 2, 1, 0),
    mean: Float64Array.of(0, 0, 0, 0),
    meanSquare: Float64Array.of(4, 0.5, 0.1, 0),
  };
  const matrices = [{ rows: 4, columns: 2, values: Float32Array.of(1, -2, 4, 0, 1, 1, 2, 1) }];

  it('follow the formula, with silent channels as a small share of the middle one', () => {
    const halfway = smoothingFactors(moments, matrices, 0.5);
    expect(Array.from(halfway.slice(0, 3))).toEqual([
      Math.sqrt(8 / 2),
      Math.sqrt(2 / 4),
      Math.sqrt(1 / 1),
    ]);
    expect(halfway[3]).toBeGreaterThan(0);
    expect(Array.from(smoothingFactors(moments, matrices, 1).slice(0, 3))).toEqual([8, 2, 1]);
  });

  it('are the ones with the least expected noise', () => {
    const { factors, gain } = bestSmoothing(moments, matrices);
    const least = expectedNoise(moments, matrices, factors);
    for (const alpha of [0, 0.3, 0.7, 1]) {
      const other = smoothingFactors(moments, matrices, alpha);
      expect(expectedNoise(moments, matrices, other)).toBeGreaterThanOrEqual(least);
    }
    expect(gain).toBeGreaterThan(1);
  });
});
