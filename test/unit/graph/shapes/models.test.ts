import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { bindShapes } from '../../../../language/graph/bindings';
import { fixedShape } from '../../../../language/graph/facts';
import { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { readModelFile } from '../../../../language/onnx/read';
import { writeModel } from '../../../../language/onnx/write';
import { shared } from '../../../shared';
import { show } from './notation';

const modelsIn = (folder: string | undefined): string[] =>
  folder
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.onnx'))
        .sort()
    : [];

function read(file: string): Graph | undefined {
  try {
    return Graph.of(readModelFile(file));
  } catch {
    return undefined; // files that do not parse have tests of their own
  }
}

const nets = shared('reference/nets');
describe.skipIf(!nets)('published networks (need ../shared)', () => {
  it.each(modelsIn(nets))('%s comes out in numbers', (name) => {
    const graph = read(path.join(nets!, name))!;
    const facts = inferShapes(graph, bindShapes(graph, {}));
    expect(facts.problems).toEqual([]);
    for (const value of graph.order.flatMap((node) => node.outputs))
      expect(fixedShape(facts.value(value).shape), value).toBeDefined();
  });
});

const found = shared('models/found');
describe.skipIf(!found)('models from the wild (need ../shared)', () => {
  it.each(modelsIn(found))('%s never makes it throw', (name) => {
    const graph = read(path.join(found!, name));
    if (!graph) return;
    const free = inferShapes(graph, bindShapes(graph, {}));
    const unbound = inferShapes(graph, { inputs: new Map() });
    expect(free.problems.length).toBeLessThanOrEqual(graph.size);
    expect(unbound.problems).toBeDefined();
  });
});

const SAMPLES: [name: string, sizes: Record<string, number>][] = [
  ['shapes-resnet', { batch: 2 }],
  ['shapes-vit', { batch: 2 }],
  ['text-llama', { batch: 2, sequence: 16 }],
];

const samples = shared('models/samples');
describe.skipIf(!samples)('the runtime’s shapes (need ../shared)', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'shapes-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(SAMPLES)('of every value of %s are the inferred ones', async (name, sizes) => {
    const graph = Graph.of(readModelFile(path.join(samples!, `${name}.onnx`)));
    const bound = bindShapes(graph, sizes);
    const facts = inferShapes(graph, bound);
    const values = graph.order.flatMap((node) => node.outputs).filter((value) => value !== '');
    const actual = await runEverything(graph, values, bound.inputs);
    const inferred = Object.fromEntries(values.map((value) => [value, show(facts.value(value))]));
    expect(actual).toEqual(inferred);
  });

  /** Runs the model with every value as an output, and says what came out. */
  async function runEverything(
    graph: Graph,
    values: readonly string[],
    inputs: ReadonlyMap<string, readonly (number | string | null)[]>,
  ): Promise<Record<string, string>> {
    const exposed = graph.fork();
    exposed.setOutputs(values.map((value) => ({ name: value, type: { kind: 'unknown' } })));
    const file = path.join(folder, 'exposed.onnx');
    writeModel(exposed.model, exposed.toRecord(), exposed.opsets, file);
    const session = await InferenceSession.create(file, {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
    });
    const feeds: Record<string, Tensor> = {};
    for (const { name, type } of graph.inputs) {
      const dims = fixedShape(inputs.get(name))!;
      const count = dims.reduce((a, b) => a * b, 1);
      feeds[name] =
        type.kind === 'tensor' && type.elementType === 'int64'
          ? new Tensor('int64', new BigInt64Array(count).fill(1n), dims)
          : new Tensor('float32', new Float32Array(count).fill(0.5), dims);
    }
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, { type, dims }]) => [name, `${type}[${dims.join(',')}]`]),
    );
  }
});
