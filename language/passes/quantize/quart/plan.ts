/** Layer after layer, each seeing what those before it make once they are in integers. */
import { throwIfCancelled } from '../../../errors';
import type { Graph } from '../../../graph/graph';
import type { Activations, Evidence, StepRequest } from '../../pass';
import { formOf, groupsOf, mayPolish, type Group, type ShapedLayer } from './arrangement';
import { compensated, gramOf } from './compensate';
import {
  encodeCoded,
  encodeQuantiser,
  keyOf,
  type Coded,
  type Decisions,
  type LayerDecision,
  type QuantiserDecision,
} from './decisions';
import { fisherOf } from './fisher';
import type { Parameters } from './parameters';
import { dequantised, fitQuantiser, type Quantiser } from './polish';
import {
  gridOf,
  nearestCodes,
  reconstructedCodes,
  type FisherBlock,
  type Grid,
} from './reconstruct';
import { groupMatrix, rowsOf, type Rows } from './rows';
import { FewBitsWriter } from './write';

/** Samples that activations are looked at on, and rows of a layer's inputs. */
const SAMPLES = 32;
const ROWS = 6144;

export async function planQuart(
  request: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { graph, facts, sites, parameters: chosen } = request;
  const { groups } = groupsOf(graph, facts, sites);
  const values: Record<string, QuantiserDecision> = {};
  const layers: Record<string, LayerDecision> = {};
  const current = graph.fork();
  const writer = new FewBitsWriter(current, false);
  for (const group of groups) {
    const { value } = group;
    const read = async (from: Graph) =>
      (await evidence.activations([value], SAMPLES, from)).get(value)!;
    const reading = await read(current);
    const real = chosen.compensate ? await read(graph) : reading;
    const quantiser = quantiserFor(group, reading, chosen);
    values[keyOf(group)] = encodeQuantiser(quantiser);
    const rounded = dequantised(reading, quantiser);
    for (const layer of group.layers) {
      evidence.progress(layer.node);
      throwIfCancelled(evidence.signal);
      const fisher =
        chosen.reconstruct === 'fisher' && !group.isEnd
          ? await fisherOf(graph, facts, layer.node, group.axis, evidence)
          : undefined;
      const coded = codeLayer(layer, group, { real, rounded, fisher, chosen });
      layers[layer.node] = encodeCoded(coded);
      writer.quantiseLayer(layer, layer.shape, coded.grid.bits, () => coded);
    }
    writer.quantiseActivation(group, quantiser.form, () => quantiser);
  }
  return { values, layers, open: false };
}

/** Polished where that lowers the error of the products of all layers that read the value. */
function quantiserFor(group: Group, reading: Activations, chosen: Parameters): Quantiser {
  const plain = fitQuantiser(reading, formOf(group, chosen, false));
  if (!mayPolish(group, chosen)) return plain;
  const polished = fitQuantiser(reading, formOf(group, chosen, true));
  const [without, withPolish] = [plain, polished].map((quantiser) =>
    productError(group, reading, dequantised(reading, quantiser)),
  ) as [number, number];
  return withPolish < without ? polished : plain;
}

/** Rows that tell which of two quantisers is better. */
const FEW_ROWS = 1024;

/** ‖(x − x̂)W‖² over all layers of a group. */
function productError(group: Group, real: Activations, rounded: Activations): number {
  let error = 0;
  for (const layer of group.layers)
    for (let g = 0; g < layer.shape.groups; g++) {
      const { rows, columns, values } = groupMatrix(layer, layer.shape, g);
      const [a, b] = [real, rounded].map((x) => rowsOf(x, layer.shape, g, FEW_ROWS)) as [
        Rows,
        Rows,
      ];
      const product = new Float64Array(columns);
      for (let row = 0; row < a.count; row++) {
        product.fill(0);
        for (let k = 0; k < rows; k++) {
          const lost = a.data[row * rows + k]! - b.data[row * rows + k]!;
          for (let n = 0; n < columns; n++) product[n]! += lost * values[k * columns + n]!;
        }
        for (const value of product) error += value * value;
      }
    }
  return error;
}

interface Looked {
  readonly real: Activations;
  readonly rounded: Activations;
  readonly fisher: readonly FisherBlock[] | undefined;
  readonly chosen: Parameters;
}

function codeLayer(layer: ShapedLayer, group: Group, looked: Looked): Coded {
  const { shape } = layer;
  const { rows, columns, groups } = shape;
  const { bits } = formOf(group, looked.chosen, false);
  const codes = new Uint8Array(groups * rows * columns);
  const scales = new Float32Array(groups * columns);
  const zeroPoints = new Uint8Array(groups * columns);
  for (let g = 0; g < groups; g++) {
    const { codes: own, grid } = codeGroup(layer, g, bits, group.isEnd, looked);
    codes.set(own, g * rows * columns);
    scales.set(grid.scales, g * columns);
    zeroPoints.set(grid.zeroPoints, g * columns);
  }
  return { codes, grid: { bits, scales, zeroPoints } };
}

function codeGroup(
  layer: ShapedLayer,
  g: number,
  bits: 4 | 8,
  isEnd: boolean,
  { real, rounded, fisher, chosen }: Looked,
): { codes: Uint8Array; grid: Grid } {
  const { shape } = layer;
  const own = groupMatrix(layer, shape, g);
  const reconstruct = chosen.reconstruct !== 'off' && !(isEnd && bits === 8);
  if (!chosen.compensate && !reconstruct) {
    const grid = gridOf(own, bits);
    return { codes: nearestCodes(own, grid), grid };
  }
  const inputs = rowsOf(rounded, shape, g, ROWS);
  const gram = gramOf(inputs);
  const matrix = chosen.compensate
    ? compensated(own, rowsOf(real, shape, g, ROWS), inputs, gram, chosen.damping)
    : own;
  const grid = gridOf(matrix, bits);
  if (!reconstruct) return { codes: nearestCodes(matrix, grid), grid };
  const blocks = fisher
    ? blocksWithin(fisher, g * shape.columns, shape.columns)
    : identity(shape.columns);
  return { codes: reconstructedCodes(matrix, grid, gram, blocks), grid };
}

/** Of a group's output channels, the blocks' parts. */
function blocksWithin(blocks: readonly FisherBlock[], from: number, size: number): FisherBlock[] {
  const out: FisherBlock[] = [];
  for (const block of blocks) {
    const start = Math.max(from, block.from);
    const end = Math.min(from + size, block.from + block.size);
    if (end <= start) continue;
    const length = end - start;
    const data = new Float64Array(length * length);
    for (let i = 0; i < length; i++)
      for (let j = 0; j < length; j++)
        data[i * length + j] =
          block.data[(start - block.from + i) * block.size + (start - block.from + j)]!;
    out.push({ from: start - from, size: length, data });
  }
  return out;
}

/** Every output counts alike, and by itself. */
const identity = (columns: number): FisherBlock[] =>
  Array.from({ length: columns }, (_, from) => ({ from, size: 1, data: Float64Array.of(1) }));
