/** Tables of embeddings in a few bits, as GatherBlockQuantized of ONNX Runtime: each row in blocks, rounded to nearest. */
import type { Facts } from '../../../graph/facts';
import { intAttribute, type Graph, type Node } from '../../../graph/graph';
import type { Tensor } from '../../../onnx/model';
import { intAttributes } from '../../builder';
import { Inserter } from '../../inserter';
import { matrixOf } from '../../linear';
import { isView } from '../../weights';
import { roundToNearest, type Rounded } from '../rounding/blockwise';
import {
  kernelBlock,
  packCodes,
  packedShape,
  packScales,
  packZeroPoints,
} from '../rounding/packing';
import { formatOf, type Parameters } from './parameters';

/** A table whose rows are looked up. */
export interface Table {
  readonly node: string;
  readonly tensor: Tensor;
  readonly entries: number;
  readonly width: number;
  readonly type: 'float32' | 'float16';
}

/** The table at a node, the reason why it is none, or undefined where nobody would expect one. */
export function tableOf(graph: Graph, facts: Facts, node: Node): Table | string | undefined {
  if (node.op === 'GatherBlockQuantized') return 'its table is quantised already';
  if (node.op !== 'Gather' || node.domain !== '') return undefined;
  const [table = '', indices = ''] = node.inputs;
  const tensor = graph.constant(table);
  if (tensor?.dims.length !== 2 || graph.constant(indices)) return undefined;
  const { elementType } = tensor;
  if (elementType !== 'float32' && elementType !== 'float16') return undefined;
  if (![0, -2].includes(intAttribute(node, 'axis', 0))) return undefined;
  if (facts.value(indices).shape?.length === 0) return undefined;
  if (rotates(graph, node)) return 'it is multiplied with, as tables of rotations are';
  const [entries, width] = tensor.dims as [number, number];
  return { node: node.id, tensor, entries, width, type: elementType };
}

/** Whether what is looked up multiplies what was made without it: sines and cosines of positions, gates. */
function rotates(graph: Graph, lookup: Node): boolean {
  const values = [lookup.outputs[0]!];
  for (const value of values)
    for (const reader of graph.consumers(value)) {
      const others = reader.inputs.filter((input) => input !== value && !graph.constant(input));
      if (reader.op === 'Mul' && others.some((other) => !dependsOn(graph, other, lookup)))
        return true;
      if (isView(reader) || PASSES_ON.has(reader.op))
        for (const output of reader.outputs) if (!values.includes(output)) values.push(output);
    }
  return false;
}

const PASSES_ON = new Set(['Cast', 'Slice', 'Concat', 'Split', 'Expand', 'Neg', 'Tile']);

function dependsOn(graph: Graph, value: string, node: Node): boolean {
  const seen = new Set([value]);
  for (const name of seen) {
    const producer = graph.producer(name);
    if (producer === node) return true;
    for (const input of producer?.inputs ?? []) seen.add(input);
  }
  return false;
}

/** Why a table stays as it is; undefined where it can be written. */
export function whyKept(
  graph: Graph,
  { tensor, width }: Table,
  chosen: Parameters,
): string | undefined {
  if (chosen.embeddings === 'keep')
    return 'it is a table of embeddings; `embeddings: quantise` takes it';
  if (chosen.format === 'qdq')
    return 'DequantizeLinear would restore the whole table in every run; `format: nbits` looks rows up';
  if (width % (8 / chosen.bits) !== 0)
    return `rows of ${width} elements do not end with a byte in ${chosen.bits} bits`;
  const readers = graph.consumers(tensor.name).filter(({ op }) => op !== 'Gather');
  return readers.length > 0
    ? `${readers[0]!.id} reads the same weights and keeps them, so that the file would grow; \`head: quantise\` takes both`
    : undefined;
}

/** Rows in blocks, as columns of a matrix whose input channels are the elements of a row. */
export function roundTable(
  { node, tensor, entries, width, type }: Table,
  chosen: Parameters,
): Rounded {
  const layout = { node, activation: '', rows: width, columns: entries, transposed: true, type };
  return roundToNearest(matrixOf(tensor, layout), formatOf(chosen, width));
}

export function quantiseTable(
  graph: Graph,
  table: Table,
  chosen: Parameters,
  rounded: () => Rounded,
): void {
  const { entries, width, type, tensor } = table;
  const node = graph.node(table.node)!;
  const inserter = new Inserter(graph);
  const format = formatOf(chosen, width);
  const shape = packedShape(width, entries, chosen.bits, format.block);
  const { name } = tensor;
  const rowBytes = (width * chosen.bits) / 8;
  const inputs = [
    inserter.constant(`${name}_codes`, 'uint8', [entries, rowBytes], () =>
      withoutPadding(packCodes(rounded()), entries, rowBytes),
    ),
    node.inputs[1]!,
    inserter.constant(`${name}_scales`, type, shape.scales, () => packScales(rounded(), type)),
  ];
  if (!format.symmetric)
    inputs.push(
      inserter.constant(`${name}_zero_points`, 'uint8', shape.zeroPoints, () =>
        packZeroPoints(rounded()),
      ),
    );
  graph.requireOpset('com.microsoft', 1);
  graph.replace(node.id, {
    op: 'GatherBlockQuantized',
    domain: 'com.microsoft',
    inputs,
    attributes: intAttributes({
      gather_axis: 0,
      quantize_axis: 1,
      block_size: kernelBlock(format.block),
      bits: chosen.bits,
    }),
  });
  graph.removeUnused([name]);
}

/** The kernel of layers fills the last block of a row, the one of tables does not. */
function withoutPadding(codes: Uint8Array, entries: number, rowBytes: number): Uint8Array {
  const padded = codes.length / entries;
  if (padded === rowBytes) return codes;
  const out = new Uint8Array(entries * rowBytes);
  for (let entry = 0; entry < entries; entry++)
    out.set(codes.subarray(entry * padded, entry * padded + rowBytes), entry * rowBytes);
  return out;
}
