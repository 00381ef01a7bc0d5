import { describe, expect, it } from 'vitest';
import { makeTensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { constant, workloadOf, workloadsOf, type Case } from './subject';

const x = (...shape: number[]) => ({ shape });
const w = (...shape: number[]) => ({ shape, weight: true as const });
const u8 = (...shape: number[]) => ({ shape, type: 'uint8' as const });
const i64 = (...shape: number[]) => ({ shape, type: 'int64' as const });
const scale = w();
const zero = { shape: [], type: 'uint8' as const, weight: true as const };

interface Expected {
  readonly what: string;
  readonly given: Case;
  readonly kind: string;
  readonly macs: number;
  readonly ops?: number;
}

/** Each expected number is worked out in the line itself, from the definition of the operator. */
const cases: readonly Expected[] = [
  // ---- convolutions: outputs × taps × input channels per group
  {
    what: 'convolution with padding, which counts like any input',
    given: {
      op: 'Conv',
      inputs: [x(1, 3, 32, 32), w(16, 3, 3, 3), w(16)],
      attributes: { pads: [1, 1, 1, 1] },
    },
    kind: 'conv',
    macs: 32 * 32 * 16 * (3 * 3 * 3),
    ops: 32 * 32 * 16,
  },
  {
    what: 'strided grouped convolution',
    given: {
      op: 'Conv',
      inputs: [x(2, 8, 16, 16), w(12, 2, 3, 3)],
      attributes: { strides: [2, 2], group: 4 },
    },
    kind: 'conv',
    macs: 2 * 7 * 7 * 12 * (2 * 3 * 3),
    ops: 0,
  },
  {
    what: 'dilated one-dimensional convolution',
    given: { op: 'Conv', inputs: [x(1, 4, 20), w(6, 4, 3)], attributes: { dilations: [2] } },
    kind: 'conv',
    macs: 16 * 6 * 4 * 3,
  },
  {
    what: 'three-dimensional convolution that keeps its size',
    given: {
      op: 'Conv',
      inputs: [x(1, 2, 4, 5, 6), w(3, 2, 3, 3, 3)],
      attributes: { auto_pad: 'SAME_UPPER' },
    },
    kind: 'conv',
    macs: 4 * 5 * 6 * 3 * (2 * 27),
  },
  {
    what: 'transposed convolution: every input times every tap',
    given: {
      op: 'ConvTranspose',
      inputs: [x(1, 8, 5, 5), w(8, 4, 2, 2)],
      attributes: { strides: [2, 2] },
    },
    kind: 'conv',
    macs: 5 * 5 * 8 * 4 * (2 * 2),
  },
  {
    what: 'integer convolution',
    given: { op: 'ConvInteger', inputs: [u8(1, 3, 8, 8), { ...w(4, 3, 3, 3), type: 'uint8' }] },
    kind: 'conv',
    macs: 6 * 6 * 4 * 27,
  },
  {
    what: 'quantised convolution, requantised at four operations per output and a bias',
    given: {
      op: 'QLinearConv',
      inputs: [
        u8(1, 3, 8, 8),
        scale,
        zero,
        { ...w(4, 3, 3, 3), type: 'uint8' },
        scale,
        zero,
        scale,
        zero,
        { ...w(4), type: 'int32' },
      ],
    },
    kind: 'conv',
    macs: 6 * 6 * 4 * 27,
    ops: 6 * 6 * 4 * 5,
  },
  {
    what: 'fused convolution with an activation and a residual',
    given: {
      op: 'FusedConv',
      domain: 'com.microsoft',
      inputs: [x(1, 3, 8, 8), w(4, 3, 1, 1), w(4), x(1, 4, 8, 8)],
      attributes: { activation: 'Relu' },
    },
    kind: 'conv',
    macs: 64 * 4 * 3,
    ops: 64 * 4 * 3,
  },
  {
    what: 'deformable convolution: the products, and seven operations per sampled tap',
    given: {
      op: 'DeformConv',
      inputs: [x(1, 2, 4, 4), w(3, 2, 2, 2), x(1, 8, 3, 3)],
      opset: 19,
      output: [1, 3, 3, 3],
    },
    kind: 'conv',
    macs: 9 * 3 * 2 * 4,
    ops: 9 * 4 * 2 * 7,
  },
  // ---- products
  {
    what: 'fully connected layer with both transpositions',
    given: { op: 'Gemm', inputs: [x(7, 5), w(3, 7), w(3)], attributes: { transA: 1, transB: 1 } },
    kind: 'matmul',
    macs: 5 * 7 * 3,
    ops: 5 * 3,
  },
  {
    what: 'stack of rows by one matrix',
    given: { op: 'MatMul', inputs: [x(2, 10, 8), w(8, 6)] },
    kind: 'matmul',
    macs: 2 * 10 * 8 * 6,
  },
  {
    what: 'broadcast stacks of activations',
    given: { op: 'MatMul', inputs: [x(4, 1, 10, 8), x(3, 8, 6)] },
    kind: 'matmul',
    macs: 4 * 3 * 10 * 8 * 6,
  },
  {
    what: 'vector by matrix',
    given: { op: 'MatMul', inputs: [x(8), w(8, 6)] },
    kind: 'matmul',
    macs: 48,
  },
  {
    what: 'fused product with a transposed operand',
    given: {
      op: 'FusedMatMul',
      domain: 'com.microsoft',
      inputs: [x(2, 5, 8), x(2, 6, 8)],
      attributes: { transB: 1 },
    },
    kind: 'matmul',
    macs: 2 * 5 * 8 * 6,
  },
  {
    what: 'quantised product',
    given: {
      op: 'QLinearMatMul',
      inputs: [u8(4, 8), scale, zero, { ...w(8, 6), type: 'uint8' }, scale, zero, scale, zero],
    },
    kind: 'matmul',
    macs: 4 * 8 * 6,
    ops: 4 * 6 * 4,
  },
  {
    what: 'product of integers',
    given: { op: 'MatMulInteger', inputs: [u8(4, 8), { ...w(8, 6), type: 'uint8' }] },
    kind: 'matmul',
    macs: 4 * 8 * 6,
  },
  {
    what: 'four-bit weights in blocks',
    given: {
      op: 'MatMulNBits',
      domain: 'com.microsoft',
      inputs: [x(1, 3, 64), { ...w(16, 2, 16), type: 'uint8' }, w(32)],
      attributes: { K: 64, N: 16, bits: 4, block_size: 32 },
    },
    kind: 'matmul',
    macs: 3 * 64 * 16,
  },
  {
    what: 'product of a dynamically quantised input',
    given: {
      op: 'DynamicQuantizeMatMul',
      domain: 'com.microsoft',
      inputs: [x(4, 8), { ...w(8, 6), type: 'uint8' }, scale, zero, w(6)],
    },
    kind: 'matmul',
    macs: 4 * 8 * 6,
    ops: 4 * 6 * 2,
  },
  // ---- Einsum: the product of all sizes that a contraction touches
  {
    what: 'Einsum as attention scores',
    given: {
      op: 'Einsum',
      inputs: [x(2, 3, 5, 8), x(2, 3, 7, 8)],
      attributes: { equation: 'bhid,bhjd->bhij' },
    },
    kind: 'matmul',
    macs: 2 * 3 * 5 * 7 * 8,
  },
  {
    what: 'Einsum with an ellipsis and no arrow',
    given: { op: 'Einsum', inputs: [x(4, 5, 6), x(6, 7)], attributes: { equation: '...ij,jk' } },
    kind: 'matmul',
    macs: 4 * 5 * 6 * 7,
  },
  {
    what: 'Einsum of three operands, two at a time',
    given: {
      op: 'Einsum',
      inputs: [x(2, 3), x(3, 4), x(4, 5)],
      attributes: { equation: 'ab,bc,cd->ad' },
    },
    kind: 'matmul',
    macs: 2 * 3 * 4 + 2 * 4 * 5,
  },
  {
    what: 'Einsum of four operands, what one alone has summed before',
    given: {
      op: 'Einsum',
      inputs: [x(2, 3, 9), x(3, 4), x(4, 5), x(5)],
      attributes: { equation: 'abz,bc,cd,d->a' },
    },
    kind: 'matmul',
    macs: 2 * 3 * 4 + 2 * 4 * 5 + 2 * 5,
    ops: 2 * 3 * 9,
  },
  {
    what: 'Einsum that stretches a size of 1',
    given: { op: 'Einsum', inputs: [x(6, 4), x(1, 4)], attributes: { equation: 'ab,ab->a' } },
    kind: 'matmul',
    macs: 6 * 4,
  },
  {
    what: 'Einsum that only sums',
    given: { op: 'Einsum', inputs: [x(4, 5)], attributes: { equation: 'ij->i' } },
    kind: 'matmul',
    macs: 0,
    ops: 20,
  },
  // ---- attention: scores and weighted values
  {
    what: 'attention of the standard with four dimensions',
    given: {
      op: 'Attention',
      inputs: [x(2, 4, 10, 16), x(2, 4, 12, 16), x(2, 4, 12, 8)],
      opset: 23,
    },
    kind: 'attention',
    macs: 2 * 4 * 10 * 12 * (16 + 8),
    ops: 2 * 4 * 10 * 12 * 6,
  },
  {
    what: 'attention of the standard with grouped heads and three dimensions',
    given: {
      op: 'Attention',
      inputs: [x(1, 10, 64), x(1, 12, 32), x(1, 12, 32)],
      attributes: { q_num_heads: 4, kv_num_heads: 2 },
      opset: 23,
    },
    kind: 'attention',
    macs: 4 * 10 * 12 * (16 + 16),
  },
  {
    what: 'attention with its projection',
    given: {
      op: 'Attention',
      domain: 'com.microsoft',
      inputs: [x(2, 10, 32), w(32, 96), w(96)],
      attributes: { num_heads: 4 },
    },
    kind: 'attention',
    macs: 2 * 10 * 32 * 96 + 2 * 4 * 10 * 10 * (8 + 8),
  },
  {
    what: 'multi-head attention',
    given: {
      op: 'MultiHeadAttention',
      domain: 'com.microsoft',
      inputs: [x(2, 10, 32), x(2, 7, 32), x(2, 7, 32)],
      attributes: { num_heads: 4 },
    },
    kind: 'attention',
    macs: 2 * 10 * 7 * 32 * 2,
  },
  {
    what: 'grouped queries over a cache',
    given: {
      op: 'GroupQueryAttention',
      domain: 'com.microsoft',
      inputs: [
        x(1, 1, 64),
        x(1, 1, 32),
        x(1, 1, 32),
        x(1, 2, 9, 16),
        x(1, 2, 9, 16),
        { shape: [1, 1], type: 'int32' },
        { shape: [], type: 'int32' },
      ],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
    kind: 'attention',
    macs: 4 * 1 * 10 * (16 + 16),
  },
  // ---- recurrent cells: gates × units × (inputs + units) for each step
  {
    what: 'LSTM in two directions',
    given: {
      op: 'LSTM',
      inputs: [x(5, 2, 6), w(2, 16, 6), w(2, 16, 4)],
      attributes: { hidden_size: 4, direction: 'bidirectional' },
      outputs: 3,
    },
    kind: 'recurrent',
    macs: 2 * 5 * 2 * 16 * (6 + 4),
  },
  {
    what: 'GRU with the batch first',
    given: {
      op: 'GRU',
      inputs: [x(2, 5, 6), w(1, 12, 6), w(1, 12, 4)],
      attributes: { hidden_size: 4, layout: 1 },
    },
    kind: 'recurrent',
    macs: 5 * 2 * 12 * (6 + 4),
  },
  {
    what: 'simple recurrent cell',
    given: {
      op: 'RNN',
      inputs: [x(5, 1, 6), w(1, 4, 6), w(1, 4, 4)],
      attributes: { hidden_size: 4 },
    },
    kind: 'recurrent',
    macs: 5 * 4 * (6 + 4),
    ops: 5 * (4 * 1 + 4),
  },
  // ---- the rest: operations per element
  {
    what: 'activation',
    given: { op: 'Relu', inputs: [x(2, 8)] },
    kind: 'elementwise',
    macs: 0,
    ops: 16,
  },
  {
    what: 'sigmoid by its formula',
    given: { op: 'Sigmoid', inputs: [x(2, 8)] },
    kind: 'elementwise',
    macs: 0,
    ops: 64,
  },
  {
    what: 'broadcast sum',
    given: { op: 'Add', inputs: [x(2, 1, 8), x(3, 1)] },
    kind: 'elementwise',
    macs: 0,
    ops: 48,
  },
  {
    what: 'maximum of three',
    given: { op: 'Max', inputs: [x(8), x(8), x(8)] },
    kind: 'elementwise',
    macs: 0,
    ops: 16,
  },
  {
    what: 'batch normalisation',
    given: { op: 'BatchNormalization', inputs: [x(1, 4, 3), w(4), w(4), w(4), w(4)] },
    kind: 'normalisation',
    macs: 0,
    ops: 24,
  },
  {
    what: 'layer normalisation',
    given: { op: 'LayerNormalization', inputs: [x(2, 8), w(8), w(8)] },
    kind: 'normalisation',
    macs: 0,
    ops: 112,
  },
  {
    what: 'softmax',
    given: { op: 'Softmax', inputs: [x(2, 8)] },
    kind: 'softmax',
    macs: 0,
    ops: 80,
  },
  {
    what: 'maximum pooling',
    given: {
      op: 'MaxPool',
      inputs: [x(1, 4, 8, 8)],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    kind: 'pooling',
    macs: 0,
    ops: 4 * 16 * 4,
  },
  {
    what: 'global pooling',
    given: { op: 'GlobalAveragePool', inputs: [x(1, 4, 8, 8)] },
    kind: 'pooling',
    macs: 0,
    ops: 256,
  },
  {
    what: 'mean over axes',
    given: { op: 'ReduceMean', inputs: [x(2, 8)], attributes: { axes: [1] } },
    kind: 'reduction',
    macs: 0,
    ops: 16,
  },
  {
    what: 'nearest resizing, which only copies',
    given: {
      op: 'Resize',
      inputs: [x(1, 2, 4, 4), null, w(4)],
      attributes: { mode: 'nearest' },
      output: [1, 2, 8, 8],
    },
    kind: 'resize',
    macs: 0,
    ops: 0,
  },
  {
    what: 'linear resizing of two axes',
    given: {
      op: 'Resize',
      inputs: [x(1, 2, 4, 4), null, w(4)],
      attributes: { mode: 'linear' },
      output: [1, 2, 8, 8],
    },
    kind: 'resize',
    macs: 0,
    ops: 128 * 2 * 3,
  },
  {
    what: 'transposition',
    given: { op: 'Transpose', inputs: [x(2, 8)] },
    kind: 'movement',
    macs: 0,
    ops: 0,
  },
  {
    what: 'quantisation',
    given: { op: 'QuantizeLinear', inputs: [x(2, 8), scale, zero] },
    kind: 'conversion',
    macs: 0,
    ops: 64,
  },
  {
    what: 'view',
    given: { op: 'Reshape', inputs: [x(2, 8), i64(1)], output: [16] },
    kind: 'free',
    macs: 0,
    ops: 0,
  },
  { what: 'shape', given: { op: 'Shape', inputs: [x(2, 8)] }, kind: 'free', macs: 0, ops: 0 },
];

describe('operators', () => {
  it.each(cases)('$given.op: $what', ({ given, kind, macs, ops }) => {
    const found = workloadOf(given);
    expect(found.unknown).toBeUndefined();
    expect({ kind: found.kind, macs: found.macs }).toEqual({ kind, macs });
    if (ops !== undefined) expect(found.ops).toBe(ops);
  });

  it('says which dimension is free, and does not count what depends on it', () => {
    const product = workloadOf({ op: 'MatMul', inputs: [{ shape: [1, 'sequence', 8] }, w(8, 6)] });
    expect(product.macs).toBeNull();
    expect(product.unknown).toBe('free dimension `sequence`');
    const addition = workloadOf({ op: 'Add', inputs: [{ shape: [1, 'sequence', 8] }, w(8)] });
    expect(addition).toMatchObject({ macs: 0, ops: null, inputBytes: null });
    expect(addition.unknown).toBe('free dimension `sequence`');
  });

  it('gives up on sizes that contradict each other', () => {
    const conv = workloadOf({
      op: 'Conv',
      inputs: [x(1, 8, 8, 8), w(4, 8, 3, 3)],
      attributes: { group: 0 },
      output: [1, 4, 6, 6],
    });
    expect(conv).toMatchObject({ macs: null, unknown: 'its sizes do not fit together' });
  });

  it('does not take a value for constant because some of its elements are known', () => {
    const work = workloadsOf({
      inputs: [value('x', [1, 2, 2])],
      outputs: [value('y')],
      weights: [weight('cls', [1, 1, 2]), weight('w', [2, 2])],
      nodes: [
        node('Concat', ['cls', 'x'], ['tokens'], { axis: 1 }, 'join'),
        node('MatMul', ['tokens', 'w'], ['y'], {}, 'product'),
      ],
    });
    expect(work.of('join')).toMatchObject({ kind: 'movement', parameters: 2 });
    expect(work.of('product').macs).toBe(3 * 2 * 2);
  });

  it('costs the branch of an If that is taken, and the dearest where nothing says which', () => {
    const branch = (name: string, rows: number) =>
      makeGraph({
        inputs: [],
        outputs: [value(`${name}_out`)],
        weights: [weight(`${name}_w`, [rows, 4])],
        nodes: [node('MatMul', [`${name}_w`, 'x'], [`${name}_out`], {}, name)],
      }).toRecord();
    const branches = { then_branch: branch('then', 2), else_branch: branch('else', 3) };
    const macs = (given: Partial<ModelSpec>, condition: string) =>
      workloadsOf({
        inputs: [value('x', [4, 5])],
        outputs: [value('y')],
        ...given,
        nodes: [node('If', [condition], ['y'], branches, 'if')],
      }).of('if').macs;
    expect(macs({ weights: [constant('yes', 'bool', [], 1)] }, 'yes')).toBe(2 * 4 * 5);
    expect(macs({ inputs: [value('x', [4, 5]), value('c', [], 'bool')] }, 'c')).toBe(3 * 4 * 5);
  });

  it('names an operator that it does not know, with its domain', () => {
    expect(workloadOf({ op: 'Frobnicate', domain: 'org.example', inputs: [x(2)] })).toMatchObject({
      kind: 'unknown',
      macs: null,
      unknown: 'operator Frobnicate of domain org.example is not understood',
    });
  });

  it('reads what a gather picks, not the whole table', () => {
    const lookup = workloadOf({ op: 'Gather', inputs: [w(1000, 16), i64(1, 5)] });
    expect(lookup).toMatchObject({
      kind: 'movement',
      parameters: 16_000,
      weightBytes: 64_000,
      weightReadBytes: 5 * 16 * 4,
      inputBytes: 5 * 8,
      outputBytes: 5 * 16 * 4,
    });
  });

  it('keeps the loops of a convolution for targets to fold', () => {
    const { conv } = workloadOf({
      op: 'Conv',
      inputs: [x(1, 8, 15, 20), w(16, 4, 3, 5)],
      attributes: { pads: [1, 2, 1, 2], strides: [2, 1], group: 2 },
    });
    expect(conv).toEqual({
      batch: 1,
      groups: 2,
      inputChannels: 8,
      outputChannels: 16,
      kernel: [3, 5],
      input: [15, 20],
      paddedInput: [17, 24],
      output: [8, 20],
      strides: [2, 1],
      dilations: [1, 1],
      transposed: false,
    });
  });

  it('runs a recurrent layer as long as its longest sequence, where that is known', () => {
    const macs = (lengths: Partial<ModelSpec>) =>
      workloadsOf({
        outputs: [value('y')],
        weights: [weight('w', [1, 12, 6]), weight('r', [1, 12, 4])],
        nodes: [node('GRU', ['x', 'w', 'r', '', 'lengths'], ['y'], { hidden_size: 4 }, 'gru')],
        inputs: [value('x', [5, 2, 6])],
        ...lengths,
      }).of('gru').macs;
    const known = [weight('w', [1, 12, 6]), weight('r', [1, 12, 4])];
    const perStep = 2 * 12 * (6 + 4);
    const lengths = new Uint8Array(Int32Array.of(2, 3).buffer);
    const given = makeTensor('lengths', 'int32', [2], lengths);
    expect(macs({ weights: [...known, given] })).toBe(3 * perStep);
    const data = value('lengths', [2], 'int32');
    expect(macs({ inputs: [value('x', [5, 2, 6]), data] })).toBe(5 * perStep);
  });

  it('splits an Einsum of several operands into its products', () => {
    const { parts, macs } = workloadOf({
      op: 'Einsum',
      inputs: [x(2, 3), w(3, 4), x(4, 5)],
      attributes: { equation: 'ab,bc,cd->ad' },
    });
    expect(parts?.map(({ workload }) => workload.matmul)).toEqual([
      { batch: 1, m: 2, n: 4, k: 3, constant: 'b' },
      { batch: 1, m: 2, n: 5, k: 4, constant: null },
    ]);
    expect(parts?.reduce((sum, { workload }) => sum + workload.macs!, 0)).toBe(macs);
  });

  it('splits attention into its two products', () => {
    const { parts, macs } = workloadOf({
      op: 'Attention',
      inputs: [x(2, 4, 10, 16), x(2, 4, 12, 16), x(2, 4, 12, 8)],
      opset: 23,
    });
    expect(parts?.map(({ op, workload }) => [op, workload.matmul])).toEqual([
      ['MatMul', { batch: 8, m: 10, n: 12, k: 16, constant: null }],
      ['Softmax', undefined],
      ['MatMul', { batch: 8, m: 10, n: 8, k: 12, constant: null }],
    ]);
    expect(parts?.reduce((sum, { times, workload }) => sum + times * workload.macs!, 0)).toBe(macs);
  });
});
