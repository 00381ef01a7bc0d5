/**
 * Layers with int8 weights whose activations are quantised as they come: DynamicQuantizeLinear, MatMulInteger, Cast, Mul,
 * Add, in the order that ONNX Runtime fuses to DynamicQuantizeMatMul.
 */
import type { Graph, Node } from '../graph/graph';
import { floatBytes, Inserter } from './inserter';
import type { Layer } from './layers';
import { QuantisedWeights, type WeightScheme } from './quantisedWeights';
import { removeRead } from './weights';

const FLOAT32 = 1;
/** Where DynamicQuantizeLinear came. */
export const DYNAMIC_OPSET = 11;

export class DynamicWriter {
  readonly #inserter: Inserter;
  /** Of each activation: codes, scale and zero point, shared by the layers that read it. */
  readonly #quantised = new Map<string, readonly [string, string, string]>();

  /** @param graph of `DYNAMIC_OPSET` or later */
  constructor(
    private readonly graph: Graph,
    private readonly scheme: WeightScheme,
  ) {
    this.#inserter = new Inserter(graph);
  }

  quantiseLayer(layer: Layer): void {
    const { graph } = this;
    const node = graph.node(layer.node)!;
    const bias = node.inputs[2];
    const output = node.outputs[0]!;
    const weights = new QuantisedWeights(node, layer, undefined, this.scheme, null, 'columns');
    const [codes, scale, zeroPoint] = this.#activation(layer.activation, node);
    const base = layer.weight.source;
    const weightCodes = this.#inserter.constant(
      `${base}_quantized`,
      'int8',
      weights.dims,
      () => weights.codes(),
      () => weights.density(true),
    );
    const weightScale = this.#inserter.constant(`${base}_scale`, 'float32', weights.scaleDims, () =>
      floatBytes(weights.scales()),
    );
    const sums = graph.freshValue(`${output}_int32`);
    graph.replace(node.id, {
      op: 'MatMulInteger',
      inputs: [codes, weightCodes, zeroPoint],
      outputs: [sums],
      attributes: new Map(),
    });
    this.#rescale(node, sums, [scale, weightScale], bias, output);
    removeRead(graph, layer.weight);
  }

  #activation(value: string, near: Node): readonly [string, string, string] {
    const known = this.#quantised.get(value);
    if (known) return known;
    const outputs = ['quantized', 'scale', 'zero_point'].map((part) =>
      this.graph.freshValue(`${value}_${part}`),
    ) as [string, string, string];
    this.graph.insert({ op: 'DynamicQuantizeLinear', inputs: [value], outputs }, near);
    this.#quantised.set(value, outputs);
    return outputs;
  }

  #rescale(
    near: Node,
    sums: string,
    scales: readonly [string, string],
    bias: string | undefined,
    output: string,
  ): void {
    const fresh = (part: string) => this.graph.freshValue(`${output}_${part}`);
    const to = { to: { kind: 'int', value: FLOAT32 } } as const;
    const inserter = this.#inserter;
    const real = inserter.insert('Cast', [sums], fresh('float'), near, { attributes: to });
    const scale = inserter.insert('Mul', scales, fresh('scale'), near);
    if (!bias) {
      inserter.insert('Mul', [real, scale], output, near);
      return;
    }
    const scaled = inserter.insert('Mul', [real, scale], fresh('scaled'), near);
    inserter.insert('Add', [scaled, bias], output, near);
  }
}
