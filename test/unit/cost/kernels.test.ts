import { describe, expect, it } from 'vitest';
import { kernels, type FusionRules } from '../../../language/cost/kernels';
import { workloads } from '../../../language/cost/workloads';
import type { NodeRecord, Tensor } from '../../../language/onnx/model';
import { float32Tensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight } from '../../models';
import { constant, factsOf } from './subject';

const RULES: FusionRules = {
  afterProducts: ['bias', 'BatchNormalization', 'Relu', 'Clip', 'SiLU', 'HardSwish'],
  afterOthers: ['Relu'],
  integer: ['conv', 'matmul', 'elementwise', 'pooling'],
};

const SCALARS = [
  float32Tensor('three', [3], []),
  float32Tensor('six', [6], []),
  float32Tensor('nothing', [0], []),
  float32Tensor('scale', [0.1], []),
  constant('zero', 'uint8', [], 128),
];

function group(
  nodes: readonly NodeRecord[],
  { rules = RULES, weights = [] as readonly Tensor[], outputs = [nodes.at(-1)!.outputs[0]!] } = {},
) {
  const graph = makeGraph({
    inputs: [value('x', [1, 4, 8, 8]), value('codes', [1, 4, 8, 8], 'uint8')],
    outputs: outputs.map((name) => value(name)),
    weights: [weight('w', [4, 4, 1, 1]), weight('v', [4]), ...SCALARS, ...weights],
    nodes,
  });
  return kernels(graph, workloads(graph, factsOf(graph)), rules);
}

const names = (list: ReturnType<typeof group>) =>
  list.map(({ main, absorbed }) => [main, ...absorbed].map(({ op }) => op).join(' '));

const conv = node('Conv', ['x', 'w'], ['c']);
const ACTIVATION_BYTES = 4 * 8 * 8 * 4;

describe('kernels', () => {
  it('take batch normalisation and an activation along', () => {
    const [kernel, ...rest] = group([
      conv,
      node('BatchNormalization', ['c', 'v', 'v', 'v', 'v'], ['n']),
      node('Relu', ['n'], ['y']),
    ]);
    expect(names([kernel!])).toEqual(['Conv BatchNormalization Relu']);
    expect(rest).toEqual([]);
    expect(kernel!.workload).toMatchObject({
      macs: 64 * 16,
      ops: 256 * 2 + 256,
      parameters: 16 + 4,
      inputBytes: ACTIVATION_BYTES,
      outputBytes: ACTIVATION_BYTES,
    });
  });

  it('end at a value that somebody else reads, or that the model returns', () => {
    const branches = [
      conv,
      node('Relu', ['c'], ['a']),
      node('Neg', ['c'], ['b']),
      node('Add', ['a', 'b'], ['y']),
    ];
    expect(names(group(branches))).toEqual(['Conv', 'Relu', 'Neg', 'Add']);
    expect(names(group([conv, node('Relu', ['c'], ['y'])], { outputs: ['c', 'y'] }))).toEqual([
      'Conv',
      'Relu',
    ]);
  });

  it('take one activation, not what follows it', () => {
    expect(
      names(
        group([conv, node('Relu', ['c'], ['r']), node('Clip', ['r', 'nothing', 'six'], ['y'])]),
      ),
    ).toEqual(['Conv Relu', 'Clip']);
  });

  it('know a bias from another activation, and from a table as large as the output', () => {
    const add = (other: string) => node('Add', ['c', other], ['y']);
    expect(names(group([conv, add('v4')], { weights: [weight('v4', [4, 1, 1])] }))).toEqual([
      'Conv Add',
    ]);
    expect(names(group([conv, add('x')]))).toEqual(['Conv', 'Add']);
    expect(names(group([conv, add('table')], { weights: [weight('table', [4, 8, 8])] }))).toEqual([
      'Conv',
      'Add',
    ]);
  });

  it.each([
    ['SiLU', [node('Sigmoid', ['c'], ['s']), node('Mul', ['c', 's'], ['y'])]],
    ['HardSwish', [node('HardSigmoid', ['c'], ['s']), node('Mul', ['s', 'c'], ['y'])]],
    [
      'HardSwish, divided at the end',
      [
        node('Add', ['c', 'three'], ['p']),
        node('Clip', ['p', 'nothing', 'six'], ['q']),
        node('Mul', ['c', 'q'], ['r']),
        node('Div', ['r', 'six'], ['y']),
      ],
    ],
    [
      'HardSwish, divided before',
      [
        node('Add', ['c', 'three'], ['p']),
        node('Clip', ['p', 'nothing', 'six'], ['q']),
        node('Div', ['q', 'six'], ['s']),
        node('Mul', ['s', 'c'], ['y']),
      ],
    ],
  ])('see through %s written out', (_, nodes) => {
    expect(group([conv, ...nodes]).filter(({ workload }) => workload.kind !== 'free')).toHaveLength(
      1,
    );
  });

  it('leave a product of two different things alone', () => {
    const gate = [node('Sigmoid', ['c'], ['s']), node('Mul', ['x', 's'], ['y'])];
    expect(names(group([conv, ...gate]))).toEqual(['Conv', 'Sigmoid', 'Mul']);
  });

  it('let an addition take its activation along', () => {
    expect(names(group([node('Add', ['x', 'x'], ['a']), node('Relu', ['a'], ['y'])]))).toEqual([
      'Add Relu',
    ]);
  });
});

describe('quantised kernels', () => {
  const dequantise = (from: string, to: string) =>
    node('DequantizeLinear', [from, 'scale', 'zero'], [to]);
  const quantise = (from: string, to: string) =>
    node('QuantizeLinear', [from, 'scale', 'zero'], [to]);
  const int8Weight = [constant('wc', 'int8', [4, 4, 1, 1])];
  const weightNodes = [node('DequantizeLinear', ['wc', 'scale'], ['wf'])];
  const run = (nodes: readonly NodeRecord[], rules = RULES) =>
    group([...weightNodes, ...nodes], { weights: int8Weight, rules }).filter(
      ({ workload }) => workload.kind !== 'free',
    );

  it('run a convolution between codes and take the conversions along', () => {
    const [kernel, ...rest] = run([
      dequantise('codes', 'd'),
      node('Conv', ['d', 'wf'], ['c']),
      node('Relu', ['c'], ['r']),
      quantise('r', 'y'),
    ]);
    expect(names([kernel!])).toEqual(['Conv Relu QuantizeLinear DequantizeLinear']);
    expect(rest).toEqual([]);
    expect(kernel!.workload).toMatchObject({
      weightType: 'int8',
      inputType: 'uint8',
      outputType: 'uint8',
      weightReadBytes: 16 + 4,
      inputBytes: ACTIVATION_BYTES / 4,
      outputBytes: ACTIVATION_BYTES / 4,
    });
  });

  it('keep a conversion that somebody needs in floating point', () => {
    const list = run([
      dequantise('codes', 'd'),
      node('Conv', ['d', 'wf'], ['c']),
      node('Add', ['c', 'd'], ['y']),
    ]);
    expect(names(list)).toEqual(['DequantizeLinear', 'Conv', 'Add']);
    expect(list[1]!.workload).toMatchObject({
      inputType: 'uint8',
      inputBytes: ACTIVATION_BYTES / 4,
    });
  });

  it('share a conversion among integer kernels', () => {
    const list = run([
      dequantise('codes', 'd'),
      node('Conv', ['d', 'wf'], ['c1']),
      node('Conv', ['d', 'wf'], ['c2']),
      quantise('c1', 'q1'),
      quantise('c2', 'q2'),
      dequantise('q1', 'd1'),
      dequantise('q2', 'd2'),
      node('Add', ['d1', 'd2'], ['a']),
      quantise('a', 'y'),
    ]);
    expect(names(list)).toEqual([
      'Conv QuantizeLinear DequantizeLinear',
      'Conv QuantizeLinear',
      'Add QuantizeLinear DequantizeLinear DequantizeLinear',
    ]);
  });

  it('need codes on both sides of what is no product', () => {
    const list = run([
      dequantise('codes', 'd'),
      node('MaxPool', ['d'], ['y'], { kernel_shape: [2, 2] }),
    ]);
    expect(names(list)).toEqual(['DequantizeLinear', 'MaxPool']);
    expect(list[1]!.workload.inputType).toBe('float32');
  });

  it('drop the conversions around a view', () => {
    const graph = group(
      [dequantise('codes', 'd'), node('Reshape', ['d', 'flat'], ['r']), quantise('r', 'y')],
      { weights: [constant('flat', 'int64', [1], 0xff)] },
    );
    expect(names(graph)).toEqual(['Reshape QuantizeLinear DequantizeLinear']);
    expect(graph[0]!.workload.kind).toBe('free');
  });

  it('stay apart on a target without integer kernels', () => {
    const list = run(
      [dequantise('codes', 'd'), node('Conv', ['d', 'wf'], ['c']), quantise('c', 'y')],
      { ...RULES, integer: [] },
    );
    expect(names(list)).toEqual(['DequantizeLinear', 'Conv', 'QuantizeLinear']);
  });
});
