import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { tensorNumbers } from '../../../../language/onnx/tensor';
import equalise from '../../../../language/passes/quantize/equalise';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { baseOf, stepsOf } from '../../recipe/subject';
import { testHost } from '../../runtime/host';
import { run } from '../subject';

const host = testHost();
beforeAll(() => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
});

/** A depthwise triple behind batch normalisation, pooled into two layers of matrices. */
const SPEC: ModelSpec = {
  inputs: [value('x', [1, 3, 6, 6])],
  outputs: [value('y', [1, 4])],
  nodes: [
    node('Conv', ['x', 'a', 'ab'], ['c1'], { pads: [1, 1, 1, 1] }, 'widen'),
    node('BatchNormalization', ['c1', 'g', 'b', 'm', 'v'], ['n'], {}, 'norm'),
    node('Relu', ['n'], ['r1'], {}, 'relu1'),
    node('Conv', ['r1', 'd', 'db'], ['c2'], { group: 8, pads: [1, 1, 1, 1] }, 'depthwise'),
    node('LeakyRelu', ['c2'], ['r2'], { alpha: 0.1 }, 'relu2'),
    node('Conv', ['r2', 'p'], ['c3'], {}, 'narrow'),
    node('Relu', ['c3'], ['r3'], {}, 'relu3'),
    node('GlobalAveragePool', ['r3'], ['pool'], {}, 'pool'),
    node('Flatten', ['pool'], ['f'], {}, 'flat'),
    node('Gemm', ['f', 'h', 'hb'], ['hidden'], { transB: 1 }, 'hidden'),
    node('Relu', ['hidden'], ['r4'], {}, 'relu4'),
    node('MatMul', ['r4', 'o'], ['y'], {}, 'last'),
  ],
  weights: [
    weight('a', [8, 3, 3, 3]),
    weight('ab', [8], 2),
    ...['g', 'b', 'm'].map((name, i) => weight(name, [8], 3 + i)),
    { ...weight('v', [8], 6), name: 'v' },
    weight('d', [8, 1, 3, 3], 7),
    weight('db', [8], 8),
    weight('p', [6, 8, 1, 1], 9),
    weight('h', [5, 6], 10),
    weight('hb', [5], 11),
    weight('o', [5, 4], 12),
  ].map((tensor) => (tensor.name === 'v' ? positive(tensor) : tensor)),
};

function positive(tensor: ReturnType<typeof weight>) {
  const values = Float32Array.from(tensorNumbers(tensor), (number) => number * number + 0.01);
  return { ...tensor, data: { kind: 'memory', bytes: new Uint8Array(values.buffer) } as const };
}

async function outputOf(name: string, graph: Graph): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(host.model(name, graph));
  const data = Float32Array.from({ length: 108 }, (_, i) => Math.sin(i * 1.3));
  const { y } = await session.run({ x: new ort.Tensor('float32', data, [1, 3, 6, 6]) });
  return y!.data as Float32Array;
}

/** Largest magnitude of each channel of a layer's weight. */
function ranges(graph: Graph, id: string, axis: 0 | 1): Float64Array {
  const tensor = graph.constant(graph.node(id)!.inputs[1]!)!;
  const [count, inner] = [
    tensor.dims[axis]!,
    tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1),
  ];
  const maxima = new Float64Array(count);
  tensorNumbers(tensor).forEach((v, i) => {
    const channel = Math.floor(i / inner) % count;
    maxima[channel] = Math.max(maxima[channel]!, Math.abs(v));
  });
  return maxima;
}

/** Of each channel between two layers: what the reader's range is to the maker's. */
function balance(graph: Graph): number[] {
  const made = ranges(graph, 'depthwise', 0);
  return Array.from(ranges(graph, 'narrow', 1), (range, i) => range / made[i]!);
}

describe('quantize.equalise', () => {
  it('finds every pair, and says why there is none elsewhere', () => {
    const { graph, facts } = baseOf(makeGraph(SPEC));
    const { sites, refused } = equalise.sites({ graph, facts });
    expect(sites.map(({ node: id }) => id)).toEqual(['depthwise', 'narrow', 'hidden', 'last']);
    expect(refused).toEqual([{ node: 'widen', reason: 'no layer makes its input' }]);
  });

  it('keeps what the model computes, and the ranges of channels alike', async () => {
    const base = baseOf(makeGraph(SPEC));
    const { outcomes } = await run(base, stepsOf({ pass: 'quantize.equalise' }));
    const { graph } = outcomes[0]!.situation;
    const [before, after] = [await outputOf('a.onnx', base.graph), await outputOf('b.onnx', graph)];
    const scale = Math.max(...before.map(Math.abs));
    before.forEach((number, i) => expect(Math.abs(number - after[i]!)).toBeLessThan(1e-5 * scale));
    // What reads and what makes a channel share its range: equation 10 of the paper.
    expect(Math.max(...balance(base.graph))).toBeGreaterThan(1.1);
    for (const ratio of balance(graph)) expect(ratio).toBeCloseTo(1, 2);
  });

  it('leaves channels alone that something else sees', () => {
    const graph = makeGraph({ ...SPEC, outputs: [...SPEC.outputs, value('r4', [1, 5])] });
    const { refused } = equalise.sites({ graph, facts: baseOf(graph).facts });
    expect(refused.at(-1)).toEqual({ node: 'last', reason: 'r4 is an output of the model' });
    expect(equalise.needs(equalise.parameters.parse({}))).not.toContain('calibration');
  });
});
