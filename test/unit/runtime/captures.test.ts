import * as ort from 'onnxruntime-node';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDataset } from '../../../language/data/dataset';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { makeTensor, packFloats } from '../../../language/onnx/tensor';
import { writeModel } from '../../../language/onnx/write';
import type { Activations, Evidence } from '../../../language/passes/pass';
import { gatherEvidence } from '../../../language/recipe/evidence';
import { bindModel, openModel } from '../../../language/recipe/opened';
import type { DataRequest } from '../../../language/runtime/tasks';
import { makeGraph, node, value, weight } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { sample, testDataset, testHost } from './host';

process.env.ORT_DISABLE_TELEMETRY = '1'; // this file also runs ONNX Runtime itself
const host = testHost();
const folder = testFolder();

interface Subject {
  readonly graph: Graph;
  readonly evidence: Evidence;
}

function subject(model: string, data: DataRequest, signal = new AbortController().signal): Subject {
  const situation = bindModel(openModel(model), {});
  const evidence = gatherEvidence(situation, {
    data,
    sizes: {},
    signal,
    onProgress: () => undefined,
    runtimeEntry: host.entry,
  });
  return { graph: situation.graph, evidence };
}

const calibration = (name: string, samples: number): DataRequest => ({
  dataset: testDataset(`${name}.calibration.dataset.yaml`),
  folder: '.',
  samples,
});

/** Rows over the last axis. */
function rowsOf(runs: Activations): { size: number; rows: Float32Array[] } {
  const size = runs[0]!.dims.at(-1)!;
  const rows = runs.flatMap(({ data }) =>
    Array.from({ length: data.length / size }, (_, i) => data.subarray(i * size, (i + 1) * size)),
  );
  return { size, rows };
}

/** Each measurement starts a process. */
const PATIENCE = { timeout: 120_000 };

describe('what plans measure', PATIENCE, () => {
  it.for(['shapes-vit', 'text-llama'])('of %s agrees with its activations', async (name) => {
    const { graph, evidence } = subject(sample(`${name}.onnx`), calibration(name, 6));
    const linear = graph.order.filter(({ op }) => op === 'MatMul' || op === 'Gemm');
    const values = [...new Set(linear.map(({ inputs }) => inputs[0]!))].slice(0, 4);
    const found = await evidence.activations(values, 6);
    const expected = await exposed(sample(`${name}.onnx`), values, calibration(name, 6));
    const [grams, moments] = [await evidence.grams(values), await evidence.moments(values)];
    expect([...grams.keys()]).toEqual(values);
    for (const watched of values) {
      const { size, rows } = rowsOf(found.get(watched)!);
      expect(joined(found.get(watched)!)).toEqual(expected.get(watched));
      const gram = grams.get(watched)!;
      expect([gram.rows, gram.size]).toEqual([rows.length, size]);
      const scale = gram.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      for (const [i, j] of [
        [0, 0],
        [1, 0],
        [size - 1, size - 2],
      ] as const) {
        const sum = rows.reduce((total, row) => total + row[i]! * row[j]!, 0);
        expect(Math.abs(gram.data[i * size + j]! - sum)).toBeLessThan(1e-5 * scale);
      }
      const { count, min, max, mean, meanSquare } = moments.get(watched)!;
      expect([count, mean.length]).toEqual([rows.length, size]);
      for (const c of [0, size - 1]) {
        const column = rows.map((row) => row[c]!);
        const average = (of: (x: number) => number) =>
          column.reduce((total, x) => total + of(x), 0) / column.length;
        expect(min[c]).toBeCloseTo(Math.min(...column), 4);
        expect(max[c]).toBeCloseTo(Math.max(...column), 4);
        expect(mean[c]).toBeCloseTo(
          average((x) => x),
          4,
        );
        expect(meanSquare[c]).toBeCloseTo(
          average((x) => x * x),
          3,
        );
      }
    }
    expect(host.leftovers()).toEqual([]);
  });

  it('of a graph that was changed is measured there', async () => {
    const { graph, evidence } = subject(sample('shapes-vit.onnx'), calibration('shapes-vit', 8));
    const layer = graph.order.find(
      ({ op, inputs }) => op === 'MatMul' && graph.initializer(inputs[1]!),
    )!;
    const changed = graph.fork();
    const doubled = changed.freshValue('doubled');
    changed.insert(
      { op: 'Add', inputs: [layer.inputs[0]!, layer.inputs[0]!], outputs: [doubled] },
      layer,
    );
    changed.setInput(layer.id, 0, doubled);
    const before = await evidence.ranges([layer.outputs[0]!]);
    const after = await evidence.ranges([layer.outputs[0]!], changed);
    const [a, b] = [before, after].map((ranges) => ranges.get(layer.outputs[0]!)!);
    expect(b!.max / a!.max).toBeCloseTo(2, 3);
    const [none, some] = await evidence.deviations([graph, changed]);
    expect(none).toBe(0);
    expect(some).toBeGreaterThan(0);
    const times = await evidence.latencies([graph, changed]);
    expect(times.every((ms) => ms > 0)).toBe(true);
    expect(host.leftovers()).toEqual([]);
  });

  it('stops when it is cancelled', async () => {
    const stop = new AbortController();
    const { evidence } = subject(
      sample('shapes-vit.onnx'),
      calibration('shapes-vit', 40),
      stop.signal,
    );
    stop.abort();
    await expect(evidence.grams(['logits'])).rejects.toThrow('cancelled');
  });
});

describe('values by hand', () => {
  let model: string;
  const files = (array: string): DataRequest => ({
    dataset: { source: { npz: 'x.npz' }, inputs: { x: { array } } },
    folder: folder.path,
  });
  const image = [1, 2, 3, 4, 5, 6, 7, 8];

  beforeAll(() => {
    const numbers = (name: string, type: 'float32' | 'float16', dims: number[], values: number[]) =>
      makeTensor(name, type, dims, packFloats(values, type));
    model = host.model(
      'values.onnx',
      makeGraph({
        inputs: [value('x', ['n', 2, 2, 2])],
        outputs: [value('y', ['n', 3, 2, 2])],
        weights: [
          weight('w', [3, 2, 1, 1]),
          numbers('half', 'float16', [2], [40_000, -3]),
          numbers('log2', 'float32', [], [2]),
        ],
        nodes: [
          node('Relu', ['x'], ['r']),
          node('Conv', ['r', 'w'], ['y']),
          node('Cast', ['x'], ['wide'], { to: 11 }),
          node('Cast', ['x'], ['whole'], { to: 7 }),
          node('Transpose', ['x'], ['last'], { perm: [0, 2, 3, 1] }),
          node('Softmax', ['last'], ['soft'], { axis: -1 }),
          node('Identity', ['half'], ['halves']),
          node('Log', ['x'], ['log']),
        ],
        opset: 13,
      }),
    );
    folder.write(
      'x.npz',
      npz({
        x: npy('<f4', [2, 2, 2, 2], [...image, ...image.map((v) => -v)]),
        p: npy('<f4', [3, 2, 2, 2], [...image, ...image, ...image]),
      }),
    );
  });

  it('of images have moments per channel on axis 1', async () => {
    const { evidence } = subject(model, files('x'));
    const moments = await evidence.moments(['r', 'x', 'last', 'wide', 'halves']);
    const plain = ([name, { count, min, max, mean, meanSquare }]: [string, Moments]) => [
      name,
      { count, min: [...min], max: [...max], mean: [...mean], meanSquare: [...meanSquare] },
    ];
    type Moments = typeof moments extends ReadonlyMap<string, infer M> ? M : never;
    expect(Object.fromEntries([...moments].map(plain))).toEqual({
      r: { count: 8, min: [0, 0], max: [4, 8], mean: [1.25, 3.25], meanSquare: [3.75, 21.75] },
      x: { count: 8, min: [-4, -8], max: [4, 8], mean: [0, 0], meanSquare: [7.5, 43.5] },
      last: { count: 8, min: [-4, -8], max: [4, 8], mean: [0, 0], meanSquare: [7.5, 43.5] },
      wide: { count: 8, min: [-4, -8], max: [4, 8], mean: [0, 0], meanSquare: [7.5, 43.5] },
      halves: {
        count: 1,
        min: [40_000, -3],
        max: [40_000, -3],
        mean: [40_000, -3],
        meanSquare: [1.6e9, 9],
      },
    });
  });

  it('have Gram matrices over their last axis', async () => {
    const { evidence } = subject(model, files('p'));
    const grams = await evidence.grams(['last', 'halves']);
    expect(grams.get('last')).toEqual({
      rows: 12,
      size: 2,
      data: Float64Array.of(90, 210, 210, 522),
    });
    expect(grams.get('halves')!.data).toEqual(Float64Array.of(1.6e9, -120_000, -120_000, 9));
  });

  it('are named where they are not finite, not floats or not there', async () => {
    const { evidence } = subject(model, files('x'));
    await expect(evidence.moments(['log'])).rejects.toThrow(/value log is not finite.*0 to 1/);
    await expect(evidence.grams(['log'])).rejects.toThrow(/value log is not finite/);
    await expect(evidence.grams(['whole'])).rejects.toThrow(
      /whole cannot be calibrated: it holds int64/,
    );
    await expect(evidence.activations(['rr'], 1)).rejects.toThrow(/no value rr/);
    expect(host.leftovers()).toEqual([]);
  });

  it('come as activations of as many samples as are wanted', async () => {
    const { evidence } = subject(model, files('p'));
    const runs = (await evidence.activations(['x'], 2)).get('x')!;
    expect(runs.reduce((rows, { dims }) => rows + dims[0]!, 0)).toBe(2);
    expect(joined(runs)).toEqual([...image, ...image]);
    const all = (await evidence.activations(['x'], 100)).get('x')!;
    expect(joined(all).length).toBe(24);
  });
});

const joined = (runs: Activations): number[] => runs.flatMap(({ data }) => Array.from(data));

/** Runs the model with the values as outputs. */
async function exposed(
  model: string,
  values: readonly string[],
  { dataset, samples }: DataRequest,
): Promise<Map<string, number[]>> {
  const read = readModelFile(model);
  const graph = Graph.of(read);
  graph.setOutputs(values.map((name) => ({ name, type: { kind: 'unknown' } })));
  const file = path.join(folder.path, 'exposed.onnx');
  writeModel(read, graph.toRecord(), graph.opsets, file);
  const session = await ort.InferenceSession.create(file);
  const inputs = graph.inputs.map(({ name, type }) => ({
    name,
    elementType: type.kind === 'tensor' ? type.elementType : type.kind,
    shape: type.kind === 'tensor' ? type.shape : undefined,
  }));
  const found = new Map(values.map((name) => [name, [] as number[]]));
  for (const batch of loadDataset(dataset, '.', { samples }).bind(inputs).batches(32)) {
    const feeds = [...batch.inputs].map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type as 'float32', data as Float32Array, dims),
    ]);
    const outputs = await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>);
    for (const [name, list] of found)
      for (const element of outputs[name]!.data as Float32Array) list.push(element);
  }
  return found;
}
