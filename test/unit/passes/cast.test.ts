import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { float32Tensor, tensorNumbers } from '../../../language/onnx/tensor';
import fp16 from '../../../language/passes/cast/fp16';
import type { Evidence } from '../../../language/passes/pass';
import { runTask } from '../../../language/runtime/runtime';
import { generatedData } from '../../../language/runtime/tasks';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { testHost } from '../runtime/host';
import { EVIDENCE } from './subject';

const host = testHost();

const NETWORK: ModelSpec = {
  inputs: [value('x', [2, 16]), value('mask', [2, 16], 'bool')],
  outputs: [value('y', [2, 16]), value('h', [2, 16])],
  nodes: [
    node('MatMul', ['x', 'w'], ['h'], {}, 'first'),
    node('Where', ['mask', 'h', 'far'], ['m'], {}, 'where'),
    node('Softmax', ['m'], ['p'], { axis: -1 }, 'softmax'),
    node('Pow', ['h', 'two'], ['squares'], {}, 'square'),
    node('Add', ['p', 'squares'], ['s'], {}, 'sum'),
    node('Gemm', ['s', 'v', 'bias'], ['g'], { transB: 1 }, 'second'),
    node('Relu', ['g'], ['y'], {}, 'relu'),
  ],
  weights: [
    weight('w', [16, 16]),
    weight('v', [16, 16], 2),
    weight('bias', [16]),
    float32Tensor('far', [-1e9], [1]),
    float32Tensor('two', [2], []),
  ],
  valueInfos: [value('p', [2, 16]), value('squares', [2, 16])],
};

async function halved(given: object, evidence: Evidence = EVIDENCE) {
  const graph = makeGraph(NETWORK);
  const facts = inferShapes(graph, { inputs: new Map() });
  const sites = fp16.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: fp16.parameters.parse(given) };
  const refused = fp16.rewrite(request, await fp16.plan(request, evidence));
  expect(refused).toEqual([]);
  return graph;
}

const typeOf = (graph: Graph, name: string) => {
  const { type } = inferShapes(graph, { inputs: new Map() }).value(name);
  return type.kind === 'tensor' ? type.elementType : undefined;
};

describe('cast.fp16', () => {
  it('computes the same to 16 bits, between the same inputs and outputs', async () => {
    const graph = await halved({ overflow: 'ignore' });
    for (const name of ['x', 'y', 'h', 'squares']) expect(typeOf(graph, name)).toBe('float32');
    for (const name of ['m', 'p', 's', 'g']) expect(typeOf(graph, name)).toBe('float16');
    const { outputs } = await runTask(
      {
        kind: 'compare',
        reference: host.model('float.onnx', makeGraph(NETWORK)),
        candidate: host.model('half.onnx', graph),
        data: generatedData(8),
      },
      { entry: host.entry },
    );
    for (const { sqnrDb } of outputs) expect(sqnrDb).toBeGreaterThan(55);
  });

  it('cuts constants to what 16 bits hold', async () => {
    const graph = await halved({ overflow: 'ignore' });
    const far = graph.constant(graph.node('where')!.inputs[2]!)!;
    expect(Array.from(tensorNumbers(far), Number)).toEqual([-65504]);
  });

  it('leaves in 32 bits what comes near the largest number', async () => {
    const ranges: Evidence['ranges'] = (values) =>
      Promise.resolve(
        new Map(values.map((name) => [name, { min: name === 's' ? -40_000 : -1, max: 1 }])),
      );
    const graph = await halved({}, { ...EVIDENCE, ranges });
    expect(typeOf(graph, 's')).toBe('float32');
    expect(typeOf(graph, 'g')).toBe('float16');
  });

  it('says what computes in 16 bits already', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 4], 'float16')],
      outputs: [value('y', [1, 4], 'float16')],
      nodes: [node('Relu', ['x'], ['y'], {}, 'relu')],
    });
    const facts = inferShapes(graph, { inputs: new Map() });
    expect(fp16.sites({ graph, facts })).toEqual({
      sites: [],
      refused: [{ node: 'relu', reason: 'it computes in 16 bits already' }],
    });
  });
});
