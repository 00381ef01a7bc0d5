import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { float32Tensor } from '../../../../language/onnx/tensor';
import type { Activations } from '../../../../language/passes/pass';
import quart from '../../../../language/passes/quantize/quart';
import { compensated, gramOf } from '../../../../language/passes/quantize/quart/compensate';
import { fisherOf } from '../../../../language/passes/quantize/quart/fisher';
import { dequantised, fitQuantiser } from '../../../../language/passes/quantize/quart/polish';
import {
  gridOf,
  nearestCodes,
  reconstructedCodes,
} from '../../../../language/passes/quantize/quart/reconstruct';
import type { Rows } from '../../../../language/passes/quantize/quart/rows';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { estimate } from '../../../../language/cost/estimate';
import { bundled } from '../../cost/subject';
import { testFolder } from '../../data/arrays';
import { testHost } from '../../runtime/host';
import { costs, reopened } from '../subject';

const host = testHost();
const folder = testFolder();

/** Repeatable numbers between −1 and 1. */
function noise(seed: number) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Heavy tails, as the decoders of depth models have them: cubes, one in a hundred 25 times as large. */
function heavyTailed(rows: number, size: number, seed = 5): Float32Array {
  const next = noise(seed);
  return Float32Array.from({ length: rows * size }, () => next() ** 3 * (next() > 0.98 ? 25 : 1));
}

const error = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

describe('polishing', () => {
  const activations: Activations = [{ dims: [256, 8], data: heavyTailed(256, 8) }];
  const { data } = activations[0]!;

  it('undoes itself but for the steps of 8 bits', () => {
    const quantiser = fitQuantiser(activations, { bits: 8, polished: true, axis: 1 });
    const [{ data: back }] = dequantised(activations, quantiser) as [Activations[number]];
    expect(error(data, back)).toBeLessThan(1e-3 * error(data, new Float32Array(data.length)));
  });

  it('keeps what is common better than codes over the whole range do', () => {
    const [logarithmic, plain] = [true, false].map((polished) => {
      const quantiser = fitQuantiser(activations, { bits: 4, polished, axis: 1 });
      return dequantised(activations, quantiser)[0]!.data;
    }) as [Float32Array, Float32Array];
    const common = (values: Float32Array) => values.filter((_, i) => Math.abs(data[i]!) < 1);
    expect(error(common(data), common(logarithmic))).toBeLessThan(
      error(common(data), common(plain)) / 4,
    );
  });

  it('takes channels of nothing but zero', () => {
    const silent: Activations = [{ dims: [4, 2], data: new Float32Array(8) }];
    const quantiser = fitQuantiser(silent, { bits: 4, polished: true, axis: 1 });
    expect(Array.from(dequantised(silent, quantiser)[0]!.data)).toEqual(new Array(8).fill(0));
  });
});

const SIZE = 24;
const ROWS: Rows = (() => {
  const next = noise(11);
  const data = new Float32Array(400 * SIZE);
  for (let row = 0; row < 400; row++) {
    const common = next();
    for (let k = 0; k < SIZE; k++) data[row * SIZE + k] = common + 0.4 * next();
  }
  return { count: 400, size: SIZE, data };
})();
const MATRIX = {
  rows: SIZE,
  columns: 6,
  values: Float32Array.from({ length: SIZE * 6 }, noise(3)),
};

function products({ count, size, data }: Rows, values: Float32Array): Float32Array {
  const out = new Float32Array(count * 6);
  for (let row = 0; row < count; row++)
    for (let k = 0; k < size; k++)
      for (let n = 0; n < 6; n++) out[row * 6 + n]! += data[row * size + k]! * values[k * 6 + n]!;
  return out;
}

describe('compensation', () => {
  it('is the least-squares correction: no other weights come nearer', () => {
    const rounded = { ...ROWS, data: ROWS.data.map((value) => Math.floor(value * 2) / 2) };
    const target = products(ROWS, MATRIX.values);
    const after = compensated(MATRIX, ROWS, rounded, gramOf(rounded), 1e-9);
    const least = error(products(rounded, after.values), target);
    expect(least).toBeLessThan(0.8 * error(products(rounded, MATRIX.values), target));
    for (let i = 0; i < after.values.length; i += 17) {
      const moved = after.values.slice();
      moved[i]! += 1e-2;
      expect(error(products(rounded, moved), target)).toBeGreaterThan(least);
    }
  });
});

describe('reconstruction', () => {
  it('rounds up or down only, with less error by A and G than the nearest codes', () => {
    const gram = gramOf(ROWS);
    const grid = gridOf(MATRIX, 4);
    const correlated = Float64Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 : 0.6));
    const fisher = [{ from: 0, size: 6, data: correlated }];
    const restored = (codes: Uint8Array) =>
      Float32Array.from(codes, (code, i) => grid.scales[i % 6]! * (code - grid.zeroPoints[i % 6]!));
    const weighted = (codes: Uint8Array) => {
      const lost = products(
        ROWS,
        MATRIX.values.map((w, i) => w - restored(codes)[i]!),
      );
      let sum = 0;
      for (let row = 0; row < ROWS.count; row++)
        for (let a = 0; a < 6; a++)
          for (let b = 0; b < 6; b++)
            sum += correlated[a * 6 + b]! * lost[row * 6 + a]! * lost[row * 6 + b]!;
      return sum;
    };
    const nearest = nearestCodes(MATRIX, grid);
    const found = reconstructedCodes(MATRIX, grid, gram, fisher);
    expect(weighted(found)).toBeLessThan(0.5 * weighted(nearest));
    found.forEach((code, i) => {
      const real = MATRIX.values[i]! / grid.scales[i % 6]! + grid.zeroPoints[i % 6]!;
      expect(Math.abs(code - real)).toBeLessThan(1 + 1e-4);
    });
  });
});

function evidenceOf(graph: Graph) {
  const facts = inferShapes(graph, { inputs: new Map([['x', [1, 3, 8, 8]]]) });
  const evidence = gatherEvidence(
    { graph, facts },
    {
      data: generatedData(8),
      sizes: { x: [1, 3, 8, 8] },
      signal: new AbortController().signal,
      onProgress: () => undefined,
      runtimeEntry: host.entry,
    },
  );
  return { facts, evidence };
}

/** A first layer, one that is grouped and strided, one with a matrix, and an output. */
const DEPTH: ModelSpec = {
  inputs: [value('x', ['batch', 3, 8, 8])],
  outputs: [value('y', ['batch', 4, 1, 4])],
  nodes: [
    node('Conv', ['x', 'w0', 'b0'], ['c0'], { pads: [1, 1, 1, 1] }, 'first'),
    node('Relu', ['c0'], ['r0'], {}, 'relu'),
    node(
      'Conv',
      ['r0', 'w1'],
      ['c1'],
      { auto_pad: 'SAME_UPPER', strides: [2, 2], group: 2 },
      'middle',
    ),
    node('ReduceMean', ['c1'], ['m'], { axes: [2], keepdims: 1 }, 'mean'),
    node('Tanh', ['m'], ['t'], {}, 'tanh'),
    node('MatMul', ['t', 'w2'], ['g'], {}, 'matrix'),
    node('Tanh', ['g'], ['u'], {}, 'tanh2'),
    node('Conv', ['u', 'w3'], ['y'], {}, 'last'),
  ],
  weights: [
    weight('w0', [6, 3, 3, 3]),
    weight('b0', [6], 4),
    weight('w1', [8, 3, 3, 3], 2),
    weight('w2', [4, 4], 3),
    weight('w3', [4, 8, 1, 1], 5),
  ],
};

async function fidelity(given: Parameters<typeof quart.parameters.parse>[0], spec = DEPTH) {
  const graph = makeGraph(spec);
  const { facts, evidence } = evidenceOf(graph);
  const sites = quart.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: quart.parameters.parse(given) };
  const decisions = await quart.plan(request, evidence);
  const refused = quart.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never);
  const { outputs } = await runTask(
    {
      kind: 'compare',
      reference: host.model('before.onnx', makeGraph(spec)),
      candidate: host.model('after.onnx', graph),
      data: generatedData(8),
    },
    { entry: host.entry },
  );
  return { graph, facts, refused, decibels: outputs[0]!.sqnrDb ?? Infinity };
}

describe('the Fisher information', () => {
  it('of a layer that the outputs are linear in is known', async () => {
    const graph = makeGraph({
      inputs: [value('x', ['batch', 5, 3])],
      outputs: [value('y', ['batch', 5, 2])],
      nodes: [
        node('MatMul', ['x', 'a'], ['h'], {}, 'layer'),
        node('MatMul', ['h', 'b'], ['y'], {}, 'after'),
      ],
      weights: [weight('a', [3, 4]), float32Tensor('b', [1, 0, 2, 0, 0, 3, 1, 1], [4, 2])],
    });
    const facts = inferShapes(graph, { inputs: new Map([['x', [1, 5, 3]]]) });
    const evidence = gatherEvidence(
      { graph, facts },
      {
        data: generatedData(4),
        sizes: { x: [1, 5, 3] },
        signal: new AbortController().signal,
        onProgress: () => undefined,
        runtimeEntry: host.entry,
      },
    );
    const [block] = await fisherOf(graph, facts, 'layer', 2, evidence);
    const expected = [1, 2, 0, 1, 2, 4, 0, 2, 0, 0, 9, 3, 1, 2, 3, 2]; // BBᵀ
    block!.data.forEach((found, i) => expect(found / block!.data[0]!).toBeCloseTo(expected[i]!, 2));
  });
});

describe('quantize.quart', () => {
  it('runs in ONNX Runtime, nearer to the float model with every part than without any', async () => {
    const whole = await fidelity({});
    const nothing = await fidelity({ polish: 'off', compensate: false, reconstruct: 'off' });
    expect(whole.refused).toEqual([]);
    expect(whole.decibels).toBeGreaterThan(nothing.decibels);
    const types = [...whole.graph.initializers.values()].map(({ elementType }) => elementType);
    expect(types.filter((type) => type === 'uint4')).toHaveLength(2 * 3);
    const inputs = new Map([['x', [1, 3, 8, 8]]]);
    const { graph } = whole;
    const previewed = costs({ graph, facts: inferShapes(graph, { inputs }) });
    const base = { ...whole, inputs };
    expect(previewed).toEqual(costs(reopened(base, whole, folder.path)));
    const powers = (target: Parameters<typeof bundled>[0]) =>
      estimate(graph, inferShapes(graph, { inputs }), bundled(target)).layers.filter(
        ({ node, latencyMs }) => graph.node(node)?.op === 'Exp' && latencyMs !== 0,
      );
    expect(powers('asic.systolic-32x32-ws')).toEqual([]);
    expect(powers('mobile.pixel3-cpu')).not.toEqual([]);
  });

  it('is nearly exact in 8 bits', async () => {
    const { decibels } = await fidelity({ bits: 8, ends: 8, reconstruct: 'off' });
    expect(decibels).toBeGreaterThan(25);
  });
});
