import { describe, expect, it } from 'vitest';
import type { Dim } from '../../../language/onnx/model';
import { makeTensor } from '../../../language/onnx/tensor';
import { attentionsAt, allNodes, selectValues } from '../../../language/recipe/captures';
import { bindModel, openModel } from '../../../language/recipe/opened';
import { runTask } from '../../../language/runtime/runtime';
import type { AttentionMap, AttentionProbe, DataRequest } from '../../../language/runtime/tasks';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { sample, testDataset, testHost } from './host';

const host = testHost();
const folder = testFolder();
const [BATCH, TOKENS, WIDTH, HEADS] = [3, 5, 16, 2] as const;

const data = (): DataRequest => {
  const count = BATCH * TOKENS * WIDTH;
  const x = Array.from({ length: count }, (_, i) => Math.sin(i * 7.13) * 2);
  folder.write('x.npz', npz({ x: npy('<f4', [BATCH, TOKENS, WIDTH], x) }));
  return {
    dataset: { source: { npz: 'x.npz' }, inputs: { x: { array: 'x' } } },
    folder: folder.path,
  };
};

const int = (name: string, of: number) => ({ [name]: of });

/** Queries, keys and values are the input three times over, times a weight. */
function model(
  name: string,
  nodes: Parameters<typeof makeGraph>[0]['nodes'],
  opset = 17,
  batch: Dim = 'n',
): string {
  const graph = makeGraph({
    inputs: [value('x', [batch, TOKENS, WIDTH])],
    outputs: [value('y', [batch, TOKENS, WIDTH])],
    weights: [
      weight('w', [WIDTH, 3 * WIDTH]),
      weight('b', [3 * WIDTH]),
      int32('lengths', new Array<number>(BATCH).fill(TOKENS - 1), [BATCH]),
      int32('total', [TOKENS], [1]),
    ],
    nodes,
    opset,
  });
  graph.requireOpset('com.microsoft', 1);
  return host.model(`${name}.onnx`, graph);
}

const int32 = (name: string, values: number[], dims: number[]) =>
  makeTensor(name, 'int32', dims, new Uint8Array(Int32Array.from(values).buffer));

async function mapsOf(file: string, request = data()): Promise<ReadonlyMap<string, AttentionMap>> {
  const base = bindModel(openModel(file), {});
  const attentions = attentionsAt(base, allNodes(base.graph));
  expect(attentions.length).toBeGreaterThan(0);
  const found = await captured(file, attentions, request);
  expect([...found.skipped]).toEqual([]);
  return found.attentions;
}

const captured = (
  file: string,
  attentions: readonly AttentionProbe[],
  request: DataRequest,
  values: readonly string[] = [],
) =>
  runTask(
    {
      kind: 'capture',
      model: file,
      values,
      data: request,
      attentions,
      histogramBins: 64,
      channelBins: 16,
    },
    { entry: host.entry },
  );

/** Each query spreads over keys what adds up to one. */
function expectShares({ heads, queries, keys, mean }: AttentionMap): void {
  for (let row = 0; row < heads * queries; row++)
    expect(mean.subarray(row * keys, (row + 1) * keys).reduce((a, b) => a + b)).toBeCloseTo(1, 4);
}

describe('maps of attention', { timeout: 120_000 }, () => {
  const micro = 'com.microsoft';
  const fused = {
    'multi-head': [
      node('MultiHeadAttention', ['x', 'x', 'x'], ['y'], int('num_heads', HEADS), '', micro),
    ],
    standard: [
      node('Attention', ['x', 'x', 'x'], ['y'], { q_num_heads: HEADS, kv_num_heads: HEADS }),
    ],
  };

  it.for([
    ['multi-head', 17],
    ['standard', 23],
  ] as const)('of one operator, %s, are those of its parts', async ([name, opset]) => {
    const [map] = [...(await mapsOf(model(name, fused[name], opset))).values()];
    expect(map).toMatchObject({ count: BATCH, heads: HEADS, queries: TOKENS, keys: TOKENS });
    expectShares(map!);
    const expected = byHand();
    map!.mean.forEach((share, i) => expect(share).toBeCloseTo(expected[i]!, 5));
  });

  it('of an operator that projects its input itself are told too', async () => {
    const nodes = [
      node('Attention', ['x', 'w', 'b'], ['y'], { num_heads: HEADS, unidirectional: 1 }, '', micro),
    ];
    const [map] = [...(await mapsOf(model('projected', nodes))).values()];
    expectShares(map!);
    // Causal: no query looks ahead.
    expect(map!.mean[1]).toBe(0);
    expect(map!.mean[TOKENS]).toBeGreaterThan(0);
  });

  it('of grouped queries are told too', async () => {
    const inputs = ['x', 'x', 'x', '', '', 'lengths', 'total'];
    const outputs = ['y', 'keys', 'values'];
    const attributes = { num_heads: HEADS, kv_num_heads: HEADS };
    const nodes = [node('GroupQueryAttention', inputs, outputs, attributes, '', micro)];
    const [map] = [...(await mapsOf(model('grouped', nodes, 17, BATCH))).values()];
    expect(map).toMatchObject({ heads: HEADS, queries: TOKENS, keys: TOKENS });
    expectShares(map!);
  });

  it('of a real model are the means of its softmax', async () => {
    const file = sample('shapes-vit.onnx');
    const request = {
      dataset: testDataset('shapes-vit.calibration.dataset.yaml'),
      folder: '.',
      samples: 5,
    };
    const maps = await mapsOf(file, request);
    const { graph } = bindModel(openModel(file), {});
    const [first] = [...maps];
    const [softmax, map] = first!;
    for (const one of maps.values()) expectShares(one);
    const [probabilities] = graph.node(softmax)!.outputs;
    const found = await captured(file, [], request, [probabilities!]);
    const { counts } = found.histograms.get(probabilities!)!;
    expect(counts.reduce((a, b) => a + b)).toBe(map.count * map.mean.length);
    expect(map.count).toBe(5);
    expect(host.leftovers()).toEqual([]);
  });

  it('say why where one operator tells nothing', async () => {
    const file = model('alone', [
      node('MultiHeadAttention', ['x', 'x', 'x'], ['z'], int('num_heads', HEADS), '', micro),
      node('Log', ['z'], ['y']),
    ]);
    const base = bindModel(openModel(file), {});
    const { values } = selectValues(base, ['op:Log']);
    const found = await captured(file, [], data(), values);
    expect(found.skipped.get('y')).toMatch(/value y is not finite/);
    expect(found.histograms.size).toBe(0);
    expect(() => selectValues(base, ['op:Conv'])).toThrow(/neither a value nor nodes/);
  });

  it('come beside histograms of channels', async () => {
    const file = model('spread', fused['multi-head']);
    const found = await captured(file, [], data(), ['x']);
    const [channels, whole] = [found.channelHistograms.get('x')!, found.histograms.get('x')!];
    expect(channels.length).toBe(WIDTH);
    for (const { counts } of channels) expect(counts.reduce((a, b) => a + b)).toBe(BATCH * TOKENS);
    expect(whole.counts.reduce((a, b) => a + b)).toBe(BATCH * TOKENS * WIDTH);
  });
});

/** softmax(q·kᵀ/√d) of the input with itself, by head, averaged over the samples. */
function byHand(): number[] {
  const x = arrayOf();
  const width = WIDTH / HEADS;
  const mean = new Array<number>(HEADS * TOKENS * TOKENS).fill(0);
  for (let n = 0; n < BATCH; n++)
    for (let h = 0; h < HEADS; h++)
      for (let q = 0; q < TOKENS; q++) {
        const dot = (k: number) => {
          let sum = 0;
          for (let d = 0; d < width; d++) sum += x(n, q, h * width + d) * x(n, k, h * width + d);
          return Math.exp(sum / Math.sqrt(width));
        };
        const row = Array.from({ length: TOKENS }, (_, k) => dot(k));
        const total = row.reduce((a, b) => a + b);
        row.forEach((e, k) => (mean[(h * TOKENS + q) * TOKENS + k]! += e / total / BATCH));
      }
  return mean;
}

function arrayOf() {
  const at = (n: number, t: number, c: number) => (n * TOKENS + t) * WIDTH + c;
  return (n: number, t: number, c: number) => Math.fround(Math.sin(at(n, t, c) * 7.13) * 2);
}
