/** The weight and bias of one layer in integers. */
import { intAttribute, type Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { tensorNumbers, type Numbers } from '../onnx/tensor';
import {
  channelLayout,
  channelMaxima,
  int8Codes,
  roundHalfEven,
  type ChannelLayout,
} from './affine';
import type { Layer, Normalisation } from './layers';
import { convolutionRows, matrixRows, MAX_CODE, pairedCodes, type Coded } from './pairs';
import { outputChannelAxis } from './weights';

export interface WeightScheme {
  readonly perChannel: boolean;
  /** Whether sums of two products have to fit 16 bits. */
  readonly paired: boolean;
}

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
    this.#transposed = viewed !== turned;
    this.dims = turned ? [...dims].reverse() : dims;
    this.axis = turned ? 1 : axis;
    this.outputs = this.dims[this.axis]!;
    this.layout = channelLayout(this.dims, scheme.perChannel ? this.axis : undefined);
    this.scaleDims = scheme.perChannel ? [this.outputs] : [];
    this.hasBias = bias !== undefined || layer.normalisation !== undefined;
  }

  scales(): Float32Array {
    return this.#code().scales;
  }

  codes(): Uint8Array {
    return new Uint8Array(this.#code().codes.buffer);
  }

  nonzeros(): number {
    return this.#code().codes.reduce((count, code) => count + (code === 0 ? 0 : 1), 0);
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

  #code(): Coded {
    return (this.#coded ??= this.scheme.paired ? this.#codePaired() : this.#codeFreely());
  }

  #codeFreely(): Coded {
    const values = this.#values();
    const smallest = this.#smallestScales();
    const scales = Float32Array.from(channelMaxima(values, this.layout), (max, channel) => {
      const floor = this.scheme.perChannel ? smallest(channel) : this.#largest(smallest);
      return Math.max(max > 0 ? max / MAX_CODE : 1, floor);
    });
    return { scales, codes: int8Codes(values, this.layout, scales) };
  }

  #codePaired(): Coded {
    const rows =
      this.layer.kind === 'conv'
        ? convolutionRows(this.dims, intAttribute(this.node, 'group', 1))
        : matrixRows(this.dims, this.axis);
    return pairedCodes(this.#values(), rows, this.scheme.perChannel, this.#smallestScales());
  }

  /** A scale must be wide enough that the bias of a nearly dead channel still fits its integer. */
  #smallestScales(): (output: number) => number {
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
