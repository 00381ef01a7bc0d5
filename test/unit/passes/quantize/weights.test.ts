import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { float32Tensor } from '../../../../language/onnx/tensor';
import type { Evidence, Gram } from '../../../../language/passes/pass';
import {
  outputError,
  scaleRows,
  searchClips,
  searchScales,
  shrinkOf,
} from '../../../../language/passes/quantize/rounding/awq';
import {
  levels,
  restored,
  roundToNearest,
  type Format,
} from '../../../../language/passes/quantize/rounding/blockwise';
import { invertToUpper } from '../../../../language/passes/quantize/rounding/cholesky';
import { gptq } from '../../../../language/passes/quantize/rounding/gptq';
import { hqq } from '../../../../language/passes/quantize/rounding/hqq';
import type { Matrix } from '../../../../language/passes/linear';
import weights from '../../../../language/passes/quantize/weights';
import { generatedData } from '../../../../language/runtime/tasks';
import { runTask } from '../../../../language/runtime/runtime';
import { makeGraph, node, value, weight } from '../../../models';
import { testHost } from '../../runtime/host';
import { EVIDENCE } from '../subject';
import { transformer } from '../transformer';

const host = testHost();

/** Repeatable numbers that look random, between −1 and 1. */
function noise(seed: number) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Rows in which channels go together, some of them large. */
function activations(rows: number, size: number): Float64Array {
  const next = noise(7);
  const out = new Float64Array(rows * size);
  for (let row = 0; row < rows; row++) {
    const common = next();
    for (let k = 0; k < size; k++)
      out[row * size + k] = (common + 0.3 * next()) * (k % 8 === 0 ? 4 : 1);
  }
  return out;
}

function gramOf(x: Float64Array, size: number): Gram {
  const rows = x.length / size;
  const data = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      for (let row = 0; row < rows; row++)
        data[i * size + j]! += x[row * size + i]! * x[row * size + j]!;
  return { rows, size, data };
}

function matrix(rows: number, columns: number): Matrix {
  const next = noise(3);
  const values = Float32Array.from({ length: rows * columns }, () => next() ** 3);
  return { rows, columns, values };
}

const SIZE = 64;
const FORMATS: Format[] = [
  { bits: 4, block: 32, symmetric: false },
  { bits: 4, block: SIZE, symmetric: true },
  { bits: 2, block: 16, symmetric: false },
];

describe('the factor of an inverse', () => {
  it.each([1, 5, 64, 130])('of %i rows gives the inverse back', (size) => {
    const { data } = gramOf(activations(3 * size, size), size);
    for (let i = 0; i < size; i++) data[i * size + i]! += 1;
    const upper = data.slice();
    expect(invertToUpper(upper, size)).toBe(true);
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        let sum = 0; // of U A Uᵀ, which is the identity
        for (let k = i; k < size; k++)
          for (let l = j; l < size; l++)
            sum += upper[i * size + k]! * data[k * size + l]! * upper[j * size + l]!;
        if (Math.abs(sum - (i === j ? 1 : 0)) > 1e-8) expect([i, j, sum]).toEqual([]);
        if (j > 7) break;
      }
  });

  it('does not exist where a matrix is not positive definite', () => {
    expect(invertToUpper(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
  });
});

describe.each(FORMATS)('rounding to $bits bits in blocks of $block', (format) => {
  const w = matrix(SIZE, 24);
  const x = activations(256, SIZE);
  const gram = gramOf(x, SIZE);
  const nearest = outputError(w, restored(roundToNearest(w, format)), gram);

  it('gptq loses less than half of what rounding to nearest loses', () => {
    const rounded = gptq(w, gram, format, 0.01)!;
    expect(outputError(w, restored(rounded), gram)).toBeLessThan(nearest / 2);
  });

  it('awq loses no more with its scales; no block loses more by its clips', () => {
    const means = Float64Array.from({ length: SIZE }, (_, k) => {
      let sum = 0;
      for (let i = k; i < x.length; i += SIZE) sum += Math.abs(x[i]!);
      return (sum * SIZE) / x.length;
    });
    const scales = searchScales([w], means, gram, format);
    const scaled = scaleRows(w, scales);
    const back = scales.map((scale) => 1 / scale);
    const values = restored(roundToNearest(scaled, format));
    const error = outputError(w, scaleRows({ ...w, values }, back).values, gram);
    expect(error).toBeLessThanOrEqual(nearest);
    const steps = searchClips(w, gram, format);
    const clipped = roundToNearest(w, format, (block) =>
      Array.from(steps.subarray(block * w.columns, (block + 1) * w.columns), shrinkOf),
    );
    // Each block is clipped for its own part of the output.
    const errorOfBlock = (rounded: Float32Array, from: number) => {
      const to = Math.min(SIZE, from + format.block) * w.columns;
      const only = w.values.slice();
      only.set(rounded.subarray(from * w.columns, to), from * w.columns);
      return outputError(w, only, gram);
    };
    const unclipped = restored(roundToNearest(w, format));
    for (let from = 0; from < SIZE; from += format.block)
      expect(errorOfBlock(restored(clipped), from)).toBeLessThanOrEqual(
        errorOfBlock(unclipped, from) + 1e-9,
      );
  });

  it('awq leaves scales alone where each one loses', () => {
    // Codes already: any factor takes them off their grid.
    const codes = levels(format.bits) + 1;
    const code = (i: number) => (Math.floor(i / w.columns) * 7 + (i % w.columns)) % codes;
    const values = w.values.map((_, i) => (code(i) - codes / 2) / 8);
    const onGrid = { ...w, values };
    const means = new Float64Array(SIZE).map((_, k) => 1 + (k % 5));
    expect(outputError(onGrid, restored(roundToNearest(onGrid, format)), gram)).toBeCloseTo(0, 9);
    expect(searchScales([onGrid], means, gram, format)).toEqual(new Float32Array(SIZE).fill(1));
  });

  it('hqq moves zero points so that typical weights are nearer', () => {
    const norm = (values: Float32Array) =>
      values.reduce((sum, v, i) => sum + Math.abs(v - w.values[i]!) ** 0.7, 0);
    const asymmetric = { ...format, symmetric: false };
    const moved = norm(restored(hqq(w, asymmetric)));
    expect(moved).toBeLessThan(norm(restored(roundToNearest(w, asymmetric))));
  });
});

/** One layer of 200 inputs, which no block divides, behind a normalisation; and a second of a Gemm with a bias. */
const network = (): Graph =>
  makeGraph({
    inputs: [value('x', [6, 200])],
    outputs: [value('y', [6, 5])],
    weights: [
      weight('gamma', [200], 5),
      weight('w', [200, 48], 2),
      weight('v', [5, 48], 3),
      weight('bias', [5], 4),
    ],
    nodes: [
      node('LayerNormalization', ['x', 'gamma'], ['n'], {}, 'norm'),
      node('MatMul', ['n', 'w'], ['h'], {}, 'first'),
      node('Relu', ['h'], ['r'], {}, 'act'),
      node('Gemm', ['r', 'v', 'bias'], ['y'], { transB: 1 }, 'second'),
    ],
  });

/** @param sizeOf channels of a value */
const evidenceOf = (sizeOf: (value: string) => number): Evidence => ({
  ...EVIDENCE,
  grams: (values) =>
    Promise.resolve(
      new Map(
        values.map((name) => {
          const size = sizeOf(name);
          return [name, gramOf(activations(2 * size, size), size)];
        }),
      ),
    ),
  activations: (values) =>
    Promise.resolve(
      new Map(
        values.map((name) => {
          const size = sizeOf(name);
          const data = Float32Array.from(activations(8, size));
          return [name, [{ dims: [8, size], data }]];
        }),
      ),
    ),
});
const evidence = evidenceOf((name) => (name === 'n' ? 200 : 48));

/** Tokens that are looked up, rotated by a table of positions, and recognised again by the same table. */
const language = (): Graph =>
  makeGraph({
    inputs: [value('ids', [2, 6], 'int64'), value('positions', [6], 'int64')],
    outputs: [value('y', [2, 6, 40])],
    weights: [
      weight('table', [40, 96], 2),
      weight('cosines', [16, 96], 3),
      weight('w', [96, 96], 4),
    ],
    nodes: [
      node('Gather', ['table', 'ids'], ['tokens'], {}, 'lookup'),
      node('Gather', ['cosines', 'positions'], ['angles'], {}, 'angles'),
      node('MatMul', ['tokens', 'w'], ['h'], {}, 'layer'),
      node('Mul', ['h', 'angles'], ['turned'], {}, 'turn'),
      node('Transpose', ['table'], ['turnedTable'], { perm: [1, 0] }, 'view'),
      node('MatMul', ['turned', 'turnedTable'], ['y'], {}, 'head'),
    ],
  });

async function quantised(given: object, graph = network(), measured = evidence) {
  const facts = inferShapes(graph, { inputs: new Map() });
  const sites = weights.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const parameters = weights.parameters.parse({ head: 'quantise', ...given });
  const decisions = await weights.plan({ graph, facts, sites, parameters }, measured);
  const refused = weights.rewrite(
    { graph, facts, sites, parameters },
    JSON.parse(JSON.stringify(decisions)) as typeof decisions,
  );
  return { graph, refused, decisions };
}

describe('the pass', () => {
  const cases = [
    { method: 'rtn', block: '16' },
    { method: 'rtn', block: '256', symmetric: true },
    { method: 'rtn', block: 'channel' },
    { method: 'rtn', bits: 8 },
    { method: 'gptq', block: '32', bits: 8 },
    { method: 'awq', block: '64', bits: 8 },
    { method: 'hqq', block: '32' },
    { method: 'rtn', bits: 2, block: '16' },
    { method: 'gptq', format: 'qdq' },
    { method: 'rtn', format: 'qdq', block: 'channel' },
    { method: 'awq', format: 'qdq', symmetric: true },
    { method: 'rtn', format: 'qdq', bits: 8, block: '64' },
  ];
  const layers = {
    nbits: ['LayerNormalization', 'MatMulNBits', 'Relu', 'MatMulNBits', 'Add'],
    qdq: ['LayerNormalization', 'DequantizeLinear', 'MatMul', 'Relu', 'DequantizeLinear', 'Gemm'],
  };
  it.each(cases)('writes what ONNX Runtime computes with: %o', async (given) => {
    const { graph, refused } = await quantised(given);
    expect(refused).toEqual([]);
    const ops = graph.order.map(({ op }) => op);
    expect(ops).toEqual('format' in given ? layers.qdq : layers.nbits);
    const name = Object.values(given).join('-');
    const comparison = await runTask(
      {
        kind: 'compare',
        reference: host.model(`${name}-before.onnx`, network()),
        candidate: host.model(`${name}.onnx`, graph),
        data: generatedData(6),
      },
      { entry: host.entry },
    );
    const least = given.bits === 8 ? 30 : given.bits === 2 ? 0 : 12;
    expect(comparison.outputs[0]!.sqnrDb).toBeGreaterThan(least);
  });

  it.each([
    ['search', ['branch0', 'branch1', 'mlp0', 'mlp1', 'vflat0', 'vflat1']],
    ['off', []],
  ])('clips by AWQ no layers that make queries or keys: clip: %s', async (clip, expected) => {
    const given = { method: 'awq', block: '16', clip };
    const measured = evidenceOf(() => 8);
    const { graph, refused, decisions } = await quantised(given, transformer(), measured);
    const clipped = Object.keys(decisions.layers).map((id) => graph.node(id)!.outputs[0]);
    expect(clipped.sort()).toEqual(expected);
    expect(refused).toEqual([]);
    expect(graph.order.filter(({ op }) => op === 'MatMulNBits')).toHaveLength(10);
  });

  it('keeps the layer that makes the output, and says so', async () => {
    const { graph, refused } = await quantised({ head: 'keep' });
    expect(refused).toEqual([expect.objectContaining({ node: 'second' })]);
    expect(graph.node('second')!.op).toBe('Gemm');
  });

  it.each([
    { bits: 4, block: '32', least: 12 },
    { bits: 8, block: 'channel', symmetric: true, least: 30 },
  ])('looks tokens up in tables of few bits: %o', async ({ least, ...given }) => {
    const { graph, refused } = await quantised({ ...given, embeddings: 'quantise' }, language());
    expect(refused).toEqual([]);
    expect(graph.order.map(({ op }) => op)).toEqual(
      expect.arrayContaining(['GatherBlockQuantized', 'Gather', 'MatMulNBits']),
    );
    expect(graph.constant('table')).toBeUndefined();
    expect(graph.node('angles')!.op).toBe('Gather');
    const name = Object.values(given).join('-');
    const comparison = await runTask(
      {
        kind: 'compare',
        reference: host.model('language.onnx', language()),
        candidate: host.model(`language-${name}.onnx`, graph),
        data: generatedData(6),
      },
      { entry: host.entry },
    );
    expect(comparison.outputs[0]!.sqnrDb).toBeGreaterThan(least);
  });

  it.each([
    [{ embeddings: 'keep' }, /embeddings: quantise/],
    [{ embeddings: 'quantise', head: 'keep' }, /reads the same weights/],
    [{ embeddings: 'quantise', format: 'qdq' }, /restore the whole table/],
  ])('keeps the table with %o, and says why', async (given, reason) => {
    const { graph, refused } = await quantised(given, language());
    expect(graph.node('lookup')!.op).toBe('Gather');
    const said = expect.objectContaining({
      node: 'lookup',
      reason: expect.stringMatching(reason) as string,
    }) as object;
    expect(refused).toContainEqual(said);
  });

  it.each([
    [{ bits: 2, format: 'qdq' }, /2 bits have no type/],
    [{ method: 'hqq', format: 'qdq' }, /zero points between codes/],
  ])('has no interchange form of %o', async (given, reason) => {
    const { graph, refused } = await quantised(given);
    expect(graph.node('first')!.inputs[1]).toBe('w');
    for (const one of refused) expect(one.reason).toMatch(reason);
    expect(refused).toHaveLength(2);
  });

  it('refuses weights that are no numbers', async () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 16])],
      outputs: [value('y', [1, 2])],
      weights: [float32Tensor('w', new Array<number>(32).fill(NaN), [16, 2])],
      nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'layer')],
    });
    const facts = inferShapes(graph, { inputs: new Map() });
    const parameters = weights.parameters.parse({ method: 'gptq', head: 'quantise' });
    const request = { graph, facts, sites: [{ node: 'layer', entry: 0 }], parameters };
    const gram = { rows: 1, size: 16, data: new Float64Array(256) };
    const planned = weights.plan(request, {
      ...EVIDENCE,
      grams: () => Promise.resolve(new Map([['x', gram]])),
    });
    await expect(planned).rejects.toThrow(/the weight w holds NaN/);
  });
});
