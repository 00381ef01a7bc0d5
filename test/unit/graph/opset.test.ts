/** Models of older operator sets, raised: ONNX Runtime computes the same to the bit. */
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GraphRecord, NodeRecord, Shape, Tensor } from '../../../language/onnx/model';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { raiseBlocker, raiseOpset } from '../../../language/graph/opset';
import { float32Tensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { testHost } from '../runtime/host';

const host = testHost();
beforeAll(() => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
});

interface Case {
  readonly what: string;
  readonly opset: number;
  readonly shape: Shape;
  readonly nodes: readonly NodeRecord[];
  readonly weights?: readonly Tensor[];
}

const number = (name: string, values: readonly number[]) => float32Tensor(name, values);

const CASES: readonly Case[] = [
  {
    what: 'axes, sizes and limits that were attributes',
    opset: 9,
    shape: [2, 4, 6],
    nodes: [
      node('Unsqueeze', ['x'], ['u'], { axes: [1] }),
      node('Squeeze', ['u'], ['s'], { axes: [1] }),
      node('Clip', ['s'], ['c'], { min: -0.5, max: 1.25 }),
      node('Slice', ['c'], ['t'], { starts: [1], ends: [5], axes: [2] }),
      node('Pad', ['t'], ['p'], { pads: [0, 0, 1, 0, 0, 1], value: 0.5 }),
      node('Split', ['p'], ['a', 'b'], { axis: 1, split: [1, 3] }),
      node('ReduceSum', ['b'], ['r'], { axes: [1], keepdims: 1 }),
      node('Add', ['a', 'r'], ['m']),
      node('TopK', ['m'], ['top', 'places'], { k: 3 }),
      node('Dropout', ['top'], ['d', 'mask'], { ratio: 0.25 }),
      node('ReduceMean', ['d'], ['y'], { axes: [-1] }),
    ],
  },
  {
    what: 'a Softmax over several axes',
    opset: 11,
    shape: [2, 3, 5],
    nodes: [
      node('Softmax', ['x'], ['s']),
      node('LogSoftmax', ['s'], ['l'], { axis: 2 }),
      node('Softmax', ['l'], ['y'], { axis: 0 }),
    ],
  },
  {
    what: 'an Upsample of operator set 8 and normalisation per channel',
    opset: 8,
    shape: [1, 4, 3, 3],
    nodes: [
      node('BatchNormalization', ['x', 'g', 'b', 'mean', 'var'], ['n'], { spatial: 1 }),
      node('Upsample', ['n'], ['big'], {
        mode: 'nearest',
        scales: [1.0001, 1.0001, 2.0001, 2.0001],
      }),
      node('Clip', ['big'], ['y'], { min: 0.0001 }),
    ],
    weights: ['g', 'b', 'mean']
      .map((name, i) => weight(name, [4], i + 1))
      .concat(number('var', [1, 2, 0.5, 3])),
  },
  {
    what: 'a Resize of operator set 10',
    opset: 10,
    shape: [1, 2, 4, 5],
    nodes: [
      node('Resize', ['x', 'up'], ['a'], { mode: 'linear' }),
      node('Resize', ['a', 'up'], ['y'], { mode: 'nearest' }),
    ],
    weights: [number('up', [1, 1, 2, 3])],
  },
];

async function outputOf(file: string, shape: readonly number[]) {
  const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: 'disabled' });
  const count = shape.reduce((a, b) => a * b, 1);
  const x = new ort.Tensor(
    'float32',
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * 2),
    shape,
  );
  const { y } = await session.run({ x });
  return { dims: y!.dims, data: y!.data };
}

const specOf = ({ shape, nodes, weights, opset }: Omit<Case, 'what'>): ModelSpec => ({
  inputs: [value('x', shape)],
  outputs: [value('y')],
  nodes,
  ...(weights && { weights }),
  opset,
});

const SQUEEZES: GraphRecord = {
  name: 'branch',
  nodes: [node('Squeeze', ['x'], ['out'], { axes: [0] })],
  initializers: [],
  inputs: [],
  outputs: [value('out')],
  valueInfos: [],
  carried: [],
};

describe('raising the operator set', () => {
  it.for(CASES.flatMap((one) => [13, 21].map((to) => ({ ...one, to }))))(
    'of $what from $opset to $to',
    async ({ to, ...one }) => {
      const graph = makeGraph(specOf(one));
      const before = await outputOf(host.model('before.onnx', graph), one.shape as number[]);
      raiseOpset(graph, inferShapes(graph, { inputs: new Map() }), to);
      expect(graph.opset).toBe(to);
      const after = await outputOf(host.model('after.onnx', graph), one.shape as number[]);
      expect(after).toEqual(before);
    },
  );

  it.each([
    {
      what: 'normalisation of every element by itself',
      blocked: node('BatchNormalization', ['x', 'g', 'g', 'g', 'g'], ['y'], { spatial: 0 }, 'norm'),
      opset: 8,
      reason: /every element/,
    },
    {
      what: 'a mask of floats',
      blocked: node('Dropout', ['x'], ['d', 'y'], {}, 'norm'),
      opset: 8,
      reason: /mask/,
    },
    {
      what: 'an operator set before broadcasting',
      blocked: node('Relu', ['x'], ['y'], {}, 'norm'),
      opset: 6,
      reason: /before 7/,
    },
    {
      what: 'a body with an operator in its old form',
      blocked: node(
        'If',
        ['flag'],
        ['y'],
        {
          then_branch: SQUEEZES,
          else_branch: SQUEEZES,
        },
        'norm',
      ),
      opset: 11,
      reason: /its body holds a Squeeze/,
    },
  ])('refuses $what, and changes nothing', ({ blocked, opset, reason }) => {
    const shape = [1, 4, 4, 4];
    const graph = makeGraph({
      ...specOf({ shape, nodes: [blocked], weights: [weight('g', [4])], opset }),
      inputs: [value('x', shape), value('flag', [], 'bool')],
    });
    const facts = inferShapes(graph, { inputs: new Map() });
    expect(raiseBlocker(graph, facts, 13)).toMatchObject({
      node: 'norm',
      reason: expect.stringMatching(reason) as string,
    });
    expect(() => raiseOpset(graph, facts, 13)).toThrow(reason);
    expect(graph.edited).toBe(false);
  });
});
