/** The weight and bias of one layer in integers. */
import type { Facts } from '../graph/facts';
import { intAttribute, type Graph, type Node } from '../graph/graph';
import { raiseBlocker } from '../graph/opset';
import type { Density, Tensor } from '../onnx/model';
import { packSubBytes, tensorDensity, tensorNumbers, type Numbers } from '../onnx/tensor';
import {
  channelLayout,
  channelMaxima,
  int8Codes,
  roundHalfEven,
  type ChannelLayout,
} from './affine';
import type { Layer, Normalisation } from './layers';
import { convolutionRows, matrixRows, pairedCodes, type Coded } from './pairs';
import { outputChannelAxis } from './weights';

export interface WeightScheme {
  readonly perChannel: boolean;
  /** Whether sums of two products have to fit 16 bits. */
  readonly paired: boolean;
  /** Bits of the weights of a layer, by node; 8 where nothing is said. */
  readonly bits?: ReadonlyMap<string, WeightBits>;
  /** Codes of layers that were rounded otherwise than to the nearest, by node, with a scale per output channel. */
  readonly rounded?: ReadonlyMap<string, () => Coded>;
  /**
   * Mean of each input channel of a value over the calibration data. Biases make up for what rounding the weights does to
   * such inputs: they lose E[εx], ε the error of the weights (Nagel, van Baalen, Blankevoort, Welling: Data-Free
   * Quantization Through Weight Equalization and Bias Correction. ICCV 2019, section 4.2).
   */
  readonly means?: ReadonlyMap<string, readonly number[]>;
}

export type WeightBits = 4 | 8;
/** Where int4 tensors came, and scales per block. */
export const INT4_OPSET = 21;

/** Why a model cannot hold such tensors, not even raised. */
export function whyNoInt4(graph: Graph, facts: Facts): string | undefined {
  if (graph.opset >= INT4_OPSET) return undefined;
  const blocker = raiseBlocker(graph, facts, INT4_OPSET);
  return (
    blocker &&
    `operator set ${INT4_OPSET} is needed; ${graph.opset} cannot be raised because of ${blocker.node}: ${blocker.reason}`
  );
}

/** Codes are symmetric: −127 … 127 and −7 … 7. */
export const largestCode = (bits: WeightBits): number => 2 ** (bits - 1) - 1;

/** Largest magnitude of a bias code: half of int32, so that the accumulator keeps room for the products. */
const MAX_BIAS_CODE = 2 ** 30;

/** Nothing is read before it is asked for, and nothing is computed twice. */
export class QuantisedWeights {
  readonly dims: readonly number[];
  /** The axis of output channels, and how many there are. */
  readonly axis: number;
  readonly outputs: number;
  readonly layout: ChannelLayout;
  readonly scaleDims: readonly number[];
  readonly hasBias: boolean;
  readonly bits: WeightBits;
  readonly #transposed: boolean;
  #coded: Coded | undefined;

  constructor(
    private readonly node: Node,
    private readonly layer: Layer,
    private readonly bias: Tensor | undefined,
    private readonly scheme: WeightScheme,
    /** Null while ranges are not planned, and where the bias stays float. */
    private readonly activationScale: (() => number) | null,
    /** As the node reads its weight, or as a matrix with its outputs in columns. */
    orientation: 'own' | 'columns' = 'own',
  ) {
    const { tensor, views } = layer.weight;
    const viewed = views.filter((view) => view.op === 'Transpose').length % 2 === 1;
    const dims = viewed ? [...tensor.dims].reverse() : tensor.dims;
    const axis = outputChannelAxis(node, { ...tensor, dims }, 1)!;
    const turned = orientation === 'columns' && axis === 0;
    this.bits = scheme.bits?.get(layer.node) ?? 8;
    this.#transposed = viewed !== turned;
    this.dims = turned ? [...dims].reverse() : dims;
    this.axis = turned ? 1 : axis;
    this.outputs = this.dims[this.axis]!;
    this.layout = channelLayout(this.dims, scheme.perChannel ? this.axis : undefined);
    this.scaleDims = scheme.perChannel ? [this.outputs] : [];
    const isCorrected = layer.kind !== 'matmul' && scheme.means?.has(layer.activation) === true;
    this.hasBias = bias !== undefined || layer.normalisation !== undefined || isCorrected;
  }

  scales(): Float32Array {
    return this.#code().scales;
  }

  /** As they are stored: a byte each, or two in a byte. */
  codes(): Uint8Array {
    const { codes } = this.#code();
    return this.bits === 4 ? packSubBytes(codes, 4) : new Uint8Array(codes.buffer);
  }

  /** While codes cannot be known, about as many are zero as weights are. */
  density(planned: boolean): Density {
    const { nonzeros, estimated } = tensorDensity(this.layer.weight.tensor);
    if (estimated || !planned) return { nonzeros, estimated: true };
    const known = this.#code().codes.reduce((count, code) => count + (code === 0 ? 0 : 1), 0);
    return { nonzeros: known, estimated: false };
  }

  biasScales(): Float32Array {
    const activation = this.activationScale!();
    return this.scales().map((scale) => scale * activation);
  }

  biasCodes(): Uint8Array {
    const scales = this.biasScales();
    const corrections = this.#corrections();
    const codes = Int32Array.from(this.#realBias(), (value, output) =>
      roundHalfEven((value + corrections[output]!) / scales[scales.length === 1 ? 0 : output]!),
    );
    return new Uint8Array(codes.buffer);
  }

  /** −E[εx] of each output; borders that convolutions fill with zeros count as if they were inputs. */
  #corrections(): Float64Array {
    const out = new Float64Array(this.outputs);
    const means = this.scheme.means?.get(this.layer.activation);
    if (!means) return out;
    const { codes, scales } = this.#code();
    const values = this.values();
    const isConvolution = this.layer.kind === 'conv';
    const inner = isConvolution ? channelLayout(this.dims, 1).inner : this.dims[1]!;
    const perOutput = values.length / this.outputs;
    const groupSize = this.outputs / intAttribute(this.node, 'group', 1);
    for (let i = 0; i < values.length; i++) {
      const output = this.axis === 0 ? Math.floor(i / perOutput) : i % this.outputs;
      const within = isConvolution
        ? Math.floor((i % perOutput) / inner)
        : this.axis === 0
          ? i % inner
          : Math.floor(i / inner);
      const input = isConvolution
        ? Math.floor(output / groupSize) * this.dims[1]! + within
        : within;
      const restored = codes[i]! * scales[scales.length === 1 ? 0 : output]!;
      out[output]! += (values[i]! - restored) * means[input]!;
    }
    return out;
  }

  #code(): Coded {
    return (this.#coded ??= this.#round());
  }

  #round(): Coded {
    const given = this.scheme.rounded?.get(this.layer.node);
    if (given) return given();
    // Products of 4 bits never come near 16.
    return this.scheme.paired && this.bits === 8 ? this.#codePaired() : this.#codeFreely();
  }

  #codeFreely(): Coded {
    const values = this.values();
    const limit = largestCode(this.bits);
    const smallest = this.smallestScales();
    const scales = Float32Array.from(channelMaxima(values, this.layout), (max, channel) => {
      const floor = this.scheme.perChannel ? smallest(channel) : this.#largest(smallest);
      return Math.max(max > 0 ? max / limit : 1, floor);
    });
    return { scales, codes: int8Codes(values, this.layout, scales, limit) };
  }

  #codePaired(): Coded {
    const rows =
      this.layer.kind === 'conv'
        ? convolutionRows(this.dims, intAttribute(this.node, 'group', 1))
        : matrixRows(this.dims, this.axis);
    return pairedCodes(this.values(), rows, this.scheme.perChannel, this.smallestScales());
  }

  /** A scale must be wide enough that the bias of a nearly dead channel still fits its integer. */
  smallestScales(): (output: number) => number {
    if (!this.hasBias || !this.activationScale) return () => 0;
    const smallest = this.activationScale() * MAX_BIAS_CODE;
    const bias = this.#realBias();
    return (output) => Math.abs(bias[output]!) / smallest;
  }

  #largest(of: (output: number) => number): number {
    let largest = 0;
    for (let output = 0; output < this.outputs; output++) largest = Math.max(largest, of(output));
    return largest;
  }

  /** The float weights in the layer's own layout, batch normalisation folded in. */
  values(): Numbers {
    const { weight, normalisation } = this.layer;
    const stored = tensorNumbers(weight.tensor);
    const values = this.#transposed ? transpose(stored, weight.tensor.dims) : stored;
    if (!normalisation) return values;
    return scaleChannels(values, channelLayout(this.dims, this.axis), factors(normalisation));
  }

  #realBias(): Float64Array {
    const own = this.bias && tensorNumbers(this.bias);
    const { normalisation } = this.layer;
    if (!normalisation) return Float64Array.from(own ?? new Float64Array(this.outputs));
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
