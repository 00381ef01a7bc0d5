/**
 * Cross-layer equalisation: what one layer makes is divided, channel by channel, by what the layers that read it are
 * multiplied with, so that all channels of both use their range alike. Exact through activations with f(s·x) = s·f(x).
 * Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias Correction.
 * ICCV 2019, section 4.1, equation 11.
 */
import type { Facts } from '../graph/facts';
import { floatAttribute, intAttribute, type Graph, type Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { elementCount, tensorNumbers, type Numbers } from '../onnx/tensor';
import { channelLayout } from './affine';
import { foldFactors, type Share } from './fold';
import { outputChannelAxis } from './weights';

/** A layer that makes channels, and those that read nothing but them. */
export interface Pair {
  /** The value that the readers read. */
  readonly value: string;
  readonly channels: number;
  readonly producer: string;
  /** Constants that the channels are proportional to; the weight is the last but for its bias. */
  readonly shares: readonly Share[];
  /** What batch normalisation in between multiplies the producer's channels by. */
  readonly gains: () => Float64Array | undefined;
  /** Weights of the readers, with the axis of the channels. */
  readonly readers: readonly Share[];
}

/** Factors of one pair: the value is divided by them. */
export interface Equalisation {
  readonly value: string;
  readonly factors: readonly number[];
}

/** Between layers; none of them treats channels differently, and all let positive factors through. */
const HOMOGENEOUS = new Set(['Relu', 'LeakyRelu', 'PRelu', 'Identity', 'Dropout']);
const OVER_PIXELS = new Set(['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool']);

/** The pair whose channels a layer reads, why there is none, or undefined where the node is no layer. */
export function pairAt(graph: Graph, facts: Facts, node: Node): Pair | string | undefined {
  if (node.domain !== '' || !['Conv', 'Gemm', 'MatMul'].includes(node.op)) return undefined;
  const own = readerShare(graph, node);
  if (!own) return node.op === 'MatMul' ? undefined : 'its weight is not a constant of its own';
  const value = node.inputs[0]!;
  const channels = graph.constant(node.inputs[1]!)!.dims[own.axis]!;
  const readers: Share[] = [];
  for (const reader of graph.consumers(value)) {
    const share = reader.inputs[0] === value ? readerShare(graph, reader) : undefined;
    if (!share || graph.constant(reader.inputs[1]!)!.dims[share.axis] !== channels)
      return `${reader.id} reads its input too`;
    readers.push(share);
  }
  const found = new Walk(graph, facts, channels).from(value, node.op === 'Conv' ? 1 : -1);
  return typeof found === 'string' ? found : { value, channels, readers, ...found };
}

/** The weight of a layer along its input channels; those of a depthwise convolution are its outputs. */
function readerShare(graph: Graph, node: Node): Share | undefined {
  const weight = graph.constant(node.inputs[1] ?? '');
  if (!weight || !isReal(weight)) return undefined;
  if (node.op === 'Conv') {
    const groups = intAttribute(node, 'group', 1);
    const isDepthwise = groups === weight.dims[0] && weight.dims[1] === 1;
    if (groups !== 1 && !isDepthwise) return undefined;
    return { node: node.id, input: 1, axis: groups === 1 ? 1 : 0 };
  }
  if (weight.dims.length !== 2) return undefined;
  if (node.op === 'MatMul') return { node: node.id, input: 1, axis: 0 };
  if (node.op !== 'Gemm' || intAttribute(node, 'transA', 0)) return undefined;
  return { node: node.id, input: 1, axis: intAttribute(node, 'transB', 0) ? 1 : 0 };
}

const isReal = ({ elementType }: Tensor): boolean =>
  elementType === 'float32' || elementType === 'float16';

type Made = Pick<Pair, 'producer' | 'shares' | 'gains'>;

/** From a value back to the layer that makes its channels. */
class Walk {
  readonly #shares: Share[] = [];
  #gains: (() => Float64Array) | undefined;

  constructor(
    private readonly graph: Graph,
    private readonly facts: Facts,
    private readonly channels: number,
  ) {}

  /** @param axis of the channels: 1 of a picture, −1 of rows */
  from(value: string, axis: 1 | -1): Made | string {
    const { graph } = this;
    if (graph.isOutput(value)) return `${value} is an output of the model`;
    const node = graph.producer(value);
    if (!node) return 'no layer makes its input';
    const [input = ''] = node.inputs;
    if (node.outputs.filter((output) => output !== '').length > 1 && node.op !== 'Dropout')
      return `${node.id} has other results`;
    const isBetween = HOMOGENEOUS.has(node.op) || (axis === 1 && OVER_PIXELS.has(node.op));
    if (isBetween) return this.#before(input, node, axis);
    if (axis === -1 && this.#flattensChannels(node)) return this.#before(input, node, 1);
    if (node.op === 'BatchNormalization' && axis === 1) return this.#normalised(node);
    if (node.op === 'Add') return this.#biased(node, axis);
    if (node.op === 'Conv' && axis === 1) return this.#layer(node);
    if ((node.op === 'MatMul' || node.op === 'Gemm') && axis === -1) return this.#layer(node);
    return `${node.id} lies before it, which does not let factors through`;
  }

  #before(value: string, reader: Node, axis: 1 | -1): Made | string {
    const others = this.graph.consumers(value).filter(({ id }) => id !== reader.id);
    return others.length ? `${others[0]!.id} reads the channels too` : this.from(value, axis);
  }

  /** A picture of one pixel becomes a row. */
  #flattensChannels({ op, inputs, outputs }: Node): boolean {
    if (op !== 'Flatten' && op !== 'Reshape' && op !== 'Squeeze') return false;
    const [before, after] = [inputs[0]!, outputs[0]!].map((v) => this.facts.value(v).shape);
    return (
      before?.[1] === this.channels &&
      before.slice(2).every((dim) => dim === 1) &&
      after?.length === 2 &&
      after[1] === this.channels
    );
  }

  #normalised(node: Node): Made | string {
    const { graph } = this;
    const [scale, shift, , variance] = node.inputs.slice(1).map((input) => graph.constant(input));
    if (!scale || !shift || !variance || !isReal(scale) || !isReal(shift))
      return `${node.id} has statistics that are not constants of its own`;
    this.#shares.push({ node: node.id, input: 1, axis: 0 }, { node: node.id, input: 2, axis: 0 });
    const epsilon = floatAttribute(node, 'epsilon', 1e-5);
    this.#gains = () => {
      const spread = tensorNumbers(variance);
      return Float64Array.from(
        tensorNumbers(scale),
        (gamma, i) => Math.abs(gamma) / Math.sqrt(spread[i]! + epsilon),
      );
    };
    return this.#before(node.inputs[0]!, node, 1);
  }

  #biased(node: Node, axis: 1 | -1): Made | string {
    for (const input of [0, 1]) {
      const tensor = this.graph.constant(node.inputs[input]!);
      if (!tensor || !isReal(tensor)) continue;
      const rank = this.facts.value(node.outputs[0]!).shape?.length ?? 0;
      const place = tensor.dims.length - (axis === -1 ? 1 : rank - 1);
      if (tensor.dims[place] !== this.channels || elementCount(tensor.dims) !== this.channels)
        continue;
      if (!this.#gains) this.#shares.push({ node: node.id, input, axis: place });
      return this.#before(node.inputs[1 - input]!, node, axis);
    }
    return `${node.id} lies before it, which does not let factors through`;
  }

  #layer(node: Node): Made | string {
    const weight = this.graph.constant(node.inputs[1] ?? '');
    const bias = node.inputs[2] ? this.graph.constant(node.inputs[2]) : undefined;
    const axis = weight && isReal(weight) ? outputChannelAxis(node, weight, 1) : undefined;
    if (axis === undefined || weight!.dims[axis] !== this.channels || (node.inputs[2] && !bias))
      return `the weight of ${node.id} is not a constant of its own`;
    if (bias && (bias.dims.length !== 1 || !isReal(bias)))
      return `the bias of ${node.id} is not a vector`;
    const own = [
      { node: node.id, input: 1, axis },
      ...(bias ? [{ node: node.id, input: 2, axis: 0 }] : []),
    ];
    const shares = this.#gains ? this.#shares : [...this.#shares, ...own];
    return { producer: node.id, shares, gains: () => this.#gains?.() };
  }
}

// ---- factors

/** Rounds over all pairs, and the change of a factor below which they end. */
const ROUNDS = 100;
const SETTLED = 1e-3;
/** A channel that is this much smaller than the largest one of its layer does not matter, and gets no larger factor. */
const SILENT = 1e-6;

/** s = √(r₁ r₂) / r₂ for each channel, pair after pair until nothing changes: layers between two pairs are in both. */
export function equalise(graph: Graph, pairs: readonly Pair[]): Equalisation[] {
  const layers = new Map<string, Balanced>();
  const layerOf = (id: string) => {
    const node = graph.node(id)!;
    const known = layers.get(id) ?? new Balanced(node, graph.constant(node.inputs[1]!)!);
    layers.set(id, known);
    return known;
  };
  const totals = pairs.map(({ channels }) => new Float64Array(channels).fill(1));
  const gains = pairs.map((pair) => pair.gains());
  for (let round = 0, change = Infinity; round < ROUNDS && change > SETTLED; round++) {
    change = 0;
    pairs.forEach(({ producer, readers, channels }, p) => {
      const made = layerOf(producer).outputMaxima();
      const gain = gains[p];
      const first = gain ? made.map((max, i) => max * gain[i]!) : made;
      const second = new Float64Array(channels);
      for (const { node } of readers)
        layerOf(node)
          .inputMaxima()
          .forEach((max, i) => (second[i] = Math.max(second[i]!, max)));
      const factors = pairFactors(first, second);
      factors.forEach((factor, i) => {
        totals[p]![i]! *= factor;
        change = Math.max(change, Math.abs(Math.log(factor)));
      });
      layerOf(producer).scaleOutputs(factors);
      for (const { node } of readers) layerOf(node).scaleInputs(factors);
    });
  }
  return pairs.map(({ value }, p) => ({
    value,
    factors: Array.from(totals[p]!, (factor) => Number(factor.toPrecision(4))),
  }));
}

function pairFactors(first: Float64Array, second: Float64Array): Float64Array {
  const [most, mostRead] = [Math.max(...first), Math.max(...second)];
  return first.map((r1, i) => {
    const r2 = second[i]!;
    const isHeard = r1 > SILENT * most && r2 > SILENT * mostRead;
    return isHeard ? Math.sqrt(r1 * r2) / r2 : 1;
  });
}

/** The weight of a layer with the factors so far on its outputs and inputs; nothing is multiplied before it is asked for. */
class Balanced {
  readonly #magnitudes: Numbers;
  readonly #outputs: Float64Array;
  readonly #inputs: Float64Array;
  readonly #output: (i: number) => number;
  readonly #input: (i: number) => number;

  constructor(node: Node, weight: Tensor) {
    this.#magnitudes = tensorNumbers(weight);
    const outputAxis = outputChannelAxis(node, weight, 1)!;
    const isDepthwise = node.op === 'Conv' && intAttribute(node, 'group', 1) > 1;
    const inputAxis = isDepthwise ? 0 : 1 - outputAxis;
    const along = (axis: number) => {
      const { channels, inner } = channelLayout(weight.dims, axis);
      return (i: number) => Math.floor(i / inner) % channels;
    };
    this.#output = along(outputAxis);
    this.#input = along(inputAxis);
    this.#outputs = new Float64Array(weight.dims[outputAxis]!).fill(1);
    this.#inputs = new Float64Array(weight.dims[inputAxis]!).fill(1);
  }

  outputMaxima = (): Float64Array => this.#maxima(this.#outputs.length, this.#output);
  inputMaxima = (): Float64Array => this.#maxima(this.#inputs.length, this.#input);

  scaleOutputs(by: Float64Array): void {
    by.forEach((factor, i) => (this.#outputs[i]! /= factor));
  }

  scaleInputs(by: Float64Array): void {
    by.forEach((factor, i) => (this.#inputs[i]! *= factor));
  }

  #maxima(count: number, channel: (i: number) => number): Float64Array {
    const out = new Float64Array(count);
    for (let i = 0; i < this.#magnitudes.length; i++) {
      const size =
        Math.abs(this.#magnitudes[i]!) *
        this.#outputs[this.#output(i)]! *
        this.#inputs[this.#input(i)]!;
      const at = channel(i);
      if (size > out[at]!) out[at] = size;
    }
    return out;
  }
}

/** Divides what makes the channels, and multiplies what reads them. */
export function applyEqualisation(
  graph: Graph,
  { shares, readers }: Pair,
  factors: readonly number[],
): void {
  foldFactors(graph, shares, () => factors.map((factor) => 1 / factor));
  foldFactors(graph, readers, () => factors);
}
