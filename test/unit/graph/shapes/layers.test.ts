import { floatScalar, int64 } from './notation';
import { check } from './rows';

const X = 'float32[N,3,32,32]';

check('convolution', [
  ['Conv', [X, 'float32[16,3,3,3]'], { pads: [1, 1, 1, 1] }, ['float32[N,16,32,32]']],
  ['Conv', [X, 'float32[16,3,3,3]'], { strides: [2, 2] }, ['float32[N,16,15,15]']],
  // (32 + 2 − (2·2 + 1)) / 3 + 1 = 10
  [
    'Conv',
    [X, 'float32[6,1,3,3]'],
    { group: 3, strides: [3, 3], dilations: [2, 2], pads: [1, 1, 1, 1] },
    ['float32[N,6,10,10]'],
  ],
  [
    'Conv',
    ['float32[1,3,7,8]', 'float32[4,3,3,3]'],
    { auto_pad: 'SAME_UPPER', strides: [2, 2] },
    ['float32[1,4,4,4]'],
  ],
  [
    'Conv',
    ['float32[1,3,7,8]', 'float32[4,3,3,3]'],
    { auto_pad: 'VALID', strides: [2, 2] },
    ['float32[1,4,3,3]'],
  ],
  [
    'Conv',
    ['float32[1,3,height,9]', 'float32[4,3,3,3]'],
    { strides: [2, 2], pads: [1, 1, 1, 1] },
    ['float32[1,4,(height + 1)//2,5]'],
  ],
  ['Conv', ['float32[1,3,20]', 'float32[4,3,5]'], {}, ['float32[1,4,16]']],
  ['Conv', ['float32', 'float32[4,3,5]'], {}, ['float32']],
  // 2·(5 − 1) + 3 − 2 + 1 = 10
  [
    'ConvTranspose',
    ['float32[1,4,5,5]', 'float32[4,2,3,3]'],
    { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1], group: 3 },
    ['float32[1,6,10,10]'],
  ],
  [
    'ConvTranspose',
    ['float32[1,4,5,5]', 'float32[4,2,3,3]'],
    { strides: [2, 2], output_shape: [9, 10] },
    ['float32[1,2,9,10]'],
  ],
  ['ConvInteger', ['uint8[1,1,5,5]', 'uint8[2,1,2,2]'], {}, ['int32[1,2,4,4]']],
  [
    'QLinearConv',
    [
      'uint8[1,1,5,5]',
      floatScalar(1),
      'uint8[]',
      'int8[2,1,2,2]',
      floatScalar(1),
      'int8[]',
      floatScalar(1),
      'int8[]',
    ],
    {},
    ['int8[1,2,4,4]'],
  ],
  [
    'Col2Im',
    ['float32[1,12,4]', int64(4, 4), int64(2, 2)],
    { strides: [2, 2] },
    ['float32[1,3,4,4]'],
    { opset: 18 },
  ],
]);

check('pooling', [
  [
    'MaxPool',
    [X],
    { kernel_shape: [2, 2], strides: [2, 2] },
    ['float32[N,3,16,16]', 'int64[N,3,16,16]'],
  ],
  // ⌈(5 − 2) / 2⌉ + 1 = 3, the last window starting at 4 < 5
  [
    'AveragePool',
    ['float32[1,1,5]'],
    { kernel_shape: [2], strides: [2], ceil_mode: 1 },
    ['float32[1,1,3]'],
  ],
  // A window that would start behind the input and its padding is dropped: ⌈(4 + 2 − 1) / 5⌉ + 1 = 2 starts at 5 = 4 + 1
  [
    'MaxPool',
    ['float32[1,1,4]'],
    { kernel_shape: [1], strides: [5], pads: [1, 1], ceil_mode: 1 },
    ['float32[1,1,1]'],
  ],
  ['GlobalAveragePool', [X], {}, ['float32[N,3,1,1]']],
  [
    'MaxUnpool',
    ['float32[1,1,2,2]', 'int64[1,1,2,2]'],
    { kernel_shape: [2, 2], strides: [2, 2] },
    ['float32[1,1,4,4]'],
  ],
  [
    'RoiAlign',
    [X, 'float32[rois,4]', 'int64[rois]'],
    { output_height: 7, output_width: 5 },
    ['float32[rois,3,7,5]'],
  ],
]);

check('products', [
  ['MatMul', ['float32[B,8,4]', 'float32[4,5]'], {}, ['float32[B,8,5]']],
  ['MatMul', ['float32[2,1,8,4]', 'float32[3,4,5]'], {}, ['float32[2,3,8,5]']],
  ['MatMul', ['float32[4]', 'float32[3,4,5]'], {}, ['float32[3,5]']],
  ['MatMul', ['float32[4]', 'float32[4]'], {}, ['float32[]']],
  [
    'Gemm',
    ['float32[4,B]', 'float32[5,4]', 'float32[5]'],
    { transA: 1, transB: 1 },
    ['float32[B,5]'],
  ],
  ['MatMulInteger', ['uint8[B,4]', 'int8[4,5]'], {}, ['int32[B,5]']],
  [
    'Einsum',
    ['float32[B,8,S,16]', 'float32[B,8,T,16]'],
    { equation: 'bhid,bhjd->bhij' },
    ['float32[B,8,S,T]'],
  ],
  ['Einsum', ['float32[B,2,3,4]'], { equation: '...ij -> ...ji' }, ['float32[B,2,4,3]']],
  ['Einsum', ['float32[2,3]', 'float32[3,4]'], { equation: 'kj,ji' }, ['float32[4,2]']],
  ['Det', ['float32[B,3,3]'], {}, ['float32[B]']],
]);

check('normalisation', [
  [
    'LayerNormalization',
    ['float16[B,S,64]', 'float16[64]'],
    {},
    ['float16[B,S,64]', 'float32[B,S,1]', 'float32[B,S,1]'],
  ],
  [
    'BatchNormalization',
    [X, 'float32[3]', 'float32[3]', 'float32[3]', 'float32[3]'],
    {},
    ['float32[N,3,32,32]', 'float32[3]', 'float32[3]'],
  ],
  [
    'SoftmaxCrossEntropyLoss',
    ['float32[B,9,4]', 'int64[B,4]'],
    {},
    ['float32[]', 'float32[B,9,4]'],
  ],
  [
    'NegativeLogLikelihoodLoss',
    ['float32[B,9]', 'int64[B]'],
    { reduction: 'none' },
    ['float32[B]'],
  ],
]);

check('recurrent layers', [
  [
    'LSTM',
    ['float32[S,B,8]', 'float32[2,64,8]', 'float32[2,64,16]'],
    { hidden_size: 16, direction: 'bidirectional' },
    ['float32[S,2,B,16]', 'float32[2,B,16]', 'float32[2,B,16]'],
  ],
  [
    'GRU',
    ['float32[B,S,8]', 'float32[1,48,8]', 'float32[1,48,16]'],
    { layout: 1 },
    ['float32[B,S,1,16]', 'float32[B,1,16]'],
  ],
]);

check('quantization', [
  ['QuantizeLinear', [X, floatScalar(1)], {}, ['uint8[N,3,32,32]']],
  ['QuantizeLinear', [X, floatScalar(1), 'int4[]'], {}, ['int4[N,3,32,32]'], { opset: 21 }],
  ['QuantizeLinear', [X, floatScalar(1)], { output_dtype: 3 }, ['int8[N,3,32,32]'], { opset: 21 }],
  ['DequantizeLinear', ['int8[B,4]', 'float16[]'], {}, ['float16[B,4]']],
  ['DynamicQuantizeLinear', ['float32[B,4]'], {}, ['uint8[B,4]', 'float32[]', 'uint8[]']],
]);

check('attention', [
  [
    'Attention',
    [
      'float32[B,S,64]',
      'float32[B,T,32]',
      'float32[B,T,32]',
      null,
      'float32[B,4,P,8]',
      'float32[B,4,P,8]',
    ],
    { q_num_heads: 8, kv_num_heads: 4 },
    ['float32[B,S,64]', 'float32[B,4,P + T,8]', 'float32[B,4,P + T,8]', 'float32[B,8,S,P + T]'],
    { opset: 23 },
  ],
  [
    'Attention',
    ['float32[B,8,S,16]', 'float32[B,8,T,16]', 'float32[B,8,T,24]'],
    {},
    ['float32[B,8,S,24]'],
    { opset: 23 },
  ],
  [
    'RotaryEmbedding',
    ['float32[B,8,S,16]', 'float32[S,8]', 'float32[S,8]'],
    {},
    ['float32[B,8,S,16]'],
    { opset: 23 },
  ],
  [
    'TensorScatter',
    ['float32[B,8,99,16]', 'float32[B,8,S,16]'],
    {},
    ['float32[B,8,99,16]'],
    { opset: 24 },
  ],
]);
