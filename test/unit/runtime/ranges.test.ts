import * as ort from 'onnxruntime-node';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDataset } from '../../../language/data/dataset';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { makeTensor, packFloats } from '../../../language/onnx/tensor';
import { writeModel } from '../../../language/onnx/write';
import { runTask } from '../../../language/runtime/runtime';
import { generatedData, type DataRequest } from '../../../language/runtime/tasks';
import { makeGraph, node, value } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { sample, testDataset, testHost } from './host';

process.env.ORT_DISABLE_TELEMETRY = '1'; // this file also runs ONNX Runtime itself
const host = testHost();
const folder = testFolder();

const ranges = (model: string, values: readonly string[], data: DataRequest) =>
  runTask({ kind: 'ranges', model, values, data }, { entry: host.entry });

describe('ranges of activations', () => {
  it.for(['shapes-resnet', 'shapes-vit', 'text-llama'])(
    'of %s are those of its exposed activations',
    async (name) => {
      const model = sample(`${name}.onnx`);
      const data = {
        dataset: testDataset(`${name}.calibration.dataset.yaml`),
        folder: '.',
        samples: 40,
      };
      const graph = Graph.of(readModelFile(model));
      const values = graph.order
        .filter(({ op }) => ['Conv', 'Gemm', 'MatMul', 'Add', 'Softmax', 'Relu'].includes(op))
        .flatMap(({ outputs }) => outputs);
      const found = await ranges(model, values, data);
      const expected = await exposedRanges(model, [...found.ranges.keys()], data);
      expect(found.samples).toBe(40);
      expect(found.ranges.size).toBeGreaterThan(20);
      for (const [exposed, { min, max }] of expected) {
        const range = found.ranges.get(exposed)!;
        const near = 1e-4 * Math.max(1, max - min);
        expect(Math.abs(range.min - min), exposed).toBeLessThan(near);
        expect(Math.abs(range.max - max), exposed).toBeLessThan(near);
      }
      expect(host.leftovers()).toEqual([]);
    },
  );
});

describe('values', () => {
  let model: string;
  beforeAll(() => {
    const half = packFloats([40_000, -3], 'float16');
    model = host.model(
      'values.onnx',
      makeGraph({
        inputs: [value('x', ['n', 3])],
        outputs: [value('sum', ['n', 3])],
        weights: [makeTensor('h', 'float16', [2], half)],
        nodes: [
          node('Add', ['x', 'x'], ['sum']),
          node('Cast', ['x'], ['wide'], { to: 11 }),
          node('Add', ['wide', 'wide'], ['double']),
          node('Identity', ['h'], ['half']),
          node('Concat', ['half', 'half'], ['halves'], { axis: 0 }),
          node('Cast', ['x'], ['whole'], { to: 7 }),
          node('Greater', ['x', 'sum'], ['greater']),
          node('Compress', ['x', 'greater_none'], ['nothing'], { axis: 1 }),
          node('Constant', [], ['greater_none'], {
            value: makeTensor('', 'bool', [3], Uint8Array.of(0, 0, 0)),
          }),
          node('Log', ['x'], ['log']),
          node('Mul', ['infinite', 'zero'], ['never']),
          node('Constant', [], ['zero'], {
            value: makeTensor('', 'float32', [], packFloats([0], 'float32')),
          }),
          node('Constant', [], ['infinite'], {
            value: makeTensor('', 'float32', [2], packFloats([Infinity, 1], 'float32')),
          }),
        ],
      }),
    );
    folder.write(
      'x.npz',
      npz({
        x: npy('<f4', [2, 3], [1, 2, 3, 0.5, -7, 2]),
        p: npy('<f4', [2, 3], [1, 2, 3, 4, 5, 6]),
      }),
    );
  });
  const data = (array: string): DataRequest => ({
    dataset: { source: { npz: 'x.npz' }, inputs: { x: { array } } },
    folder: folder.path,
  });

  it('of all float types have ranges, and others say why not', async () => {
    const all = ['x', 'sum', 'double', 'half', 'halves', 'whole', 'greater', 'nothing', 'h'];
    const found = await ranges(model, [...all, 'sum'], data('x'));
    expect(Object.fromEntries(found.ranges)).toEqual({
      x: { min: -7, max: 3 },
      sum: { min: -14, max: 6 },
      double: { min: -14, max: 6 },
      half: { min: -3, max: 40_000 },
      halves: { min: -3, max: 40_000 },
      h: { min: -3, max: 40_000 },
    });
    expect(Object.fromEntries(found.skipped)).toEqual({
      whole: 'it holds int64, not floats',
      greater: 'it holds bool, not floats',
      nothing: 'it has no elements',
    });
  });

  it('that are not finite are named', async () => {
    await expect(ranges(model, ['sum', 'log'], data('x'))).rejects.toThrow(
      /value log is not finite.*samples 0 to 1 \(x\.npz\)/,
    );
    await expect(ranges(model, ['never'], data('p'))).rejects.toThrow(/value never is not finite/);
    const positive = await ranges(model, ['log'], data('p'));
    expect(positive.ranges.get('log')!.max).toBeCloseTo(Math.log(6), 5);
  });

  it('that are not there are named', async () => {
    await expect(ranges(model, ['sun'], data('x'))).rejects.toThrow(
      /no value sun.*Did you mean sum\?/,
    );
  });

  it('of made-up inputs are marked as such', async () => {
    const found = await ranges(model, ['sum'], generatedData(5));
    expect(found).toMatchObject({ generated: true, samples: 5, data: 'made-up inputs' });
  });

  it('may be none', async () => {
    expect((await ranges(model, [], data('x'))).ranges.size).toBe(0);
  });
});

/** Runs the model with the values as outputs, and looks at every element. */
async function exposedRanges(
  model: string,
  values: readonly string[],
  { dataset, samples }: DataRequest,
): Promise<Map<string, { min: number; max: number }>> {
  const read = readModelFile(model);
  const graph = Graph.of(read);
  graph.setOutputs(values.map((name) => ({ name, type: { kind: 'unknown' } })));
  const file = path.join(folder.path, 'exposed.onnx');
  writeModel(read, graph.toRecord(), graph.opsets, file);
  const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: 'disabled' });
  const inputs = graph.inputs.map(({ name, type }) => ({
    name,
    elementType: type.kind === 'tensor' ? type.elementType : type.kind,
    shape: type.kind === 'tensor' ? type.shape : undefined,
  }));
  const found = new Map(values.map((name) => [name, { min: Infinity, max: -Infinity }]));
  for (const batch of loadDataset(dataset, '.', { samples }).bind(inputs).batches(20)) {
    const feeds = [...batch.inputs].map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type as 'float32', data as Float32Array, dims),
    ]);
    const outputs = await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>);
    for (const [name, range] of found)
      for (const element of outputs[name]!.data as Float32Array) {
        range.min = Math.min(range.min, element);
        range.max = Math.max(range.max, element);
      }
  }
  return found;
}
