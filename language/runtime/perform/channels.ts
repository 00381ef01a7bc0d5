/** Which axis of a value holds its channels. */
import type { Graph, Node } from '../../graph/graph';

/** Operators whose first input and output have their channels on axis 1. */
const CHANNELS_FIRST =
  /^(QLinear)?(Conv|ConvTranspose|ConvInteger|FusedConv|BatchNormalization|InstanceNormalization|GroupNormalization|LRN|MaxPool|AveragePool|LpPool|MaxRoiPool|Global\w*Pool|DepthToSpace|SpaceToDepth|DeformConv)$/;
/** Operators that leave every element where it is. */
const IN_PLACE = new Set([
  ...['Abs', 'Add', 'Cast', 'Ceil', 'Clip', 'Concat', 'DequantizeLinear', 'Div', 'Dropout', 'Elu'],
  ...['Erf', 'Exp', 'Floor', 'Gelu', 'HardSigmoid', 'HardSwish', 'Identity', 'LeakyRelu', 'Log'],
  ...['Max', 'Min', 'Mish', 'Mul', 'Neg', 'PRelu', 'Pad', 'Pow', 'QuantizeLinear', 'Relu'],
  ...['Resize', 'Round', 'Selu', 'Sigmoid', 'Softplus', 'Sqrt', 'Sub', 'Sum', 'Swish', 'Tanh'],
  ...['Upsample', 'Where'],
]);
/** How many values are looked at in search of an operator that tells. */
const MAX_STEPS = 64;

/** Axis 1 of what convolutions and their like read and make, be it through element-wise operators; else the last one. */
export function channelAxis(graph: Graph, value: string, rank: number): number {
  const last = Math.max(0, rank - 1);
  return rank > 2 && meetsConvolution(graph, value) ? 1 : last;
}

function meetsConvolution(graph: Graph, value: string): boolean {
  const seen = new Set([value]);
  const queue = [value];
  for (let step = 0; step < queue.length && step < MAX_STEPS; step++) {
    const current = queue[step]!;
    for (const node of neighbours(graph, current)) {
      if (node.domain !== 'com.microsoft.nhwc' && CHANNELS_FIRST.test(node.op)) {
        if (node.inputs[0] === current || node.outputs[0] === current) return true;
      } else if (IN_PLACE.has(node.op)) {
        for (const next of [...node.inputs, ...node.outputs])
          if (next && !seen.has(next) && !graph.constant(next)) {
            seen.add(next);
            queue.push(next);
          }
      }
    }
  }
  return false;
}

function neighbours(graph: Graph, value: string): readonly Node[] {
  const producer = graph.producer(value);
  return producer ? [producer, ...graph.consumers(value)] : graph.consumers(value);
}
