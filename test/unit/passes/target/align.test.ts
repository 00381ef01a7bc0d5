import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../../language/graph/graph';
import { channelGroups, type ChannelGroup } from '../../../../language/graph/match/channels';
import { readModelFile } from '../../../../language/onnx/read';
import { float32Tensor, tensorNumbers } from '../../../../language/onnx/tensor';
import { writeModel } from '../../../../language/onnx/write';
import type { Evidence, StepRequest, TargetTraits } from '../../../../language/passes/pass';
import align from '../../../../language/passes/target/align';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { modelFiles } from '../../../shared';
import { factsOf } from '../../cost/subject';

process.env.ORT_DISABLE_TELEMETRY = '1';

type By = 'pad' | 'trim' | 'nearest';
type Request = StepRequest<{ target: string; most: number; by: By }>;

/** The samples leave the batch free. */
const factsAt = (graph: Graph) =>
  factsOf(
    graph,
    graph.inputs.some(({ type }) => type.kind === 'tensor' && type.shape?.includes('batch'))
      ? { batch: 1 }
      : {},
  );

function request(graph: Graph, channels: number, most = 1, by: By = 'pad'): Request {
  const facts = factsAt(graph);
  const traits = (id: string): TargetTraits => ({
    id,
    granularity: { inputs: channels, outputs: channels },
    link: { gbPerS: 1, fixedUs: 0 },
    runs: () => true,
    latencies: () => ({ totalMs: 0, layersMs: new Map() }),
    unsupported: () => undefined,
  });
  const { sites } = align.sites({ graph, facts });
  return {
    graph,
    facts,
    sites: sites.map((site) => ({ ...site, entry: 0 })),
    parameters: { target: 'npu', most, by },
    traits,
  };
}

function aligned(graph: Graph, channels: number, most = 1, by: By = 'pad') {
  const asked = request(graph, channels, most, by);
  const after = graph.fork();
  const decisions = align.standIn(asked);
  const refused = align.rewrite({ ...asked, graph: after }, decisions);
  return { after, refused, decisions };
}

/** Sets what makes and what reads these units to zero. */
function silence(graph: Graph, group: ChannelGroup, units: readonly number[]): void {
  for (const { value: name, axis, spans } of [...group.producers, ...group.consumers]) {
    const tensor = graph.constant(name)!;
    const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const values = Float32Array.from(tensorNumbers(tensor), Number);
    for (let i = 0; i < values.length; i++) {
      const place = Math.floor(i / inner) % tensor.dims[axis]!;
      const isSilent = spans.some(({ offset, block }) =>
        units.includes(Math.floor((place - offset) / block)),
      );
      if (isSilent) values[i] = 0;
    }
    graph.setConstant(name, { ...float32Tensor(name, [...values]), dims: tensor.dims });
  }
}

const norm = (channels: number) =>
  ['s', 'b', 'm', 'v'].map((name, i) =>
    float32Tensor(
      name,
      Array.from({ length: channels }, (_, c) => 0.5 + 0.1 * c + i),
    ),
  );
const IMAGE = value('x', [1, 3, 8, 8]);

const NETWORKS: Readonly<Record<string, ModelSpec>> = {
  'a normalisation, an activation and a pooling between': {
    inputs: [IMAGE],
    outputs: [value('y')],
    weights: [
      weight('w1', [6, 3, 3, 3]),
      weight('c1', [6], 5),
      weight('w2', [4, 6, 1, 1], 2),
      ...norm(6),
    ],
    nodes: [
      node('Conv', ['x', 'w1', 'c1'], ['1'], { pads: [1, 1, 1, 1] }, 'first'),
      node('BatchNormalization', ['1', 's', 'b', 'm', 'v'], ['2'], {}, 'norm'),
      node('Sigmoid', ['2'], ['3']),
      node('MaxPool', ['3'], ['4'], { kernel_shape: [2, 2] }),
      node('Conv', ['4', 'w2'], ['y'], {}, 'second'),
    ],
  },
  'a depthwise convolution between': {
    inputs: [IMAGE],
    outputs: [value('y')],
    weights: [
      weight('w1', [6, 3, 1, 1]),
      weight('d', [6, 1, 3, 3], 3),
      weight('w2', [4, 6, 1, 1], 2),
    ],
    nodes: [
      node('Conv', ['x', 'w1'], ['1'], {}, 'expand'),
      node('Conv', ['1', 'd'], ['2'], { group: 6, pads: [1, 1, 1, 1] }, 'depthwise'),
      node('Relu', ['2'], ['3']),
      node('Conv', ['3', 'w2'], ['y'], {}, 'project'),
    ],
  },
  'a residual and a concatenation': {
    inputs: [IMAGE],
    outputs: [value('y')],
    weights: [
      weight('w1', [6, 3, 1, 1]),
      weight('w2', [6, 6, 3, 3], 2),
      weight('w3', [5, 3, 1, 1], 3),
      weight('w4', [4, 11, 1, 1], 4),
    ],
    nodes: [
      node('Conv', ['x', 'w1'], ['1'], {}, 'stem'),
      node('Conv', ['1', 'w2'], ['2'], { pads: [1, 1, 1, 1] }, 'body'),
      node('Add', ['2', '1'], ['3']),
      node('Conv', ['x', 'w3'], ['4'], {}, 'side'),
      node('Concat', ['3', '4'], ['5'], { axis: 1 }),
      node('Conv', ['5', 'w4'], ['y'], {}, 'head'),
    ],
  },
  'a gate, and a classifier behind a flattening': {
    inputs: [IMAGE],
    outputs: [value('y')],
    weights: [
      weight('w1', [6, 3, 1, 1]),
      weight('w2', [3, 6, 1, 1], 2),
      weight('w3', [6, 3, 1, 1], 3),
      weight('w4', [6 * 64, 10], 4),
    ],
    nodes: [
      node('Conv', ['x', 'w1'], ['1'], {}, 'stem'),
      node('GlobalAveragePool', ['1'], ['2']),
      node('Conv', ['2', 'w2'], ['3'], {}, 'squeeze'),
      node('Relu', ['3'], ['4']),
      node('Conv', ['4', 'w3'], ['5'], {}, 'excite'),
      node('Sigmoid', ['5'], ['6']),
      node('Mul', ['1', '6'], ['7']),
      node('Flatten', ['7'], ['8']),
      node('Gemm', ['8', 'w4'], ['y'], {}, 'head'),
    ],
  },
  'a perceptron': {
    inputs: [value('x', [4, 7])],
    outputs: [value('y')],
    weights: [weight('w1', [7, 10]), weight('b1', [10], 2), weight('w2', [10, 3], 3)],
    nodes: [
      node('MatMul', ['x', 'w1'], ['1'], {}, 'up'),
      node('Add', ['1', 'b1'], ['2']),
      node('Gelu', ['2'], ['3']),
      node('MatMul', ['3', 'w2'], ['y'], {}, 'down'),
    ],
    opset: 20,
  },
};

describe('target.align', () => {
  let folder = '';
  beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'whittle-align-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function results(graph: Graph, model = graph.model): Promise<Float32Array> {
    const file = path.join(folder, 'model.onnx');
    writeModel(model, graph.toRecord(), graph.opsets, file);
    const session = await ort.InferenceSession.create(file);
    const feeds = graph.inputs.map(({ name }) => {
      const dims = factsAt(graph).value(name).shape as number[];
      const data = Float32Array.from(
        { length: dims.reduce((a, b) => a * b, 1) },
        (_, at) => 2 * Math.sin(at + 1.5),
      );
      return [name, new ort.Tensor('float32', data, dims)];
    });
    const outputs = await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>);
    await session.release();
    return outputs[graph.outputs[0]!.name]!.data as Float32Array;
  }

  const expectEqual = (actual: Float32Array, expected: Float32Array) => {
    expect(actual.length).toBe(expected.length);
    const largest = Math.max(...expected.map(Math.abs));
    expected.forEach((is, i) => {
      expect(Math.abs(actual[i]! - is)).toBeLessThanOrEqual(1e-5 * largest);
    });
  };

  it.each(Object.keys(NETWORKS))('keeps the results: %s', async (name) => {
    const graph = makeGraph(NETWORKS[name]!);
    const { after, decisions } = aligned(graph, 8);
    expect(Object.keys(decisions.added).length).toBeGreaterThan(0);
    const facts = factsOf(after);
    for (const group of Object.keys(decisions.added)) {
      const { shape } = facts.value(after.node(group)!.outputs[0]!);
      expect((shape as number[])[1]! % 8).toBe(0);
    }
    const plain = { ...graph.model, opsets: new Map<string, number>() };
    expectEqual(await results(after, plain), await results(graph, plain));
  });

  it('leaves channels that would grow too much, and those that are whole', () => {
    const graph = makeGraph(NETWORKS['a depthwise convolution between']!);
    const { refused, decisions } = aligned(graph, 8, 0.25);
    expect(decisions.added).toEqual({});
    expect(refused[0]!.reason).toBe('6 channels would grow to 8, beyond the share allowed');
    expect(aligned(graph, 3).decisions.added).toEqual({});
  });

  const normalised = (): Graph =>
    makeGraph({
      inputs: [value('x', [4, 7])],
      outputs: [value('y')],
      weights: [weight('w1', [7, 10]), weight('g', [10], 2), weight('w2', [10, 3], 3)],
      nodes: [
        node('MatMul', ['x', 'w1'], ['1'], {}, 'up'),
        node('LayerNormalization', ['1', 'g'], ['2'], {}, 'norm'),
        node('MatMul', ['2', 'w2'], ['y'], {}, 'down'),
      ],
    });

  it('does not pad channels that are mixed on the way, and may trim them', () => {
    const { decisions, refused } = aligned(normalised(), 8);
    expect(decisions.added).toEqual({});
    expect(refused.find(({ node: id }) => id === 'up')!.reason).toMatch(
      /norm \(LayerNormalization\) does not keep channels apart/,
    );
    expect(aligned(normalised(), 8, 1, 'nearest').decisions.removed).toEqual({ up: [8, 9] });
  });

  it.each(Object.keys(NETWORKS))('trims what is not there any more: %s', async (name) => {
    // What carries nothing can go without changing results.
    const graph = makeGraph(NETWORKS[name]!);
    const weakest = [0, 2];
    for (const group of channelGroups(graph, factsOf(graph)))
      if (group.prunable) silence(graph, group, weakest);
    const asked = request(graph, 4, 1, 'trim');
    const decisions = await align.plan(asked, {
      numbers: tensorNumbers,
      progress: () => undefined,
    } as unknown as Evidence);
    const { removed } = decisions;
    expect(Object.keys(removed).length).toBeGreaterThan(0);
    for (const units of Object.values(removed))
      expect(weakest).toEqual(expect.arrayContaining([...units]));
    const after = graph.fork();
    align.rewrite({ ...asked, graph: after }, decisions);
    const facts = factsOf(after);
    for (const group of Object.keys(removed)) {
      const { shape } = facts.value(after.node(group)!.outputs[0]!);
      expect((shape as number[])[1]! % 4).toBe(0);
    }
    const plain = { ...graph.model, opsets: new Map<string, number>() };
    expectEqual(await results(after, plain), await results(graph, plain));
  });

  it('goes the shorter way, pads at equal distance, and keeps at least a block', () => {
    const graph = makeGraph(NETWORKS['a depthwise convolution between']!);
    expect(aligned(graph, 4, 1, 'nearest').decisions).toMatchObject({
      added: { expand: 2 },
      removed: {},
    });
    expect(aligned(graph, 5, 1, 'nearest').decisions.removed).toEqual({ expand: [5] });
    expect(aligned(graph, 8, 1, 'nearest').decisions.added).toEqual({ expand: 2 });
    expect(aligned(graph, 8, 1, 'trim').refused[0]!.reason).toBe('it has less than one block of 8');
    expect(aligned(graph, 4, 0.1, 'trim').refused[0]!.reason).toBe(
      '6 channels would shrink to 4, beyond the share allowed',
    );
  });

  it('refuses weights whose size stands among the inputs of the model', () => {
    const spec = NETWORKS['a depthwise convolution between']!;
    const graph = makeGraph({ ...spec, inputs: [...spec.inputs, value('w2', [4, 6, 1, 1])] });
    const { sites, refused } = align.sites({ graph, facts: factsOf(graph) });
    expect(sites).toEqual([]);
    expect(refused[0]!.reason).toBe('w2 is declared as an input of the model, with its size');
  });

  it.each(['shapes-mobilenet', 'shapes-resnet', 'shapes-vgg'])(
    'keeps the results of %s',
    async (name) => {
      const file = modelFiles('samples').find((path) => path.endsWith(`${name}.onnx`));
      if (!file) return;
      const graph = Graph.of(readModelFile(file));
      const { after, decisions } = aligned(graph, 48);
      expect(Object.keys(decisions.added).length).toBeGreaterThan(2);
      expectEqual(await results(after), await results(graph));
    },
  );
});
