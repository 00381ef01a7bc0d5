/** Layers as MatMulNBits of ONNX Runtime. */
import type { Graph, Node } from '../../../graph/graph';
import type { Attribute } from '../../../onnx/model';
import type { ElementType } from '../../../onnx/schema';
import { elementCount } from '../../../onnx/tensor';
import { intAttributes } from '../../builder';
import { Inserter } from '../../inserter';
import type { Linear } from '../../linear';
import { removeRead, weightInputs, type WeightInput } from '../../weights';
import type { Rounded } from '../rounding/blockwise';
import {
  kernelBlock,
  packCodes,
  packedShape,
  packScales,
  packRealZeroPoints,
  packZeroPoints,
} from '../rounding/packing';
import { formatOf, type Rounding } from './parameters';

/** Writes a layer as MatMulNBits; a bias is added behind it. */
export function quantiseLayer(
  graph: Graph,
  layer: Linear,
  chosen: Rounding,
  rounded: () => Rounded,
  open: boolean,
): void {
  const { rows, columns, type } = layer;
  const node = graph.node(layer.node)!;
  const [activation, , bias] = node.inputs as [string, string, string?];
  const [read] = weightInputs(graph, node) as [WeightInput];
  const { source } = read;
  const format = formatOf(chosen, rows);
  const shape = packedShape(rows, columns, chosen.bits, format.block);
  const inserter = new Inserter(graph);
  const write = (
    what: string,
    elementType: ElementType,
    dims: readonly number[],
    compute: () => Uint8Array,
  ) => {
    const density = () => ({ nonzeros: elementCount(dims), estimated: true });
    const name = `${source}_${what}`;
    return inserter.constant(name, elementType, dims, compute, open ? density : undefined);
  };
  const inputs = [
    activation,
    write('codes', 'uint8', shape.codes, () => packCodes(rounded())),
    write('scales', type, shape.scales, () => packScales(rounded(), type)),
  ];
  if (chosen.method === 'hqq')
    inputs.push(
      write('zero_points', type, shape.scales, () => packRealZeroPoints(rounded(), type)),
    );
  else if (!format.symmetric)
    inputs.push(write('zero_points', 'uint8', shape.zeroPoints, () => packZeroPoints(rounded())));
  graph.requireOpset(MICROSOFT, 1);
  graph.replace(node.id, {
    op: 'MatMulNBits',
    domain: MICROSOFT,
    inputs,
    attributes: attributesOf(layer, chosen, kernelBlock(format.block)),
  });
  if (bias) addBias(graph, node, bias);
  removeRead(graph, read);
}

const MICROSOFT = 'com.microsoft';

/** Activations in the model's precision, or rounded to int8 per block as the kernel runs. */
const ACCURACY = { exact: 1, fast: 4 } as const;

function attributesOf(
  { rows, columns }: Linear,
  { bits, arithmetic, method }: Rounding,
  block: number,
): ReadonlyMap<string, Attribute> {
  const numbers = {
    K: rows,
    N: columns,
    bits,
    block_size: block,
    // The exact kernel for 8 bits unpacks all weights at every run: a hundred times slower than no compression.
    accuracy_level: bits === 8 ? ACCURACY.fast : ACCURACY[method === 'hqq' ? 'exact' : arithmetic],
  };
  return intAttributes(numbers);
}

function addBias(graph: Graph, node: Node, bias: string): void {
  const output = node.outputs[0]!;
  const product = graph.freshValue(`${output}_product`);
  const layer = graph.renameOutput(node.id, output, product);
  graph.insert({ op: 'Add', inputs: [product, bias], outputs: [output] }, layer);
}
