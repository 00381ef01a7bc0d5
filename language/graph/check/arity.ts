/** How many inputs the operators of the default domain need, and the most that they take, over all versions. */
import type { NodeRecord } from '../../onnx/model';

/** Operators by what they need and take. */
const INPUTS: Readonly<Record<string, string>> = {
  '0-0': 'Constant RandomNormal RandomUniform SequenceEmpty',
  '0-1': 'Optional',
  '1-1':
    'Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Bernoulli BitCast BitwiseNot Cast Ceil Celu ' +
    'ConstantOfShape Cos Cosh DepthToSpace Det DynamicQuantizeLinear Elu Erf Exp EyeLike Flatten Floor Gelu ' +
    'GlobalAveragePool GlobalLpPool GlobalMaxPool HardSigmoid HardSwish Hardmax Identity If IsInf IsNaN LRN LeakyRelu ' +
    'Log LogSoftmax LpNormalization LpPool MaxPool MeanVarianceNormalization Mish Multinomial Neg NonZero Not ' +
    'RandomNormalLike RandomUniformLike Reciprocal Relu Round Selu SequenceLength Shape Shrink Sigmoid Sign Sin Sinh ' +
    'Size Softmax Softplus Softsign SpaceToDepth Sqrt Swish Tan Tanh ThresholdedRelu Transpose Unique',
  '1-2':
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ' +
    'ReduceSumSquare Reshape SequenceErase Split SplitToSequence Squeeze TopK Trilu Unsqueeze Upsample',
  '1-3': 'Clip DFT Dropout',
  '1-4': 'Pad Resize',
  '1-5': 'Slice',
  '1-*': 'Concat Max Mean Min Scan SequenceConstruct Sum',
  '2-2':
    'Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CenterCropPad Compress CumProd CumSum Div ' +
    'Equal Expand Gather GatherElements GatherND Greater GreaterOrEqual GridSample Less LessOrEqual MatMul MaxRoiPool ' +
    'Mod Mul Or PRelu Pow RMSNormalization ReverseSequence SequenceAt Sub Xor',
  '2-3':
    'Conv ConvTranspose DequantizeLinear Gemm LayerNormalization MaxUnpool QuantizeLinear SequenceInsert Tile',
  '2-4': 'ConvInteger MatMulInteger STFT',
  '2-5': 'NonMaxSuppression',
  '0-*': 'Loop',
  '3-3':
    'Col2Im GroupNormalization InstanceNormalization OneHot Range RoiAlign Scatter ScatterElements ScatterND Where',
  '3-4': 'RotaryEmbedding TensorScatter',
  '3-5': 'DeformConv',
  '3-6': 'GRU RNN',
  '3-7': 'Attention',
  '3-8': 'LSTM',
  '5-5': 'BatchNormalization',
  '8-8': 'QLinearMatMul',
  '8-9': 'QLinearConv',
};

interface Arity {
  readonly needs: number;
  readonly takes: number;
}

const ARITIES: ReadonlyMap<string, Arity> = new Map(
  Object.entries(INPUTS).flatMap(([range, ops]) => {
    const [needs = '', takes = ''] = range.split('-');
    const arity = { needs: Number(needs), takes: takes === '*' ? Infinity : Number(takes) };
    return ops.split(' ').map((op): [string, Arity] => [op, arity]);
  }),
);

export function arityProblems({ op, domain, inputs, outputs }: NodeRecord): string[] {
  if (op === '') return ['it has no operator'];
  const problems = outputs.some((output) => output !== '') ? [] : ['it has no output'];
  const arity = domain === '' ? ARITIES.get(op) : undefined;
  if (!arity) return problems;
  for (let i = 0; i < arity.needs; i++)
    if (!inputs[i]) problems.push(`its input ${i}, which ${op} needs, is missing`);
  if (inputs.length > arity.takes)
    problems.push(`it has ${inputs.length} inputs, and ${op} takes ${arity.takes}`);
  return problems;
}
