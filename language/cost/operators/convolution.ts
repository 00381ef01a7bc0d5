/** Convolutions. MACs by PyTorch's convention: every output times every tap, padding included. */
import { intAttribute, intsAttribute, stringAttribute } from '../../graph/graph';
import type { ConvLoops, PoolLoops } from '../workload';
import {
  NotKnown,
  product,
  REQUANTISE_OPS,
  type Count,
  type NodeReading,
  type Operator,
} from './operator';

interface ConvForm {
  readonly weight: number;
  readonly bias?: number;
  /** A tensor that is added to the result. */
  readonly sum?: number;
  readonly transposed?: boolean;
  /** Channels are the last axis of input and output. */
  readonly channelsLast?: boolean;
  /** Arithmetic beside the products, per output element. */
  readonly extraOps?: number;
}

/** The window of a pooling; one over the whole picture where no kernel is given. */
export function poolLoops(node: NodeReading, channelsLast: boolean): PoolLoops | undefined {
  if (node.input(0).length < 3) return undefined;
  const [batch, channels, input] = splitLayout(node.input(0), channelsLast);
  const [, , output] = splitLayout(node.output(), channelsLast);
  const kernel = intsAttribute(node.node, 'kernel_shape') ?? input;
  if (kernel.length !== input.length || output.length !== input.length) return undefined;
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node.node, 'strides') ?? ones;
  const dilations = intsAttribute(node.node, 'dilations') ?? ones;
  const extents = kernel.map((size, axis) => (size - 1) * (dilations[axis] ?? 1) + 1);
  const paddedInput = padded(node, { input, output, strides, extents });
  return { batch, channels, kernel, input, paddedInput, output, strides };
}

const conv =
  (form: ConvForm) =>
  (node: NodeReading): Count => {
    const loops = convLoops(node, form);
    const { batch, groups, inputChannels, outputChannels } = loops;
    const perPixel = (inputChannels / groups) * outputChannels * product(loops.kernel);
    const pixels = product(loops.transposed ? loops.input : loops.output);
    const outputs = batch * outputChannels * product(loops.output);
    const additions = [form.bias, form.sum].filter((i) => i !== undefined && node.has(i)).length;
    const activation = node.node.attributes.has('activation') ? 1 : 0;
    return {
      macs: batch * pixels * perPixel,
      ops: outputs * (additions + activation + (form.extraOps ?? 0)),
      conv: loops,
      data: 0,
      weight: form.weight,
    };
  };

function convLoops(node: NodeReading, form: ConvForm): ConvLoops {
  const record = node.node;
  const channelsLast = form.channelsLast === true || intAttribute(record, 'channels_last', 0) === 1;
  const [batch, inputChannels, input] = splitLayout(node.input(0), channelsLast);
  const [, outputChannels, output] = splitLayout(node.output(), channelsLast);
  const rank = input.length;
  const weight = node.input(form.weight);
  // NHWC kernels of ONNX Runtime keep the weight as M×H×W×C.
  const kernel =
    intsAttribute(record, 'kernel_shape') ??
    (form.channelsLast ? weight.slice(1, 1 + rank) : weight.slice(2));
  if (rank === 0 || kernel.length !== rank || output.length !== rank)
    throw new NotKnown(`its kernel of ${kernel.length} axes does not fit ${rank} spatial axes`);
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(record, 'strides') ?? ones;
  const dilations = intsAttribute(record, 'dilations') ?? ones;
  const extents = kernel.map((size, axis) => (size - 1) * (dilations[axis] ?? 1) + 1);
  return {
    batch,
    groups: intAttribute(record, 'group', 1),
    inputChannels,
    outputChannels,
    kernel,
    input,
    paddedInput: padded(node, { input, output, strides, extents }),
    output,
    strides,
    dilations,
    transposed: form.transposed ?? false,
  };
}

function splitLayout(
  shape: readonly number[],
  channelsLast: boolean,
): [batch: number, channels: number, spatial: readonly number[]] {
  if (shape.length < 3) throw new NotKnown(`its input has ${shape.length} axes`);
  const batch = shape[0]!;
  return channelsLast
    ? [batch, shape.at(-1)!, shape.slice(1, -1)]
    : [batch, shape[1]!, shape.slice(2)];
}

interface Window {
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly strides: readonly number[];
  /** Of the dilated kernel. */
  readonly extents: readonly number[];
}

function padded(node: NodeReading, { input, output, strides, extents }: Window): number[] {
  const auto = stringAttribute(node.node, 'auto_pad', 'NOTSET');
  const pads = intsAttribute(node.node, 'pads') ?? [];
  return input.map((size, axis) => {
    if (auto === 'VALID') return size;
    if (auto.startsWith('SAME'))
      return Math.max(size, ((output[axis] ?? 1) - 1) * (strides[axis] ?? 1) + extents[axis]!);
    return size + (pads[axis] ?? 0) + (pads[axis + input.length] ?? 0);
  });
}

/** Bilinear sampling of one tap: four products, three additions. */
const BILINEAR_OPS = 7;

function deformable(node: NodeReading): Count {
  const count = conv({ weight: 1, bias: 3 })(node);
  const taps = count.conv!.batch * product(count.conv!.output) * product(count.conv!.kernel);
  return { ...count, ops: count.ops + taps * count.conv!.inputChannels * BILINEAR_OPS };
}

export const CONVOLUTIONS: Readonly<Record<string, Operator>> = {
  Conv: { kind: 'conv', count: conv({ weight: 1, bias: 2 }), weights: [1, 2] },
  ConvTranspose: {
    kind: 'conv',
    count: conv({ weight: 1, bias: 2, transposed: true }),
    weights: [1, 2],
  },
  ConvInteger: { kind: 'conv', count: conv({ weight: 1 }), weights: [1], companions: [2, 3] },
  QLinearConv: {
    kind: 'conv',
    count: conv({ weight: 3, bias: 8, extraOps: REQUANTISE_OPS }),
    weights: [3, 8],
    companions: [4, 5],
    settings: [1, 2, 6, 7],
  },
  DeformConv: { kind: 'conv', count: deformable, weights: [1, 3] },
  'com.microsoft:FusedConv': {
    kind: 'conv',
    count: conv({ weight: 1, bias: 2, sum: 3 }),
    weights: [1, 2],
  },
  'com.microsoft:NhwcFusedConv': {
    kind: 'conv',
    count: conv({ weight: 1, bias: 2, sum: 3, channelsLast: true }),
    weights: [1, 2],
  },
  'com.microsoft:NhwcConv': {
    kind: 'conv',
    count: conv({ weight: 1, bias: 2, channelsLast: true }),
    weights: [1, 2],
  },
  'com.microsoft:ConvTransposeWithDynamicPads': {
    kind: 'conv',
    count: conv({ weight: 1, bias: 3, transposed: true }),
    weights: [1, 3],
    settings: [2],
  },
  'com.microsoft:QLinearConv': {
    kind: 'conv',
    count: conv({ weight: 3, bias: 8, extraOps: REQUANTISE_OPS }),
    weights: [3, 8],
    companions: [4, 5],
    settings: [1, 2, 6, 7],
  },
};
