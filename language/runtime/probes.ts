/**
 * Networks to measure a machine by: between them they hold every kind of layer that a profile of rates tells apart, at
 * sizes that real models have. Their weights are noise of a size that keeps activations finite.
 */
import { Graph } from '../graph/graph';
import type { AttributeValue, NodeRecord, Tensor, ValueInfo } from '../onnx/model';
import { readModelBytes } from '../onnx/read';
import { int64Tensor, makeTensor } from '../onnx/tensor';
import { writeModel } from '../onnx/write';

export interface Probe {
  readonly name: string;
  readonly write: (file: string) => void;
}

export function probes(): Probe[] {
  return Object.entries(NETWORKS).map(([name, build]) => ({
    name,
    write: (file) => {
      const network = new Network();
      build(network);
      network.write(file);
    },
  }));
}

const NETWORKS: Readonly<Record<string, (network: Network) => void>> = {
  'residual, narrow': (n) => residual(n, [32, 64, 128], 64),
  'residual, wide': (n) => residual(n, [64, 128, 256], 56),
  'bottleneck, narrow': (n) => bottleneck(n, [64, 128], 32),
  'bottleneck, wide': (n) => bottleneck(n, [256, 512], 28),
  'separable, narrow': (n) => separable(n, [32, 64, 128], 3, 56),
  'separable, wide': (n) => separable(n, [96, 192, 384], 5, 28),
  'encoder and decoder, narrow': (n) => encoderDecoder(n, 16, 64),
  'encoder and decoder, wide': (n) => encoderDecoder(n, 32, 96),
  'transformer, narrow': (n) => transformer(n, { tokens: 64, width: 128, heads: 4 }),
  'transformer, wide': (n) => transformer(n, { tokens: 196, width: 256, heads: 4 }),
  'one token, narrow': (n) => transformer(n, { tokens: 1, width: 384, heads: 6 }),
  'one token, wide': (n) => transformer(n, { tokens: 1, width: 1024, heads: 8 }),
  'fully connected, narrow': (n) => fullyConnected(n, 768),
  'fully connected, wide': (n) => fullyConnected(n, 2048),
  'quantised residual, narrow': (n) => residual(n.quantised(), [32, 64, 128], 64),
  'quantised residual, wide': (n) => residual(n.quantised(), [64, 128, 256], 56),
  'quantised separable, narrow': (n) => separable(n.quantised(), [32, 64, 128], 3, 56),
  'quantised separable, wide': (n) => separable(n.quantised(), [96, 192, 384], 5, 28),
  'quantised fully connected, narrow': (n) => fullyConnected(n.quantised(), 768, 16),
  'quantised fully connected, wide': (n) => fullyConnected(n.quantised(), 1024, 64),
};

// ---- networks

function residual(n: Network, widths: readonly number[], size: number): void {
  let x = n.relu(n.conv(n.input([1, 3, 2 * size, 2 * size]), widths[0]!, 7, { stride: 2 }));
  x = n.maxPool(x);
  for (const [i, width] of widths.entries()) {
    const stride = i > 0 ? 2 : 1;
    const shortcut = i > 0 ? n.conv(x, width, 1, { stride }) : x;
    const inner = n.relu(n.conv(x, width, 3, { stride }));
    x = n.relu(n.add(n.conv(inner, width, 3), shortcut));
    const again = n.relu(n.conv(x, width, 3));
    x = n.relu(n.add(n.conv(again, width, 3), x));
  }
  n.output(n.softmax(n.linear(n.flat(n.averagePool(x)), 1000)));
}

function bottleneck(n: Network, widths: readonly number[], size: number): void {
  let x = n.relu(n.conv(n.input([1, 3, 2 * size, 2 * size]), widths[0]!, 3, { stride: 2 }));
  for (const width of widths)
    for (let i = 0; i < 2; i++) {
      const inner = n.relu(n.conv(x, width / 4, 1));
      const middle = n.relu(n.conv(inner, width / 4, 3, { groups: i > 0 ? 2 : 1 }));
      const wide = n.conv(middle, width, 1);
      x = n.relu(i > 0 ? n.add(wide, x) : wide);
    }
  n.output(n.linear(n.flat(n.averagePool(x)), 100));
}

function separable(n: Network, widths: readonly number[], kernel: number, size: number): void {
  let x = n.clip(n.conv(n.input([1, 3, 2 * size, 2 * size]), widths[0]!, 3, { stride: 2 }));
  for (const [i, width] of widths.entries()) {
    const expanded = n.clip(n.conv(x, 2 * width, 1));
    const stride = i > 0 ? 2 : 1;
    const deep = n.clip(n.conv(expanded, 2 * width, kernel, { groups: 2 * width, stride }));
    x = n.conv(deep, width, 1);
    const wider = n.swish(n.conv(x, 4 * width, 1));
    const deeper = n.swish(n.conv(wider, 4 * width, 3, { groups: 4 * width }));
    x = n.add(n.conv(deeper, width, 1), x);
  }
  n.output(n.linear(n.flat(n.averagePool(x)), 1000));
}

function encoderDecoder(n: Network, width: number, size: number): void {
  const first = n.relu(n.conv(n.input([1, 3, size, size]), width, 5));
  const second = n.relu(n.conv(n.maxPool(first), 2 * width, 5));
  const third = n.tanh(n.conv(n.maxPool(second), 4 * width, 3));
  const up = n.relu(n.conv(n.concat(n.upsample(third), second), 2 * width, 3));
  const last = n.relu(n.conv(n.concat(n.upsample(up), first), width, 5));
  n.output(n.sigmoid(n.conv(last, 8, 1)));
}

interface TransformerSize {
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
}

function transformer(n: Network, { tokens, width, heads }: TransformerSize): void {
  let x = n.input([1, tokens, width]);
  for (let i = 0; i < 2; i++) {
    const normed = n.norm(x);
    const [q, k, v] = [0, 1, 2].map(() => n.heads(n.linear(normed, width), heads)) as [
      string,
      string,
      string,
    ];
    const scores = n.scale(n.product(q, n.transpose(k, [0, 1, 3, 2])), Math.sqrt(heads / width));
    const mixed = n.transpose(n.product(n.softmax(scores), v), [0, 2, 1, 3]);
    x = n.add(x, n.linear(n.reshape(mixed, [1, tokens, width]), width));
    const inner = i > 0 ? n.swish(n.linear(n.norm(x), 4 * width)) : gelu(n, x, 4 * width);
    x = n.add(x, n.linear(inner, width));
  }
  n.output(n.linear(n.norm(x), 512));
}

/** x/2 · (1 + erf(x/√2)), as exporters write it. */
function gelu(n: Network, x: string, width: number): string {
  const wide = n.linear(n.norm(x), width);
  return n.scale(n.multiply(wide, n.shift(n.erf(n.scale(wide, Math.SQRT1_2)), 1)), 0.5);
}

function fullyConnected(n: Network, width: number, rows = 1): void {
  let x = n.input([rows, width]);
  for (const factor of [1, 2, 1]) x = n.relu(n.linear(x, factor * width));
  n.output(n.linear(x, 1000));
}

// ---- building

interface ConvOptions {
  readonly stride?: number;
  readonly groups?: number;
}

type Attributes = Readonly<Record<string, number | readonly number[] | string>>;

/** ONNX nodes one after the other; values are named by their position. */
class Network {
  readonly #nodes: NodeRecord[] = [];
  readonly #weights: Tensor[] = [];
  readonly #dims = new Map<string, readonly number[]>();
  #input: ValueInfo | undefined;
  #output: ValueInfo | undefined;
  #isQuantised = false;

  /** From here on products, and what they read and make, are on 8-bit codes behind QuantizeLinear and DequantizeLinear. */
  quantised(): this {
    this.#isQuantised = true;
    return this;
  }

  input(dims: readonly number[]): string {
    this.#input = tensorValue('input', dims);
    this.#dims.set('input', dims);
    return this.#coded('input');
  }

  output(value: string): void {
    this.#output = tensorValue(value, this.#of(value));
  }

  conv(x: string, width: number, kernel: number, { stride = 1, groups = 1 }: ConvOptions = {}) {
    const [batch, channels, height, breadth] = this.#of(x) as [number, number, number, number];
    const weight = this.#weight([width, channels / groups, kernel, kernel]);
    const bias = this.#isQuantised ? [] : [this.#constant(noise(width, 0.1), [width])];
    const pad = (kernel - 1) >> 1;
    const out = (size: number) => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    return this.#coded(
      this.#node('Conv', [x, weight, ...bias], [batch, width, out(height), out(breadth)], {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        group: groups,
      }),
    );
  }

  linear(x: string, width: number): string {
    const dims = this.#of(x);
    const depth = dims.at(-1)!;
    const product = this.#node(
      'MatMul',
      [x, this.#weight([depth, width])],
      [...dims.slice(0, -1), width],
    );
    if (this.#isQuantised) return this.#coded(product);
    return this.#like('Add', product, [this.#constant(noise(width, 0.1), [width])]);
  }

  product(a: string, b: string): string {
    return this.#node('MatMul', [a, b], [...this.#of(a).slice(0, -1), this.#of(b).at(-1)!]);
  }

  norm(x: string): string {
    const width = this.#of(x).at(-1)!;
    const ones = this.#constant(new Float32Array(width).fill(1), [width]);
    const zeros = this.#constant(new Float32Array(width), [width]);
    return this.#like('LayerNormalization', x, [ones, zeros], { axis: -1 });
  }

  heads(x: string, heads: number): string {
    const [batch, tokens, width] = this.#of(x) as [number, number, number];
    return this.transpose(this.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
  }

  maxPool(x: string): string {
    const [batch, channels, height, breadth] = this.#of(x) as [number, number, number, number];
    const dims = [batch, channels, height / 2, breadth / 2];
    return this.#coded(this.#node('MaxPool', [x], dims, { kernel_shape: [2, 2], strides: [2, 2] }));
  }

  averagePool(x: string): string {
    const [batch, channels] = this.#of(x) as [number, number];
    return this.#coded(this.#node('GlobalAveragePool', [x], [batch, channels, 1, 1]));
  }

  flat(x: string): string {
    const [batch, channels] = this.#of(x) as [number, number];
    return this.#node('Flatten', [x], [batch, channels], { axis: 1 });
  }

  upsample(x: string): string {
    const [batch, channels, height, breadth] = this.#of(x) as [number, number, number, number];
    const scales = this.#constant([1, 1, 2, 2], [4]);
    const dims = [batch, channels, 2 * height, 2 * breadth];
    return this.#node('Resize', [x, '', scales], dims, {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  }

  concat(a: string, b: string): string {
    const [batch, channels, ...rest] = this.#of(a) as [number, number, number, number];
    return this.#node('Concat', [a, b], [batch, channels + this.#of(b)[1]!, ...rest], { axis: 1 });
  }

  reshape(x: string, dims: readonly number[]): string {
    const name = this.#fresh();
    this.#weights.push(int64Tensor(name, dims));
    return this.#node('Reshape', [x, name], dims);
  }

  transpose(x: string, perm: readonly number[]): string {
    const dims = this.#of(x);
    return this.#node(
      'Transpose',
      [x],
      perm.map((axis) => dims[axis]!),
      { perm },
    );
  }

  clip(x: string): string {
    return this.#coded(this.#like('Clip', x, [this.#constant([0], []), this.#constant([6], [])]));
  }

  relu = (x: string): string => this.#coded(this.#like('Relu', x));
  tanh = (x: string): string => this.#like('Tanh', x);
  sigmoid = (x: string): string => this.#like('Sigmoid', x);
  erf = (x: string): string => this.#like('Erf', x);
  softmax = (x: string): string => this.#like('Softmax', x, [], { axis: -1 });
  add = (a: string, b: string): string => this.#coded(this.#like('Add', a, [b]));
  multiply = (a: string, b: string): string => this.#coded(this.#like('Mul', a, [b]));
  swish = (x: string): string => this.multiply(x, this.#coded(this.sigmoid(x)));
  scale = (x: string, by: number): string => this.#like('Mul', x, [this.#constant([by], [])]);
  shift = (x: string, by: number): string => this.#like('Add', x, [this.#constant([by], [])]);

  write(file: string): void {
    const graph = Graph.of({
      ...EMPTY,
      graph: {
        name: 'probe',
        nodes: this.#nodes,
        initializers: this.#weights,
        inputs: [this.#input!],
        outputs: [this.#output!],
        valueInfos: [],
        carried: [],
      },
    });
    graph.requireOpset('', OPSET);
    writeModel(graph.model, graph.toRecord(), graph.opsets, file);
  }

  /** A value as it comes back from its 8-bit codes, in a quantised network. */
  #coded(x: string): string {
    if (!this.#isQuantised) return x;
    const scale = [this.#constant([0.05], []), this.#code('uint8', Uint8Array.of(128), [])];
    const codes = this.#node('QuantizeLinear', [x, ...scale], this.#of(x));
    return this.#node('DequantizeLinear', [codes, ...scale], this.#of(x));
  }

  #weight(dims: readonly number[]): string {
    const count = dims.reduce((a, b) => a * b, 1);
    const depth = dims.length === 2 ? dims[0]! : count / dims[0]!;
    // Uniform of variance 1/depth: what comes out varies as much as what goes in.
    const limit = Math.sqrt(3 / depth);
    if (!this.#isQuantised) return this.#constant(noise(count, limit), dims);
    const codes = new Int8Array(count);
    codes.set(noise(count, 127));
    const name = this.#code('int8', new Uint8Array(codes.buffer), dims);
    const scale = [this.#constant([limit / 127], []), this.#code('int8', Uint8Array.of(0), [])];
    return this.#node('DequantizeLinear', [name, ...scale], dims);
  }

  #constant(values: Float32Array | readonly number[], dims: readonly number[]): string {
    const name = this.#fresh();
    const { buffer } = values instanceof Float32Array ? values : Float32Array.from(values);
    this.#weights.push(makeTensor(name, 'float32', dims, new Uint8Array(buffer)));
    return name;
  }

  #code(type: 'int8' | 'uint8', bytes: Uint8Array, dims: readonly number[]): string {
    const name = this.#fresh();
    this.#weights.push(makeTensor(name, type, dims, bytes));
    return name;
  }

  #like(op: string, x: string, others: readonly string[] = [], attributes: Attributes = {}) {
    return this.#node(op, [x, ...others], this.#of(x), attributes);
  }

  #node(
    op: string,
    inputs: readonly string[],
    dims: readonly number[],
    attributes: Attributes = {},
  ): string {
    const output = this.#fresh();
    this.#dims.set(output, dims);
    this.#nodes.push({
      name: '',
      op,
      domain: '',
      overload: '',
      inputs,
      outputs: [output],
      attributes: new Map(
        Object.entries(attributes).map(([name, value]) => [name, { name, value: asValue(value) }]),
      ),
      metadata: new Map(),
      carried: [],
    });
    return output;
  }

  #of = (value: string): readonly number[] => this.#dims.get(value)!;
  #fresh = (): string => `v${this.#nodes.length}_${this.#weights.length}`;
}

const OPSET = 17;
/** IR version 8, without operator sets, and an empty graph. */
const EMPTY = readModelBytes(Uint8Array.of(8, 8, 0x3a, 0));

const tensorValue = (name: string, shape: readonly number[]): ValueInfo => ({
  name,
  type: { kind: 'tensor', elementType: 'float32', shape },
});

function asValue(value: Attributes[string]): AttributeValue {
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'number') return { kind: 'int', value };
  return { kind: 'ints', value };
}

/** Repeatable numbers between −limit and limit; of many, the first ones again and again. */
function noise(count: number, limit: number): Float32Array {
  const out = new Float32Array(count);
  let state = 1;
  for (let i = 0; i < Math.min(count, PERIOD); i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = limit * (state / 2 ** 31 - 1);
  }
  for (let i = PERIOD; i < count; i += PERIOD) out.copyWithin(i, 0, Math.min(PERIOD, count - i));
  return out;
}

/** Odd, so that no two rows of a matrix are alike. */
const PERIOD = 65_537;
