/** Operators that move, convert or merely rename data. */
import { intAttribute } from '../../graph/graph';
import type { WorkloadKind } from '../workload';
import { product, type Count, type NodeReading, type Operator } from './operator';

const nothing = (): Count => ({ ops: 0 });
const selects = (): Count => ({ ops: 0, selects: true });

/** Rows of a table of codes, several of them in a byte where they are bytes. */
function looksUpCodes(node: NodeReading): Count {
  const type = node.inputType(0) ?? 'uint8';
  const bits = type === 'uint8' ? intAttribute(node.node, 'bits', 4) : 0;
  const packed = bits === 2 ? 'uint2' : bits === 4 ? 'uint4' : type;
  const elements = product(node.input(0)) * (packed === type ? 1 : 8 / bits);
  const ops = 2 * product(node.output());
  return { ops, selects: true, weight: 0, packed: { elements, type: packed } };
}

const perOutput = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.output()) });
const perInput = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.input(0)) });

const all = (
  kind: WorkloadKind,
  ops: readonly string[],
  count: Operator['count'],
  inputs: Omit<Operator, 'kind' | 'count'> = {},
): Record<string, Operator> =>
  Object.fromEntries(ops.map((op) => [op, { kind, count, ...inputs }]));

/** Only the shape or the name of the data changes, or nothing at run time. */
const VIEWS = [
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Dropout',
  'Shape',
  'Size',
  'Constant',
  'Optional',
  'OptionalGetElement',
  'OptionalHasElement',
  'SequenceConstruct',
  'SequenceEmpty',
  'SequenceLength',
  'com.microsoft:ExpandDims',
];

const COPIES = [
  'Transpose',
  'Concat',
  'Split',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
  'ReverseSequence',
  'Trilu',
  'EyeLike',
  'ConcatFromSequence',
  'SplitToSequence',
  'SequenceInsert',
  'SequenceErase',
  'SequenceAt',
  'Col2Im',
  'NonZero',
  'com.microsoft:QLinearConcat',
  'ConstantOfShape',
  'Range',
];

const SELECTIONS = [
  'Slice',
  'Gather',
  'GatherElements',
  'GatherND',
  'Compress',
  'com.microsoft:GatherND',
];

/** Drawn at random: about ten operations for a number. */
const RANDOM = [
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
];

export const MOVEMENT: Readonly<Record<string, Operator>> = {
  ...all('free', VIEWS, nothing),
  ...all('movement', COPIES, nothing),
  ...all('movement', SELECTIONS, selects),
  'com.microsoft:GatherBlockQuantized': {
    kind: 'movement',
    count: looksUpCodes,
    weights: [0],
    companions: [2, 3],
  },
  ...all('elementwise', RANDOM, perOutput(10)),
  Pad: { kind: 'movement', count: nothing, settings: [1, 2, 3] },
  CenterCropPad: { kind: 'movement', count: selects, settings: [1] },
  OneHot: { kind: 'movement', count: nothing, settings: [1, 2] },
  ScatterElements: { kind: 'movement', count: nothing },
  ScatterND: { kind: 'movement', count: nothing },
  Scatter: { kind: 'movement', count: nothing },
  TensorScatter: { kind: 'movement', count: nothing },
  Cast: { kind: 'conversion', count: perOutput(1) },
  CastLike: { kind: 'conversion', count: perOutput(1), settings: [1] },
  BitCast: { kind: 'free', count: nothing },
  ...all('conversion', ['QuantizeLinear', 'com.microsoft:QuantizeLinear'], perOutput(4), {
    settings: [1, 2],
  }),
  ...all('conversion', ['DequantizeLinear', 'com.microsoft:DequantizeLinear'], perOutput(2), {
    settings: [1, 2],
  }),
  DynamicQuantizeLinear: { kind: 'conversion', count: perInput(6) },
};
