/**
 * Writes quantisation into a graph as QuantizeLinear and DequantizeLinear, the form that every runtime's fusions look
 * for. Constants are computed when the model is written, so that a preview costs no arithmetic.
 */
import type { Graph, Node } from '../graph/graph';
import type { AttributeValue, Density, Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { tensorDensity, tensorNumbers, type Numbers } from '../onnx/tensor';
import {
  affineOfRange,
  channelLayout,
  channelMaxima,
  int8Codes,
  roundHalfEven,
  type Affine,
  type ChannelLayout,
} from './affine';
import type { Range } from './pass';
import { outputChannelAxis, type WeightInput } from './weights';

/** A layer with a constant weight that ONNX Runtime has an integer kernel for. */
export interface Layer {
  readonly node: string;
  readonly kind: 'conv' | 'gemm' | 'matmul';
  readonly activation: string;
  readonly weight: WeightInput;
  /** Of a convolution: the batch normalisation that is folded into it. */
  readonly normalisation: Normalisation | undefined;
}

export interface Normalisation {
  readonly scale: Tensor;
  readonly bias: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly epsilon: number;
}

/** An activation that gets a QuantizeLinear and a DequantizeLinear. */
export interface Quantised {
  readonly name: string;
  /** `all` readers see the quantised value, or only the `layers` do. */
  readonly readers: 'all' | 'layers';
  /** The value whose scale it shares, because only its shape or a maximum lies between. */
  readonly like: string | undefined;
}

/** Ranges of activations by name; null while they are not planned. */
type Ranges = Readonly<Record<string, Range>> | null;

export class QdqWriter {
  readonly #scales = new Map<string, () => Affine>();
  readonly #domain: string;

  constructor(
    private readonly graph: Graph,
    values: readonly Quantised[],
    private readonly ranges: Ranges,
    private readonly perChannel: boolean,
  ) {
    // Per-axis DequantizeLinear came with operator set 13; ONNX Runtime has the same operators in a domain of its own.
    this.#domain = graph.opset >= 13 ? '' : 'com.microsoft';
    if (this.#domain) graph.requireOpset(this.#domain, 1);
    for (const { name, like = name } of values)
      this.#scales.set(name, () => {
        const range = ranges?.[like];
        if (!range) throw new Error(`the range of ${like} is not planned yet`);
        return affineOfRange(range);
      });
  }

  /** Replaces a layer's weight, and its bias where it has one, by quantised constants. */
  quantiseLayer(layer: Layer): void {
    const { graph } = this;
    const node = graph.node(layer.node)!;
    const [activation, weightValue, biasValue] = node.inputs as [string, string, string?];
    const bias = biasValue ? graph.constant(biasValue) : undefined;
    const activationScale = this.ranges && (() => this.#scales.get(layer.activation)!().scale);
    const weights = new QuantisedWeights(node, layer, bias, this.perChannel, activationScale);
    const inputs = [activation, this.#writeWeight(weights, layer.weight.source, node)];
    if (weights.hasBias) inputs.push(this.#writeBias(weights, node));
    graph.replace(node.id, { inputs });
    for (const view of [...layer.weight.views].reverse())
      if (graph.consumers(view.outputs[0]!).length === 0) graph.remove(view.id);
    graph.removeUnused([weightValue, layer.weight.source, ...(biasValue ? [biasValue] : [])]);
  }

  /** Puts a quantise–dequantise pair on an activation, for all its readers or for the layers among them. */
  quantiseActivation({ name, readers }: Quantised, layers: readonly Layer[]): void {
    const { graph } = this;
    const affine = this.#scales.get(name)!;
    const producer = graph.producer(name);
    const near = producer ?? graph.consumers(name)[0]!;
    const scale = this.#constant(`${name}_scale`, 'float32', [], () => floats([affine().scale]));
    const zeroPoint = () => Uint8Array.of(affine().zeroPoint);
    const parameters = [scale, this.#constant(`${name}_zero_point`, 'uint8', [], zeroPoint)];
    const codes = graph.freshValue(`${name}_quantized`);
    if (readers === 'all' && producer) {
      const real = graph.freshValue(`${name}_float`);
      graph.renameOutput(producer.id, name, real);
      this.#insert('QuantizeLinear', [real, ...parameters], codes, near);
      this.#insert('DequantizeLinear', [codes, ...parameters], name, near);
      return;
    }
    const dequantised = graph.freshValue(`${name}_dequantized`);
    this.#insert('QuantizeLinear', [name, ...parameters], codes, near);
    this.#insert('DequantizeLinear', [codes, ...parameters], dequantised, near);
    for (const layer of layers)
      if (layer.activation === name) graph.setInput(layer.node, 0, dequantised);
  }

  #writeWeight(weights: QuantisedWeights, base: string, node: Node): string {
    const { layout, scaleDims } = weights;
    const scale = this.#constant(`${base}_scale`, 'float32', scaleDims, () =>
      floats(weights.scales()),
    );
    const zeroPoint = () => new Uint8Array(layout.channels);
    const zero = this.#constant(`${base}_zero_point`, 'int8', scaleDims, zeroPoint);
    const codes = this.#constant(
      `${base}_quantized`,
      'int8',
      weights.dims,
      () => weights.codes(),
      () => weights.density(),
    );
    return this.#dequantise(
      [codes, scale, zero],
      base,
      this.perChannel ? weights.axis : undefined,
      node,
    );
  }

  /** int32 at the product of both scales, as integer kernels add it. */
  #writeBias(weights: QuantisedWeights, node: Node): string {
    const base = `${node.id}_bias`;
    const { outputs, scaleDims } = weights;
    const scale = this.#constant(`${base}_scale`, 'float32', scaleDims, () =>
      floats(weights.biasScales()),
    );
    const codes = this.#constant(`${base}_quantized`, 'int32', [outputs], () =>
      weights.biasCodes(),
    );
    return this.#dequantise([codes, scale], base, this.perChannel ? 0 : undefined, node);
  }

  #dequantise(
    inputs: readonly string[],
    base: string,
    axis: number | undefined,
    near: Node,
  ): string {
    const output = this.graph.freshValue(`${base}_dequantized`);
    const attributes = axis === undefined ? {} : { axis: { kind: 'int', value: axis } as const };
    this.#insert('DequantizeLinear', inputs, output, near, attributes);
    return output;
  }

  #insert(
    op: string,
    inputs: readonly string[],
    output: string,
    near: Node,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): void {
    const node = { op, name: `${output}/${op}`, inputs, outputs: [output], attributes };
    this.graph.insert({ ...node, domain: this.#domain }, near);
  }

  #constant(
    base: string,
    elementType: ElementType,
    dims: readonly number[],
    compute: () => Uint8Array,
    density?: Tensor['density'],
  ): string {
    const name = this.graph.freshValue(base);
    const data = { kind: 'computed', compute } as const;
    this.graph.setInitializer({ name, elementType, dims, data, ...(density && { density }) });
    return name;
  }
}

const floats = (values: ArrayLike<number>): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer);

/** Largest magnitude of a bias code: half of int32, so that the accumulator keeps room for the products. */
const MAX_BIAS_CODE = 2 ** 30;

/** The weight and bias of one layer in integers. Nothing is read before it is asked for. */
class QuantisedWeights {
  readonly dims: readonly number[];
  /** The axis of output channels, and how many there are. */
  readonly axis: number;
  readonly outputs: number;
  readonly layout: ChannelLayout;
  readonly scaleDims: readonly number[];
  readonly hasBias: boolean;
  readonly #transposed: boolean;
  #scales: Float32Array | undefined;

  constructor(
    node: Node,
    private readonly layer: Layer,
    private readonly bias: Tensor | undefined,
    perChannel: boolean,
    /** Null while ranges are not planned. */
    private readonly activationScale: (() => number) | null,
  ) {
    const { tensor, views } = layer.weight;
    this.#transposed = views.filter((view) => view.op === 'Transpose').length % 2 === 1;
    this.dims = this.#transposed ? [...tensor.dims].reverse() : tensor.dims;
    this.axis = outputChannelAxis(node, { ...tensor, dims: this.dims }, 1)!;
    this.outputs = this.dims[this.axis]!;
    this.layout = channelLayout(this.dims, perChannel ? this.axis : undefined);
    this.scaleDims = perChannel ? [this.outputs] : [];
    this.hasBias = bias !== undefined || layer.normalisation !== undefined;
  }

  /** One scale for each channel, wide enough that the bias of a nearly dead channel still fits its integer. */
  scales(): Float32Array {
    if (this.#scales) return this.#scales;
    const maxima = channelMaxima(this.#values(), this.layout);
    const scales = Float32Array.from(maxima, (max) => (max > 0 ? max / 127 : 1));
    if (!this.hasBias || !this.activationScale) return scales;
    const smallest = this.activationScale() * MAX_BIAS_CODE;
    this.#realBias().forEach((value, output) => {
      const channel = scales.length === 1 ? 0 : output;
      scales[channel] = Math.max(scales[channel]!, Math.abs(value) / smallest);
    });
    return (this.#scales = scales);
  }

  codes(): Uint8Array {
    return new Uint8Array(int8Codes(this.#values(), this.layout, this.scales()).buffer);
  }

  /** While codes cannot be known, about as many are zero as weights are. */
  density(): Density {
    const { nonzeros, estimated } = tensorDensity(this.layer.weight.tensor);
    if (estimated || !this.activationScale) return { nonzeros, estimated: true };
    const known = this.codes().reduce((count, code) => count + (code === 0 ? 0 : 1), 0);
    return { nonzeros: known, estimated: false };
  }

  biasScales(): Float32Array {
    const activation = this.activationScale!();
    return this.scales().map((scale) => scale * activation);
  }

  biasCodes(): Uint8Array {
    const scales = this.biasScales();
    const codes = Int32Array.from(this.#realBias(), (value, output) =>
      roundHalfEven(value / scales[scales.length === 1 ? 0 : output]!),
    );
    return new Uint8Array(codes.buffer);
  }

  /** The float weights in the layer's own layout, batch normalisation folded in. */
  #values(): Numbers {
    const { weight, normalisation } = this.layer;
    const stored = tensorNumbers(weight.tensor);
    const values = this.#transposed ? transpose(stored, weight.tensor.dims) : stored;
    if (!normalisation) return values;
    return scaleChannels(values, channelLayout(this.dims, this.axis), factors(normalisation));
  }

  #realBias(): Float64Array {
    const own = this.bias && tensorNumbers(this.bias);
    const { normalisation } = this.layer;
    if (!normalisation) return Float64Array.from(own ?? []);
    const [shift, mean] = [tensorNumbers(normalisation.bias), tensorNumbers(normalisation.mean)];
    return factors(normalisation).map(
      (factor, output) => ((own?.[output] ?? 0) - mean[output]!) * factor + shift[output]!,
    );
  }
}

/** What batch normalisation multiplies each channel by: scale / √(variance + ε). */
function factors({ scale, variance, epsilon }: Normalisation): Float64Array {
  const spread = tensorNumbers(variance);
  return Float64Array.from(
    tensorNumbers(scale),
    (gamma, output) => gamma / Math.sqrt(spread[output]! + epsilon),
  );
}

function scaleChannels(
  values: Numbers,
  { channels, inner }: ChannelLayout,
  by: Float64Array,
): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++)
    out[i] = values[i]! * by[Math.floor(i / inner) % channels]!;
  return out;
}

function transpose(values: Numbers, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column * rows + row] = values[row * columns + column]!;
  return out;
}
