/**
 * Moves what is hard to round from activations into weights: X·W = (X / s)·(s·W), a factor per input channel. Xiao, Lin,
 * Seznec, Wu, Demouth, Han: SmoothQuant. Accurate and Efficient Post-Training Quantization for Large Language Models.
 * ICML 2023, equations 3 and 4.
 */
import type { Graph } from '../graph/graph';
import { packFloats } from '../onnx/tensor';
import { affineOfRange } from './affine';
import { foldFactors, foldingPlaces } from './fold';
import { Inserter } from './inserter';
import { matrixOf, weightOf, type Group, type Linear, type Matrix } from './linear';
import type { ChannelMoments, Evidence } from './pass';
import { removeRead, weightInputs } from './weights';

/** The value is divided by the factors, one per channel; the weights that it is multiplied with are multiplied by them. */
export interface Smoothing {
  readonly value: string;
  readonly factors: readonly number[];
}

/** How many times smaller the expected squared error must become where smoothing is not a step of its own. */
export const WORTHWHILE = 4;
/** Exponents that a search tries. */
const ALPHAS = Array.from({ length: 11 }, (_, i) => i / 10);
/** A channel that is nearly silent in the calibration data counts as this share of the middle one. */
const SILENT = 0.05;

export const canFold = (graph: Graph, { value, layers }: Group): boolean =>
  placesOf(graph, value, layers) !== undefined;

const placesOf = (graph: Graph, value: string, layers: readonly Linear[]) =>
  foldingPlaces(graph, value, layers[0]!.rows, new Set(layers.map(({ node }) => node)));

const matricesOf = (graph: Graph, { layers }: Group): Matrix[] =>
  layers.map((layer) => matrixOf(weightOf(graph, layer), layer));

/** s = max|x|^α / max|w|^(1 − α) (equation 4), the maxima over all layers that read the value. */
export function smoothingFactors(
  moments: ChannelMoments,
  matrices: readonly Matrix[],
  alpha: number,
): Float64Array {
  const largest = floored(magnitudes(moments));
  const weights = floored(rowMaxima(matrices));
  return largest.map((max, channel) => max ** alpha / weights[channel]! ** (1 - alpha));
}

export const magnitudes = ({ min, max }: ChannelMoments): Float64Array =>
  max.map((value, channel) => Math.max(value, -min[channel]!));

function floored(maxima: Float64Array): Float64Array {
  const middle = maxima.slice().sort()[maxima.length >> 1]!;
  const floor = middle > 0 ? SILENT * middle : 1;
  return maxima.map((max) => Math.max(max, floor));
}

function rowMaxima(matrices: readonly Matrix[]): Float64Array {
  const out = new Float64Array(matrices[0]!.rows);
  for (const { columns, values } of matrices)
    for (let i = 0; i < values.length; i++) {
      const row = Math.floor(i / columns);
      out[row] = Math.max(out[row]!, Math.abs(values[i]!));
    }
  return out;
}

/** The factors whose products are expected to be least disturbed by rounding both operands to 8 bits. */
export function bestSmoothing(moments: ChannelMoments, matrices: readonly Matrix[]) {
  const before = expectedNoise(moments, matrices, new Float64Array(moments.max.length).fill(1));
  let [factors, noise] = [smoothingFactors(moments, matrices, ALPHAS[0]!), Infinity];
  for (const alpha of ALPHAS) {
    const candidate = smoothingFactors(moments, matrices, alpha);
    const expected = expectedNoise(moments, matrices, candidate);
    if (expected < noise) [factors, noise] = [candidate, expected];
  }
  /** By how much the squared error of the products falls. */
  return { factors, gain: noise > 0 ? before / noise : 1 };
}

/**
 * Expected squared error of a row of the products, errors of rounding taken as independent and uniform: a step of Δ has
 * the variance Δ²/12. Activations share one step, weights have one per output channel.
 */
export function expectedNoise(
  { min, max, meanSquare }: ChannelMoments,
  matrices: readonly Matrix[],
  factors: Float64Array,
): number {
  let [low, high] = [0, 0];
  factors.forEach((factor, channel) => {
    low = Math.min(low, min[channel]! / factor);
    high = Math.max(high, max[channel]! / factor);
  });
  const activationVariance = affineOfRange({ min: low, max: high }).scale ** 2 / 12;
  let power = 0;
  factors.forEach((factor, channel) => (power += meanSquare[channel]! / factor ** 2));
  let noise = 0;
  for (const { rows, columns, values } of matrices) {
    const largest = new Float64Array(columns);
    let squares = 0;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const weight = Math.abs(values[row * columns + column]! * factors[row]!);
        squares += weight * weight;
        largest[column] = Math.max(largest[column]!, weight);
      }
    noise += activationVariance * squares;
    for (const weight of largest) noise += ((weight / 127) ** 2 / 12) * power;
  }
  return noise;
}

/**
 * Measures every value, and asks for its factors; undefined leaves it alone. What was not measured, or by other channels, is
 * left alone too.
 * @param measured the graph to run, where the values are not in the one that evidence is of
 */
export async function planSmoothings(
  graph: Graph,
  groups: readonly Group[],
  evidence: Evidence,
  choose: (moments: ChannelMoments, matrices: readonly Matrix[]) => Float64Array | undefined,
  measured?: Graph,
): Promise<Smoothing[]> {
  const values = groups.map(({ value }) => value);
  const moments = await evidence.moments(values, measured);
  const out: Smoothing[] = [];
  for (const group of groups) {
    const seen = moments.get(group.value);
    if (seen?.max.length !== group.layers[0]!.rows) continue;
    evidence.progress(group.layers[0]!.node);
    const factors = choose(seen, matricesOf(graph, group));
    if (factors) out.push(asDecision(group.value, factors));
  }
  return out;
}

/** Smooths what was decided; with `open`, the rest by factors of 1, because nothing was measured yet. */
export function smoothAll(
  graph: Graph,
  groups: readonly Group[],
  smoothings: readonly Smoothing[],
  open = false,
): void {
  const decided = new Map(smoothings.map(({ value, factors }) => [value, factors]));
  for (const group of groups) {
    const factors = decided.get(group.value);
    if (factors || open) smooth(graph, group, factors);
  }
}

/** Short in a recipe's decisions, and exact in the arithmetic of the model. */
export const asDecision = (value: string, factors: Float64Array): Smoothing => ({
  value,
  factors: Array.from(factors, (factor) => Number(factor.toPrecision(4))),
});

/** Divides a value by factors, in the constants that it is made from or else by a product of its own. */
export function smooth(
  graph: Graph,
  { value, layers }: Group,
  factors: readonly number[] | undefined,
): void {
  const channels = layers[0]!.rows;
  const by = () => factors ?? new Array<number>(channels).fill(1);
  const inverse = () => by().map((factor) => 1 / factor);
  const places = placesOf(graph, value, layers);
  if (places) foldFactors(graph, places, inverse);
  else insertProduct(graph, { value, layers }, inverse);
  for (const layer of layers) scaleWeight(graph, layer, by);
}

function insertProduct(graph: Graph, { value, layers }: Group, factors: () => number[]): void {
  const inserter = new Inserter(graph);
  const [{ node: first, rows, type }] = layers as [Linear];
  const constant = inserter.constant(`${value}_smoothing`, type, [rows], () =>
    packFloats(Float32Array.from(factors()), type),
  );
  const output = graph.freshValue(`${value}_smooth`);
  inserter.insert('Mul', [value, constant], output, graph.node(first)!);
  for (const { node } of layers) graph.setInput(node, 0, output);
}

/** Gives a layer a weight of its own, stored as the layer reads it. */
function scaleWeight(graph: Graph, layer: Linear, factors: () => readonly number[]): void {
  const node = graph.node(layer.node)!;
  const { source, tensor, views } = weightInputs(graph, node)[0]!;
  const flipped = views.filter((view) => view.op === 'Transpose').length % 2 === 1;
  const dims = flipped ? [...tensor.dims].reverse() : tensor.dims;
  const inRows = layer.transposed === flipped;
  const name = graph.freshValue(`${source}_smoothed`);
  const compute = () => {
    const { rows, columns, values } = matrixOf(tensor, layer);
    const by = factors();
    const out = new Float32Array(values.length);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        out[inRows ? row * columns + column : column * rows + row] =
          values[row * columns + column]! * by[row]!;
    return packFloats(out, layer.type);
  };
  const { density } = tensor;
  const data = { kind: 'computed', compute } as const;
  graph.setInitializer({
    name,
    elementType: layer.type,
    dims,
    data,
    ...(density && { density }),
  });
  graph.setInput(layer.node, 1, name);
  removeRead(graph, { source, views });
}
