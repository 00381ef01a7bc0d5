/** Elementwise arithmetic, normalisation and softmax: so many operations per element. */
import { product, type NodeReading, type Operator } from './operator';

/**
 * Operations per output element, by the defining formula of the ONNX standard; an elementary function (exp, erf, tanh,
 * sine, …) counts one.
 */
const PER_ELEMENT: Readonly<Record<string, number>> = {
  Abs: 1,
  Acos: 1,
  Acosh: 1,
  Add: 1,
  And: 1,
  Asin: 1,
  Asinh: 1,
  Atan: 1,
  Atanh: 1,
  BitShift: 1,
  BitwiseAnd: 1,
  BitwiseNot: 1,
  BitwiseOr: 1,
  BitwiseXor: 1,
  Ceil: 1,
  Celu: 5,
  Clip: 2,
  Cos: 1,
  Cosh: 1,
  Div: 1,
  Elu: 3,
  Equal: 1,
  Erf: 1,
  Exp: 1,
  Floor: 1,
  Gelu: 5,
  Greater: 1,
  GreaterOrEqual: 1,
  HardSigmoid: 4,
  HardSwish: 5,
  IsInf: 1,
  IsNaN: 1,
  LeakyRelu: 2,
  Less: 1,
  LessOrEqual: 1,
  Log: 1,
  Mish: 5,
  Mod: 1,
  Mul: 1,
  Neg: 1,
  Not: 1,
  Or: 1,
  PRelu: 2,
  Pow: 1,
  Reciprocal: 1,
  Relu: 1,
  RotaryEmbedding: 3,
  Round: 1,
  Selu: 4,
  Shrink: 2,
  Sigmoid: 4,
  Sign: 1,
  Sin: 1,
  Sinh: 1,
  Softplus: 3,
  Softsign: 3,
  Sqrt: 1,
  Sub: 1,
  Swish: 5,
  Tan: 1,
  Tanh: 1,
  ThresholdedRelu: 1,
  Where: 1,
  Xor: 1,
  'com.microsoft:BiasAdd': 2,
  'com.microsoft:BiasGelu': 6,
  'com.microsoft:BiasSplitGelu': 7,
  'com.microsoft:FastGelu': 8,
  'com.microsoft:Gelu': 5,
  'com.microsoft:QuickGelu': 6,
  'com.microsoft:RotaryEmbedding': 3,
};

/** Operations per element of the first input. */
const NORMALISATIONS: Readonly<Record<string, Omit<Operator, 'count' | 'kind'> & { ops: number }>> =
  {
    // Running statistics fold into one scale and one shift.
    BatchNormalization: { ops: 2, weights: [1, 2], companions: [3, 4] },
    // mean, subtract, square, sum, divide; scale, shift
    LayerNormalization: { ops: 7, weights: [1, 2] },
    InstanceNormalization: { ops: 7, weights: [1, 2] },
    GroupNormalization: { ops: 7, weights: [1, 2] },
    RMSNormalization: { ops: 4, weights: [1] },
    MeanVarianceNormalization: { ops: 5 },
    LpNormalization: { ops: 3 },
    SimplifiedLayerNormalization: { ops: 4, weights: [1] },
    'com.microsoft:SimplifiedLayerNormalization': { ops: 4, weights: [1] },
    'com.microsoft:SkipLayerNormalization': { ops: 8, weights: [2, 3, 4] },
    'com.microsoft:SkipSimplifiedLayerNormalization': { ops: 5, weights: [2, 3] },
    'com.microsoft:SkipGroupNorm': { ops: 8, weights: [1, 2, 4] },
    'com.microsoft:GroupNorm': { ops: 7, weights: [1, 2] },
  };

/** maximum, subtract, exp, sum, divide */
const SOFTMAX_OPS = 5;

const perOutput = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.output()) });
const perInput = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.input(0)) });

/** Max, Min, Sum and Mean take any number of inputs. */
const variadic = (node: NodeReading) => ({
  ops: Math.max(1, node.node.inputs.length - 1) * product(node.output()),
});

/** Quantised arithmetic dequantises its operands and requantises its result. */
const QUANTISED_OPS = 8;

const BINARY_QUANTISED = { weights: [0, 3], companions: [1, 2, 4, 5], settings: [6, 7] };
const UNARY_QUANTISED = { settings: [1, 2, 3, 4] };

function elementwise(op: string, ops: number): Operator {
  const operator: Operator = { kind: 'elementwise', count: perOutput(ops) };
  if (op === 'Clip') return { ...operator, settings: [1, 2] };
  if (op === 'PRelu') return { ...operator, weights: [1] };
  return operator;
}

export const POINTWISE: Readonly<Record<string, Operator>> = {
  ...Object.fromEntries(Object.entries(PER_ELEMENT).map(([op, ops]) => [op, elementwise(op, ops)])),
  ...Object.fromEntries(
    Object.entries(NORMALISATIONS).map(([op, { ops, ...inputs }]): [string, Operator] => [
      op,
      { kind: 'normalisation', count: perInput(ops), ...inputs },
    ]),
  ),
  // Each element against its neighbours across channels: square, sum, power, multiply.
  LRN: { kind: 'normalisation', count: perInput(8) },
  Max: { kind: 'elementwise', count: variadic },
  Min: { kind: 'elementwise', count: variadic },
  Sum: { kind: 'elementwise', count: variadic },
  Mean: { kind: 'elementwise', count: variadic },
  Softmax: { kind: 'softmax', count: perInput(SOFTMAX_OPS) },
  LogSoftmax: { kind: 'softmax', count: perInput(SOFTMAX_OPS) },
  Hardmax: { kind: 'softmax', count: perInput(2) },
  'com.microsoft:QLinearSoftmax': {
    kind: 'softmax',
    count: perInput(SOFTMAX_OPS + QUANTISED_OPS),
    ...UNARY_QUANTISED,
  },
  'com.microsoft:QLinearAdd': {
    kind: 'elementwise',
    count: perOutput(1 + QUANTISED_OPS),
    ...BINARY_QUANTISED,
  },
  'com.microsoft:QLinearMul': {
    kind: 'elementwise',
    count: perOutput(1 + QUANTISED_OPS),
    ...BINARY_QUANTISED,
  },
  'com.microsoft:QLinearSigmoid': {
    kind: 'elementwise',
    count: perOutput(1),
    ...UNARY_QUANTISED,
  },
  'com.microsoft:QLinearLeakyRelu': {
    kind: 'elementwise',
    count: perOutput(1),
    ...UNARY_QUANTISED,
  },
  'com.microsoft:EmbedLayerNormalization': {
    kind: 'normalisation',
    count: perOutput(10),
    weights: [2, 3, 4, 5, 6],
  },
};
