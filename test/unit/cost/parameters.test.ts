import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { counts } from '../../../language/cost/counts';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { MemorySource } from '../../../language/onnx/source';
import { float32Tensor } from '../../../language/onnx/tensor';
import { ints, makeGraph, node, value, weight } from '../../models';
import { shared } from '../../shared';
import { constant, factsOf, workloadsOf } from './subject';

const EMPTY_SPAN = { source: new MemorySource(new Uint8Array(0)), start: 0, end: 0 };

describe('parameters', () => {
  it('belong to the first layer in order that reads them', () => {
    const work = workloadsOf({
      inputs: [value('x', [4, 8])],
      outputs: [value('b')],
      weights: [weight('w', [8, 8])],
      nodes: [
        node('MatMul', ['x', 'w'], ['a'], {}, 'first'),
        node('MatMul', ['a', 'w'], ['b'], {}, 'second'),
      ],
    });
    expect(work.of('first')).toMatchObject({
      parameters: 64,
      weightBytes: 256,
      weightReadBytes: 256,
    });
    expect(work.of('second')).toMatchObject({
      parameters: 0,
      weightBytes: 0,
      weightReadBytes: 256,
    });
  });

  it('of a sparse tensor are all its elements, stored as those that it has and their places', () => {
    const values = float32Tensor('w', [1, 2, 3]);
    const indices = ints('', [0, 9, 63]);
    const data = { kind: 'sparse', message: EMPTY_SPAN, values, indices } as const;
    const work = workloadsOf({
      inputs: [value('x', [4, 8])],
      outputs: [value('y')],
      weights: [{ ...values, dims: [8, 8], data }],
      nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'layer')],
    });
    expect(work.of('layer')).toMatchObject({
      parameters: 64,
      weightBytes: 3 * 4 + 3 * 8,
      weightReadBytes: 256,
    });
  });

  it('reach a layer through what is computed from constants alone', () => {
    const work = workloadsOf({
      inputs: [value('x', [4, 8])],
      outputs: [value('y')],
      weights: [weight('w', [6, 8]), weight('gain', [6, 1])],
      nodes: [
        node('Mul', ['w', 'gain'], ['scaled'], {}, 'scale'),
        node('Transpose', ['scaled'], ['turned'], {}, 'turn'),
        node('Identity', ['turned'], ['same'], {}, 'copy'),
        node('MatMul', ['x', 'same'], ['y'], {}, 'product'),
      ],
    });
    for (const id of ['scale', 'turn', 'copy'])
      expect(work.of(id)).toMatchObject({ kind: 'free', macs: 0, parameters: 0 });
    expect(work.of('product')).toMatchObject({ parameters: 48 + 6, weightReadBytes: 48 * 4 });
  });

  it('count quantised weights as they are stored, with scales and zero points', () => {
    const work = workloadsOf({
      inputs: [value('x', [1, 3, 8, 8])],
      outputs: [value('y')],
      weights: [
        constant('codes', 'int4', [4, 3, 3, 3]),
        weight('scales', [4]),
        constant('zeros', 'int4', [4], 0),
        constant('bias', 'int32', [4]),
        weight('biasScales', [4]),
      ],
      nodes: [
        node('DequantizeLinear', ['codes', 'scales', 'zeros'], ['w'], { axis: 0 }, 'dequantise'),
        node('DequantizeLinear', ['bias', 'biasScales'], ['b'], { axis: 0 }, 'dequantiseBias'),
        node('Conv', ['x', 'w', 'b'], ['y'], {}, 'conv'),
      ],
      opset: 21,
    });
    expect(work.of('dequantise')).toMatchObject({ kind: 'free', parameters: 0 });
    expect(work.of('conv')).toMatchObject({
      parameters: 108 + 4,
      weightBytes: 108 / 2 + 4 * 4 + 4 / 2 + (4 * 4 + 4 * 4),
      weightType: 'int4',
      inputType: 'float32',
    });
  });

  it('leave out statistics, thresholds and lone numbers', () => {
    const work = workloadsOf({
      inputs: [value('x', [1, 4, 3])],
      outputs: [value('z')],
      weights: [
        ...['gain', 'shift', 'mean', 'variance'].map((name) => weight(name, [4])),
        float32Tensor('six', [6], []),
        float32Tensor('root', [Math.SQRT2], []),
        float32Tensor('one', [0.5], [1]),
      ],
      nodes: [
        node('BatchNormalization', ['x', 'gain', 'shift', 'mean', 'variance'], ['n'], {}, 'norm'),
        node('Clip', ['n', '', 'six'], ['c'], {}, 'clip'),
        node('Div', ['c', 'root'], ['d'], {}, 'divide'),
        node('PRelu', ['d', 'one'], ['z'], {}, 'slope'),
      ],
    });
    expect(work.of('norm')).toMatchObject({ parameters: 8, weightBytes: 4 * 4 * 4 });
    expect(work.of('clip').parameters).toBe(0);
    expect(work.of('divide').parameters).toBe(0);
    expect(work.of('slope').parameters).toBe(1);
  });

  it('leave out shapes and indices', () => {
    const work = workloadsOf({
      inputs: [value('x', [2, 8])],
      outputs: [value('y')],
      weights: [ints('shape', [4, 4]), ints('rows', [0, 2])],
      nodes: [
        node('Reshape', ['x', 'shape'], ['r'], {}, 'view'),
        node('Gather', ['r', 'rows'], ['y'], {}, 'pick'),
      ],
    });
    expect(work.of('view')).toMatchObject({ kind: 'free', parameters: 0 });
    expect(work.of('pick')).toMatchObject({ parameters: 0, inputBytes: 2 * 4 * 4 + 2 * 8 });
  });

  it('count packed weights by their elements', () => {
    const work = workloadsOf({
      inputs: [value('x', [1, 3, 64])],
      outputs: [value('y')],
      weights: [constant('packed', 'uint8', [16, 2, 16]), weight('scales', [32])],
      nodes: [
        node(
          'MatMulNBits',
          ['x', 'packed', 'scales'],
          ['y'],
          { K: 64, N: 16, bits: 4, block_size: 32 },
          'product',
          'com.microsoft',
        ),
      ],
    });
    expect(work.of('product')).toMatchObject({
      parameters: 64 * 16,
      weightBytes: (64 * 16) / 2 + 32 * 4,
      weightType: 'uint4',
    });
  });

  it('count packed tables by their elements, and read the rows that are picked', () => {
    const work = workloadsOf({
      inputs: [value('ids', [1, 3], 'int64')],
      outputs: [value('y')],
      weights: [constant('packed', 'uint8', [40, 32]), weight('scales', [40, 2])],
      nodes: [
        node(
          'GatherBlockQuantized',
          ['packed', 'ids', 'scales'],
          ['y'],
          { bits: 4, block_size: 32, gather_axis: 0, quantize_axis: 1 },
          'lookup',
          'com.microsoft',
        ),
      ],
    });
    expect(work.of('lookup')).toMatchObject({
      parameters: 40 * 64,
      weightBytes: 40 * 32 + 40 * 2 * 4,
      weightReadBytes: 3 * 32 + 3 * 2 * 4,
      weightType: 'uint4',
    });
  });

  it('are found in the bodies of loops, and read as often as the body runs', () => {
    const body = makeGraph({
      inputs: [value('h_in', [1, 4]), value('x_in', [1, 4])],
      outputs: [value('h_out'), value('y_out')],
      weights: [weight('inner', [4, 4])],
      nodes: [
        node('MatMul', ['x_in', 'inner'], ['p'], {}, 'p'),
        node('Mul', ['h_in', 'decay'], ['q'], {}, 'q'),
        node('Add', ['p', 'q'], ['h_out'], {}, 'r'),
        node('Identity', ['h_out'], ['y_out'], {}, 's'),
      ],
    }).toRecord();
    const work = workloadsOf({
      inputs: [value('h', [1, 4]), value('xs', [5, 1, 4])],
      outputs: [value('last'), value('ys')],
      weights: [weight('decay', [4])],
      nodes: [node('Scan', ['h', 'xs'], ['last', 'ys'], { body, num_scan_inputs: 1 }, 'scan')],
    });
    expect(work.of('scan')).toMatchObject({
      kind: 'control',
      macs: 5 * 16,
      ops: 5 * (4 + 4),
      parameters: 16 + 4,
      weightReadBytes: 5 * (16 + 4) * 4,
    });
  });
});

/**
 * Beyond the parameters of the training framework: tables that are no parameters there (rotary angles, masks, timestep
 * frequencies). Short of them: a batch normalisation that the exporter folded leaves one bias per channel of its two
 * parameters, or identical vectors are stored once.
 */
const DIFFERENCES: Readonly<Record<string, number>> = {
  'shapes-resnet': -96,
  'shapes-mobilenet': -3128,
  'shapes-swin': 10_284,
  'scene-seg': -416,
  'scene-depth': -120,
  pose: -680,
  detector: -1664,
  'text-llama': 4096,
  'text-llama-program': 4096,
  'text-llama-lists': 4096,
  'text-llama-recall': 4096,
  'shapes-dit': 2528,
  'video-dit': 1568,
  'resnet20-cifar10': -96,
  'mobilenetv2-cifar10': -6304,
  'llama-shakespeare': 16_384,
  'dit-mnist': 3360,
};

describe.skipIf(!shared('models'))('parameters of trained models', () => {
  for (const set of ['samples', 'trained']) {
    const table = shared('models', set, 'metrics.json');
    if (!table) continue;
    const { models } = JSON.parse(readFileSync(table, 'utf8')) as {
      models: Record<string, { file: string; params: number }>;
    };
    it.each(Object.entries(models))(`${set}/%s`, (name, { file, params }) => {
      const graph = Graph.of(readModelFile(shared('models', set, file)!));
      const { parameters } = counts(graph, factsOf(graph));
      expect(parameters - params).toBe(DIFFERENCES[name] ?? 0);
    });
  }
});
