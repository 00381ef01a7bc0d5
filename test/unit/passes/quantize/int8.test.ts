import { describe, expect, it } from 'vitest';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { Graph } from '../../../../language/graph/graph';
import { float32Tensor } from '../../../../language/onnx/tensor';
import type { Range } from '../../../../language/passes/pass';
import int8 from '../../../../language/passes/quantize/int8';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';

function situation(spec: ModelSpec) {
  const graph = makeGraph(spec);
  return { graph, facts: inferShapes(graph, { inputs: new Map() }) };
}

const ATTENTION: ModelSpec = {
  inputs: [value('x', [1, 64, 64])],
  outputs: [value('y', [1, 64, 64])],
  nodes: [
    node('MatMul', ['x', 'wq'], ['q'], {}, 'query'),
    node('MatMul', ['x', 'wk'], ['k'], {}, 'key'),
    node('Transpose', ['k'], ['kt'], { perm: [0, 2, 1] }, 'turn'),
    node('MatMul', ['q', 'kt'], ['scores'], {}, 'scores'),
    node('Softmax', ['scores'], ['p'], { axis: -1 }, 'softmax'),
    node('MatMul', ['p', 'k'], ['mixed'], {}, 'mix'),
    node('MatMul', ['mixed', 'wo'], ['out'], {}, 'out'),
    node('LayerNormalization', ['out', 'gamma'], ['y'], {}, 'norm'),
  ],
  weights: ['wq', 'wk', 'wo']
    .map((name, i) => weight(name, [64, 64], i + 1))
    .concat(weight('gamma', [64])),
};

const CONVOLUTIONS: ModelSpec = {
  inputs: [value('x', [1, 4, 8, 8])],
  outputs: [value('y', [1, 4, 4, 4])],
  nodes: [
    node('Conv', ['x', 'a'], ['c']),
    node('Relu', ['c'], ['r']),
    node('Conv', ['r', 'b'], ['d']),
    node('MaxPool', ['d'], ['y'], { kernel_shape: [3, 3] }),
  ],
  weights: [weight('a', [4, 4, 2, 2]), weight('b', [4, 4, 2, 2], 2)],
};

/** A level of a feature pyramid: the coarse map is enlarged and added to the fine one. */
const pyramid = (mode: string): ModelSpec => ({
  inputs: [value('x', [1, 4, 8, 8])],
  outputs: [value('y', [1, 4, 1, 1])],
  nodes: [
    node('Conv', ['x', 'a'], ['fine'], { pads: [0, 0, 1, 1] }),
    node('Conv', ['fine', 'b'], ['coarse'], { strides: [2, 2] }),
    node('Resize', ['coarse', '', 'scales'], ['enlarged'], { mode }, 'resize'),
    node('Add', ['fine', 'enlarged'], ['sum'], {}, 'sum'),
    node('Conv', ['sum', 'c'], ['d']),
    node('GlobalAveragePool', ['d'], ['y']),
  ],
  weights: ['a', 'b', 'c']
    .map((name, i) => weight(name, [4, 4, 2, 2], i + 1))
    .concat(float32Tensor('scales', [1, 1, 2, 2])),
});

type Input = Parameters<typeof int8.parameters.parse>[0];

function rewritten(spec: ModelSpec, given: Input): Graph {
  const { graph, facts } = situation(spec);
  const parameters = int8.parameters.parse(given);
  const sites = int8.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const ranges = new Map<string, Range>();
  for (const { outputs } of graph.order)
    for (const output of outputs) ranges.set(output, { min: -1, max: 2 });
  ranges.set('x', { min: -1, max: 1 });
  const request = { graph, facts, sites, parameters };
  const { float } = int8.standIn(request);
  int8.rewrite(request, { ranges: Object.fromEntries(ranges), float, smoothings: [], means: {} });
  return graph;
}

function histogram(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.order) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

const isQuantised = (graph: Graph, id: string) =>
  graph.node(id)!.inputs.every((input) => graph.producer(input)?.op === 'DequantizeLinear');

describe('quantize.int8', () => {
  it.each([
    { form: 'fast', products: false },
    { form: 'full', products: true },
  ] as const)(
    'takes products of activations in the $form form: $products',
    ({ form, products }) => {
      const graph = rewritten(ATTENTION, { form });
      for (const id of ['scores', 'mix']) expect(isQuantised(graph, id)).toBe(products);
      expect(isQuantised(graph, 'out')).toBe(true);
      expect(graph.producer(graph.node('softmax')!.inputs[0]!)!.op).toBe('MatMul');
    },
  );

  it('writes integer operators', () => {
    const products = histogram(rewritten(ATTENTION, { form: 'full', format: 'qoperator' }));
    expect(products).toMatchObject({ MatMulIntegerToFloat: 5 });
    expect(products).not.toHaveProperty('DequantizeLinear');
    const convolutions = histogram(rewritten(CONVOLUTIONS, { format: 'qoperator' }));
    expect(convolutions).toMatchObject({ QLinearConv: 2 });
    expect(convolutions).not.toHaveProperty('Relu');
  });

  it.each([
    { mode: 'nearest', integers: true },
    { mode: 'linear', integers: false },
  ])(
    'keeps integers through $mode enlarging and the sum behind it: $integers',
    ({ mode, integers }) => {
      const graph = rewritten(pyramid(mode), {});
      expect(isQuantised(graph, 'sum')).toBe(integers);
    },
  );

  it('quantises matrices as they come in dynamic mode, once for layers that share an input', () => {
    const counts = histogram(rewritten(ATTENTION, { mode: 'dynamic' }));
    expect(counts).toMatchObject({ DynamicQuantizeLinear: 2, MatMulInteger: 3, MatMul: 2 });
    expect(int8.needs(int8.parameters.parse({ mode: 'dynamic' }))).toEqual([]);
  });

  it.each([
    {
      what: 'the argument of a sine',
      nodes: [node('MatMul', ['x', 'w'], ['a']), node('Sin', ['a'], ['y'])],
      reason: /sine/,
    },
    {
      what: 'an operator set that cannot be raised',
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      opset: 6,
      reason: /operator set 6 is too old .* because of MatMul_0/,
    },
    {
      what: 'a model that is quantised already',
      nodes: [node('DequantizeLinear', ['x', 'w'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
      reason: /quantised already/,
    },
    {
      what: 'a type without kernels',
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      type: 'bfloat16' as const,
      reason: /computes in bfloat16/,
    },
  ])('refuses $what with the reason', ({ nodes, reason, opset, type }) => {
    const { sites, refused } = int8.sites(
      situation({
        inputs: [value('x', [4, 4], type)],
        outputs: [value('y', [4, 4], type)],
        nodes,
        weights: [weight('w', [4, 4])],
        ...(opset && { opset }),
      }),
    );
    expect(sites).toEqual([]);
    expect(refused.at(-1)!.reason).toMatch(reason);
  });
});
