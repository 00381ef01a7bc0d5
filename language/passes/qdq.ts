/**
 * Writes quantisation into a graph as QuantizeLinear and DequantizeLinear, the form that every runtime's fusions look
 * for. Constants are computed when the model is written, so that a preview costs no arithmetic.
 */
import type { Graph, Node } from '../graph/graph';
import type { AttributeValue } from '../onnx/model';
import { affineOfRange, type ActivationScheme, type Affine } from './affine';
import { floatBytes, Inserter } from './inserter';
import type { Layer } from './layers';
import type { Range } from './pass';
import { QuantisedWeights, type WeightScheme } from './quantisedWeights';
import { removeRead } from './weights';

/** An activation that gets a QuantizeLinear and a DequantizeLinear. */
export interface Quantised {
  readonly name: string;
  /** `all` readers see the quantised value, or only the layers that use it do. */
  readonly readers: 'all' | 'layers';
  /** The value whose scale it shares, because only its shape or a maximum lies between. */
  readonly like: string | undefined;
}

/** An input of a node that takes integers. */
export interface Use {
  readonly node: string;
  readonly input: number;
}

export interface Scheme extends WeightScheme {
  readonly activations: ActivationScheme;
}

/** Ranges of activations by name; null while they are not planned. */
type Ranges = Readonly<Record<string, Range>> | null;

export class QdqWriter {
  readonly #scales = new Map<string, () => Affine>();
  readonly #domain: string;
  readonly #inserter: Inserter;

  constructor(
    private readonly graph: Graph,
    values: readonly Quantised[],
    private readonly ranges: Ranges,
    private readonly scheme: Scheme,
  ) {
    this.#inserter = new Inserter(graph);
    // Per-axis DequantizeLinear came with operator set 13; ONNX Runtime has the same operators in a domain of its own.
    this.#domain = graph.opset >= 13 ? '' : 'com.microsoft';
    if (this.#domain) graph.requireOpset(this.#domain, 1);
    for (const { name, like = name } of values)
      this.#scales.set(name, () => {
        const range = ranges?.[like];
        if (!range) throw new Error(`the range of ${like} is not planned yet`);
        return affineOfRange(range, scheme.activations);
      });
  }

  /** Replaces a layer's weight, and its bias where it has one, by quantised constants. */
  quantiseLayer(layer: Layer): void {
    const { graph } = this;
    const node = graph.node(layer.node)!;
    const [activation, , biasValue] = node.inputs as [string, string, string?];
    const bias = biasValue ? graph.constant(biasValue) : undefined;
    const activationScale = this.ranges && (() => this.#scales.get(layer.activation)!().scale);
    const weights = new QuantisedWeights(node, layer, bias, this.scheme, activationScale);
    const inputs = [activation, this.#writeWeight(weights, layer.weight.source, node)];
    if (weights.hasBias) inputs.push(this.#writeBias(weights, node));
    graph.replace(node.id, { inputs });
    removeRead(graph, layer.weight);
    if (biasValue) graph.removeUnused([biasValue]);
  }

  /** Puts a quantise–dequantise pair on an activation, for all its readers or for the layers among them. */
  quantiseActivation({ name, readers }: Quantised, uses: readonly Use[]): void {
    const { graph } = this;
    const affine = this.#scales.get(name)!;
    const producer = graph.producer(name);
    const near = producer ?? graph.consumers(name)[0]!;
    const scale = this.#inserter.constant(`${name}_scale`, 'float32', [], () =>
      floatBytes([affine().scale]),
    );
    const zeroPoint = () => Uint8Array.of(affine().zeroPoint);
    const parameters = [
      scale,
      this.#inserter.constant(`${name}_zero_point`, 'uint8', [], zeroPoint),
    ];
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
    for (const { node, input } of uses)
      if (graph.node(node)!.inputs[input] === name) graph.setInput(node, input, dequantised);
  }

  #writeWeight(weights: QuantisedWeights, base: string, node: Node): string {
    const { layout, scaleDims } = weights;
    const scale = this.#inserter.constant(`${base}_scale`, 'float32', scaleDims, () =>
      floatBytes(weights.scales()),
    );
    const zeroPoint = () => new Uint8Array(Math.ceil((layout.channels * weights.bits) / 8));
    const type = weights.bits === 4 ? 'int4' : 'int8';
    const zero = this.#inserter.constant(`${base}_zero_point`, type, scaleDims, zeroPoint);
    const codes = this.#inserter.constant(
      `${base}_quantized`,
      type,
      weights.dims,
      () => weights.codes(),
      () => weights.density(this.ranges !== null),
    );
    return this.#dequantise(
      [codes, scale, zero],
      base,
      this.scheme.perChannel ? weights.axis : undefined,
      node,
    );
  }

  /** int32 at the product of both scales, as integer kernels add it. */
  #writeBias(weights: QuantisedWeights, node: Node): string {
    const base = `${node.id}_bias`;
    const { outputs, scaleDims } = weights;
    const scale = this.#inserter.constant(`${base}_scale`, 'float32', scaleDims, () =>
      floatBytes(weights.biasScales()),
    );
    const codes = this.#inserter.constant(`${base}_quantized`, 'int32', [outputs], () =>
      weights.biasCodes(),
    );
    return this.#dequantise([codes, scale], base, this.scheme.perChannel ? 0 : undefined, node);
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
    this.#inserter.insert(op, inputs, output, near, { domain: this.#domain, attributes });
  }
}
