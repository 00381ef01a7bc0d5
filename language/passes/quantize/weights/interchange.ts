/**
 * Layers whose weight is a DequantizeLinear of operator set 21, the form that runtimes exchange: codes K × N, a scale for each
 * block of input channels and output channel, or for each output channel.
 */
import type { Graph } from '../../../graph/graph';
import { packSubBytes, packFloats } from '../../../onnx/tensor';
import { int } from '../../builder';
import { Inserter } from '../../inserter';
import type { Linear } from '../../linear';
import { removeRead, weightInputs, type WeightInput } from '../../weights';
import { blocksOf, type Rounded } from '../rounding/blockwise';
import { formatOf, type Parameters } from './parameters';

/** Symmetric codes have a sign and no zero points. */
const TYPES = {
  4: { unsigned: 'uint4', signed: 'int4' },
  8: { unsigned: 'uint8', signed: 'int8' },
} as const;

/** @throws Error for 2 bits, which have no type in that operator set */
export function dequantiseWeight(
  graph: Graph,
  layer: Linear,
  chosen: Parameters,
  rounded: () => Rounded,
  open: boolean,
): void {
  const { bits } = chosen;
  if (bits === 2) throw new Error('2 bits have no interchange form');
  const node = graph.node(layer.node)!;
  const [read] = weightInputs(graph, node) as [WeightInput];
  const { source } = read;
  const inserter = new Inserter(graph);
  const format = formatOf(chosen, layer.rows);
  const { symmetric } = format;
  const type = TYPES[bits][symmetric ? 'signed' : 'unsigned'];
  const blocks = blocksOf(layer.rows, format);
  const parameterDims = blocks === 1 ? [layer.columns] : [blocks, layer.columns];
  const codeDims = [layer.rows, layer.columns];
  const nonzeros = layer.rows * layer.columns;
  const density = open ? () => ({ nonzeros, estimated: true }) : undefined;
  const middle = 2 ** (bits - 1);
  const codes = () => (symmetric ? rounded().codes.map((code) => code - middle) : rounded().codes);
  const inputs = [
    inserter.constant(
      `${source}_codes`,
      type,
      codeDims,
      () => packSubBytes(codes(), bits),
      density,
    ),
    inserter.constant(`${source}_scales`, layer.type, parameterDims, () =>
      packFloats(rounded().scales, layer.type),
    ),
  ];
  if (!symmetric)
    inputs.push(
      inserter.constant(`${source}_zero_points`, type, parameterDims, () =>
        packSubBytes(rounded().zeroPoints, bits),
      ),
    );
  const attributes =
    blocks === 1 ? { axis: int(1) } : { axis: int(0), block_size: int(format.block) };
  const weight = graph.freshValue(`${source}_dequantized`);
  inserter.insert('DequantizeLinear', inputs, weight, node, { attributes });
  const [activation, , ...rest] = node.inputs as [string, string, ...string[]];
  const own = new Map(node.attributes);
  own.delete('transB'); // the codes lie as they multiply
  graph.replace(node.id, { inputs: [activation, weight, ...rest], attributes: own });
  removeRead(graph, read);
}
