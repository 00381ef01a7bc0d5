/** The domain com.microsoft: what the optimisers of ONNX Runtime put in place of groups of nodes. */
import type { Dim, Shape } from '../../../onnx/model';
import type { ElementType } from '../../../onnx/schema';
import type { Call, Rule, Rules } from '../call';
import { add, axisOf, broadcast, floorDivide, multiply, subtract } from '../dims';
import { scalarOf, tensorOf } from '../values';
import { convolve, convTranspose, qLinearConv, quantizedType } from './convolution';
import { creation } from './creation';
import { sameAsInput } from './elementwise';
import { image } from './image';
import { indexing } from './indexing';
import { gemmShape, matmul, matmulShape } from './matmul';
import { microsoftAttention } from './microsoftAttention';
import { concatenate, movement, unfold } from './movement';
import { layerNormalization } from './normalisation';
import { globalPool, pool } from './pooling';
import { dequantizeLinear, quantizeLinear } from './quantization';
import { recurrent } from './recurrent';
import { reduce } from './reduction';
import { requestedShape } from './reshaping';

/** Operators that work as their namesakes in another table do. */
const sharing = (from: Rules, ...names: string[]): Rules =>
  Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));

// ---- products

/** transA and transB swap the last two axes; before that, transBatchA and B move the first axis to the last but one. */
const fusedMatMul: Rule = (call) => {
  const operand = (index: number, letter: string) => {
    const shape = call.input(index).shape;
    return shape && swapped(call, shape, letter);
  };
  return call.like(matmulShape(operand(0, 'A'), operand(1, 'B')));
};

function swapped(call: Call, shape: Shape, letter: string): Shape {
  if (shape.length < 2) return shape;
  const moved = call.int(`transBatch${letter}`, 0)
    ? [...shape.slice(1, -1), shape[0]!, shape.at(-1)!]
    : shape;
  return call.int(`trans${letter}`, 0)
    ? [...moved.slice(0, -2), moved.at(-1)!, moved.at(-2)!]
    : moved;
}

/** A product with packed weights, whose width an attribute tells. */
const packedProduct =
  (width: (call: Call) => Dim): Rule =>
  (call) => {
    const a = call.input(0).shape;
    return call.like(a && [...a.slice(0, -1), width(call)]);
  };

const qGemm: Rule = (call) => tensorOf(call.has(8) ? call.type(8) : 'float32', gemmShape(call, 3));

// ---- quantized elementwise

/** Two operands, each with its scale and zero point. */
const quantizedPair: Rule = (call) =>
  call.like(broadcast(call.input(0).shape, call.input(3).shape));

/** Scale and zero point of the output, then those of each input after it. */
const qLinearConcat: Rule = (call) => {
  const parts = call.inputs.filter((_, i) => i >= 2 && (i - 2) % 3 === 0);
  return tensorOf(call.type(1), concatenate(call, parts, call.int('axis', 1)).shape);
};

// ---- convolution

const channelsLast: Rule = (call) => convolve(call, call.type(0), { channelsLast: true });

/** Pads are input 2: what they are decides the extents. */
const convTransposeWithDynamicPads: Rule = (call) => {
  return call.like(convTranspose(call).shape?.map((dim, axis) => (axis < 2 ? dim : null)));
};

const cropAndResize: Rule = (call) => {
  const size = requestedShape(call, 3);
  return call.like([call.dim(1, 0), call.dim(0, 1), size?.[0] ?? null, size?.[1] ?? null]);
};

// ---- normalisation and embedding

/** Y, mean, inverse deviation, and the sum that was normalised. */
const skipNormalization: Rule = (call) => {
  const x = call.input(0).shape;
  const statistics = tensorOf(
    'float32',
    x?.map((dim, axis) => (axis < x.length - 1 ? dim : 1)),
  );
  return [call.like(x), statistics, statistics, call.like(x)];
};

/** Y and the sum that was normalised. */
const skipGroupNorm: Rule = (call) => {
  const y = call.like(call.input(0).shape);
  return [y, y];
};

/** Ids [batch, sequence] to embeddings; a mask index per row and the sum before normalisation. */
const embedLayerNormalization: Rule = (call) => {
  const ids = call.input(0).shape;
  const width = call.dim(2, 1);
  const type = call.type(2) === 'uint8' || call.type(2) === 'int8' ? 'float32' : call.type(2);
  const embedded = tensorOf(type, [ids?.[0] ?? null, ids?.[1] ?? null, width]);
  return [embedded, tensorOf('int32', [ids?.[0] ?? null]), embedded];
};

/** Tables packed into bytes hold several values along their last axis. */
const gatherBlockQuantized: Rule = (call) => {
  const data = call.input(0).shape;
  const indices = call.input(1).shape;
  if (!data || !indices) return call.like(undefined, 2);
  const perByte = call.type(0) === 'uint8' ? 8 / call.int('bits', 4) : 1;
  const rows = data.map((dim, axis) => (axis === data.length - 1 ? multiply(dim, perByte) : dim));
  const axis = axisOf(call.int('gather_axis', 0), data.length);
  return call.like([...rows.slice(0, axis), ...indices, ...rows.slice(axis + 1)], 2);
};

const torchEmbedding: Rule = (call) => {
  const indices = call.input(1).shape;
  return call.like(indices && [...indices, call.dim(0, 1)]);
};

// ---- others

const halvedLast: Rule = (call) => {
  const x = call.input(0).shape;
  return call.like(x && [...x.slice(0, -1), floorDivide(x.at(-1) ?? null, 2)]);
};

const expandDims: Rule = (call) => {
  const x = call.input(0).shape;
  const axis = call.numbers(1)?.[0];
  if (!x || axis === undefined) return call.like(undefined);
  return call.like(x.toSpliced(axisOf(axis, x.length + 1), 0, 1));
};

const realFft: Rule = (call) => {
  const x = call.input(0).shape;
  return call.like(x && [...x.slice(0, -1), add(floorDivide(x.at(-1) ?? null, 2), 1), 2]);
};

const inverseRealFft: Rule = (call) => {
  const x = call.input(0).shape;
  return call.like(x && [...x.slice(0, -2), multiply(subtract(x.at(-2) ?? null, 1), 2)]);
};

const dropoutWithBias: Rule = (call) => {
  const data = call.input(0).shape;
  return [call.like(data), tensorOf('bool', data)];
};

/** Generated tokens: [batch, longest], or [batch, sequences, longest] of a beam search. */
const search =
  (kind: 'greedy' | 'beam'): Rule =>
  (call) => {
    const batch = call.dim(0, 0);
    const longest = call.first(1);
    if (kind === 'greedy') return tensorOf('int32', [batch, longest]);
    return tensorOf('int32', [batch, call.first(4), longest]);
  };

const matMulFpQ4: Rule = (call) =>
  call.like(matmulShape(call.input(0).shape, requestedShape(call, 2)));

const integerType = (call: Call): ElementType =>
  call.type(0) === 'uint16' && call.type(1) === 'uint16' ? 'uint32' : 'int32';

const unique1D: Rule = (call) => [
  call.like([null]),
  tensorOf('int64', call.input(0).shape),
  tensorOf('int64', [null]),
];

const SHAPED_LIKE_INPUT =
  'BiasAdd BiasGelu BiasSoftmax ComplexMul ComplexMulConj FastGelu GatedAdd GatedRMSNorm Gelu GroupNorm Inverse ' +
  'LongformerAttention MRotaryEmbedding MoE QMoE QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QOrderedGelu ' +
  'QOrderedLayerNormalization QuickGelu RotaryEmbedding';

export const microsoft: Rules = {
  ...Object.fromEntries(SHAPED_LIKE_INPUT.split(' ').map((op) => [op, sameAsInput])),
  ...sharing(creation, 'Range'),
  ...sharing(image, 'GridSample'),
  ...sharing(indexing, 'GatherND'),
  ...sharing(movement, 'Pad', 'Trilu'),
  ...microsoftAttention,

  DynamicQuantizeLSTM: recurrent,
  DynamicQuantizeMatMul: (call) => call.like(matmul(call)),
  FusedGemm: (call) => call.like(gemmShape(call)),
  FusedMatMul: fusedMatMul,
  FusedMatMulActivation: fusedMatMul,
  GemmFastGelu: (call) => call.like(matmul(call)),
  GemmFloat8: (call) => tensorOf(call.typeAttribute('dtype', 'float32'), gemmShape(call)),
  MatMulBnb4: packedProduct((call) => call.int(call.int('transB', 1) ? 'N' : 'K') ?? null),
  MatMulFpQ4: matMulFpQ4,
  MatMulInteger16: (call) => tensorOf(integerType(call), matmul(call)),
  MatMulIntegerToFloat: (call) => call.like(matmul(call), 2),
  MatMulNBits: packedProduct((call) => call.int('N') ?? null),
  QGemm: qGemm,
  QOrderedMatMul: (call) => call.like(matmul(call, 2)),
  SparseToDenseMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,

  FusedConv: (call) => convolve(call, call.type(0)),
  NhwcConv: channelsLast,
  NhwcFusedConv: channelsLast,
  QLinearConv: qLinearConv,
  ConvTransposeWithDynamicPads: convTransposeWithDynamicPads,
  NhwcMaxPool: (call) => pool(call, call.type(0), true),
  MaxpoolWithMask: (call) => pool(call, call.type(0)),
  QLinearAveragePool: (call) => pool(call, quantizedType(call, 4)),
  QLinearGlobalAveragePool: (call) => globalPool(call, quantizedType(call, 4)),
  CropAndResize: cropAndResize,

  DequantizeLinear: dequantizeLinear,
  QuantizeLinear: quantizeLinear,
  DequantizeWithOrder: (call) => tensorOf(call.typeAttribute('to', 'float32'), call.input(0).shape),
  QuantizeWithOrder: (call) => tensorOf('int8', call.input(0).shape),
  MulInteger: (call) => tensorOf('int32', broadcast(call.input(0).shape, call.input(2).shape)),
  QLinearAdd: quantizedPair,
  QLinearMul: quantizedPair,
  QLinearConcat: qLinearConcat,
  QLinearReduceMean: (call) => reduce(call),
  QLinearWhere: (call) =>
    call.like(broadcast(call.input(0).shape, call.input(1).shape, call.input(4).shape), 1),
  ReduceSumInteger: (call) => tensorOf('int32', reduce(call).shape),

  EmbedLayerNormalization: embedLayerNormalization,
  QEmbedLayerNormalization: embedLayerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  SkipLayerNormalization: skipNormalization,
  SkipSimplifiedLayerNormalization: skipNormalization,
  SkipGroupNorm: skipGroupNorm,
  GatherBlockQuantized: gatherBlockQuantized,
  TorchEmbedding: torchEmbedding,

  BiasDropout: dropoutWithBias,
  BiasSplitGelu: halvedLast,
  CDist: (call) => call.like([call.dim(0, 0), call.dim(1, 0)]),
  ExpandDims: expandDims,
  GemmaRotaryEmbedding: (call) => [call.inputs[1], call.inputs[3]],
  IsAllFinite: () => scalarOf('bool'),
  MurmurHash3: (call) =>
    tensorOf(call.int('positive', 1) ? 'uint32' : 'int32', call.input(0).shape),
  NGramRepeatBlock: (call) => call.like(call.input(1).shape, 1),
  Irfft: inverseRealFft,
  Rfft: realFft,
  UnfoldTensor: unfold,
  Unique: unique1D,
  GreedySearch: search('greedy'),
  BeamSearch: search('beam'),
};
