/** Language models as PyTorch exports them, of any size; their weights are zeros that take no space on disk. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { ByteSource } from '../../../language/onnx/source';
import { MessageBuilder } from '../../../language/onnx/wire';

export interface DecoderSize {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly vocabulary: number;
  /** Weights in a file beside the model. */
  readonly external: boolean;
}

/** Writes the model; answers its number of nodes and the bytes of its weights. */
export function writeDecoder(file: string, size: DecoderSize): { nodes: number; weights: number } {
  const decoder = new Decoder(size, `${path.basename(file)}.data`);
  const model = new MessageBuilder()
    .int(1, 8)
    .text(2, 'bench')
    .message(8, new MessageBuilder().text(1, '').int(2, 17))
    .message(7, decoder.graph());
  writeSparsely(file, model);
  if (size.external) writeSparsely(`${file}.data`, zeros(decoder.weightBytes));
  return { nodes: decoder.nodes, weights: decoder.weightBytes };
}

class Zeros implements ByteSource {
  constructor(readonly size: number) {}
  read(start: number, end: number): Uint8Array {
    return new Uint8Array(end - start);
  }
}

const zeros = (length: number): MessageBuilder =>
  new MessageBuilder().verbatim({ source: new Zeros(length), start: 0, end: length });

/** Zeros are left out: a hole in the file reads as zeros. */
function writeSparsely(file: string, { pieces, byteLength }: MessageBuilder): void {
  const descriptor = openSync(file, 'w');
  let at = 0;
  for (const piece of pieces) {
    if (piece.kind === 'bytes') writeSync(descriptor, piece.bytes, 0, piece.bytes.byteLength, at);
    at += piece.kind === 'span' ? piece.span.end - piece.span.start : pieceBytes(piece);
  }
  ftruncateSync(descriptor, byteLength);
  closeSync(descriptor);
}

const pieceBytes = (piece: { bytes?: Uint8Array; byteLength?: number }): number =>
  piece.bytes?.byteLength ?? piece.byteLength ?? 0;

type Attributes = Readonly<Record<string, number | readonly number[]>>;

class Decoder {
  nodes = 0;
  weightBytes = 0;
  readonly #graph = new MessageBuilder();
  #scope = '';

  constructor(
    private readonly size: DecoderSize,
    private readonly location: string,
  ) {}

  graph(): MessageBuilder {
    const { layers, width, vocabulary } = this.size;
    this.#graph.text(2, 'decoder');
    let hidden = this.#in('/model/embed_tokens', () =>
      this.#node('Gather', [this.#weight('model.embed_tokens.weight', vocabulary, width), 'ids']),
    );
    for (let i = 0; i < layers; i++) hidden = this.#layer(`/model/layers.${i}`, hidden);
    const last = this.#norm('/model/norm', hidden);
    const logits = this.#linear('/lm_head', last, width, vocabulary);
    this.#value(11, 'ids', 7, ['batch', 'sequence']);
    this.#value(11, 'cos', 1, ['sequence', width / this.size.heads]);
    this.#value(11, 'sin', 1, ['sequence', width / this.size.heads]);
    this.#value(11, 'mask', 1, ['batch', 1, 'sequence', 'sequence']);
    this.#value(12, logits, 1, ['batch', 'sequence', vocabulary]);
    return this.#graph;
  }

  #layer(scope: string, hidden: string): string {
    const { width, heads } = this.size;
    const attention = `${scope}/self_attn`;
    const normed = this.#norm(`${scope}/input_layernorm`, hidden);
    const [query, key, value] = ['q_proj', 'k_proj', 'v_proj'].map((name) => {
      const projected = this.#linear(`${attention}/${name}`, normed, width, width);
      return this.#in(attention, () => this.#split(projected, heads, width / heads));
    }) as [string, string, string];
    const [turnedQuery, turnedKey] = [query, key].map((each) =>
      this.#in(attention, () => this.#rotate(each, width / heads)),
    ) as [string, string];
    const joined = this.#in(attention, () => {
      const transposed = this.#node('Transpose', [turnedKey], { perm: [0, 1, 3, 2] });
      const scores = this.#node('MatMul', [turnedQuery, transposed]);
      const scaled = this.#node('Div', [scores, this.#scalar(Math.sqrt(width / heads))]);
      const weights = this.#node('Softmax', [this.#node('Add', [scaled, 'mask'])], { axis: -1 });
      const mixed = this.#node('MatMul', [weights, value]);
      const back = this.#node('Transpose', [mixed], { perm: [0, 2, 1, 3] });
      return this.#node('Reshape', [back, this.#shapeLike(back, [width])]);
    });
    const attended = this.#linear(`${attention}/o_proj`, joined, width, width);
    const middle = this.#in(scope, () => this.#node('Add', [hidden, attended]));
    const fed = this.#norm(`${scope}/post_attention_layernorm`, middle);
    const gate = this.#linear(`${scope}/mlp/gate_proj`, fed, width, 2 * width);
    const up = this.#linear(`${scope}/mlp/up_proj`, fed, width, 2 * width);
    const gated = this.#in(`${scope}/mlp`, () => {
      const open = this.#in(`${scope}/mlp/act_fn`, () =>
        this.#node('Mul', [gate, this.#node('Sigmoid', [gate])]),
      );
      return this.#node('Mul', [open, up]);
    });
    const down = this.#linear(`${scope}/mlp/down_proj`, gated, 2 * width, width);
    return this.#in(scope, () => this.#node('Add', [middle, down]));
  }

  #norm(scope: string, hidden: string): string {
    return this.#in(scope, () => {
      const square = this.#node('Pow', [hidden, this.#scalar(2)]);
      const mean = this.#node('ReduceMean', [square], { axes: [-1] });
      const root = this.#node('Sqrt', [this.#node('Add', [mean, this.#scalar(1e-6)])]);
      const scaled = this.#node('Mul', [hidden, this.#node('Div', [this.#scalar(1), root])]);
      const weight = this.#weight(`${scope.slice(1).replaceAll('/', '.')}.weight`, this.size.width);
      return this.#node('Mul', [weight, scaled]);
    });
  }

  #linear(scope: string, input: string, rows: number, columns: number): string {
    const name = `${scope.slice(1).replaceAll('/', '.')}.weight`;
    return this.#in(scope, () => this.#node('MatMul', [input, this.#weight(name, rows, columns)]));
  }

  #split(value: string, heads: number, width: number): string {
    const shaped = this.#node('Reshape', [value, this.#shapeLike(value, [heads, width])]);
    return this.#node('Transpose', [shaped], { perm: [0, 2, 1, 3] });
  }

  /** Batch and sequence of a value, read from it, and more axes behind them. */
  #shapeLike(value: string, more: readonly number[]): string {
    const [batch, sequence] = [0, 1].map((axis) => {
      const dim = this.#node('Gather', [this.#node('Shape', [value]), this.#longs(axis)], {
        axis: 0,
      });
      return this.#node('Unsqueeze', [dim, this.#longs([0])]);
    }) as [string, string];
    const rest = more.map((size) => this.#longs([size]));
    return this.#node('Concat', [batch, sequence, ...rest], { axis: 0 });
  }

  #rotate(value: string, width: number): string {
    const part = (from: number, to: number) =>
      this.#node('Slice', [value, this.#longs([from]), this.#longs([to]), this.#longs([3])]);
    const [first, second] = [part(0, width / 2), part(width / 2, width)];
    const turned = this.#node('Concat', [this.#node('Neg', [second]), first], { axis: -1 });
    return this.#node('Add', [
      this.#node('Mul', [value, 'cos']),
      this.#node('Mul', [turned, 'sin']),
    ]);
  }

  #in<T>(scope: string, make: () => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    const made = make();
    this.#scope = outer;
    return made;
  }

  #node(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = `${this.#scope}/${op}_${this.nodes}`;
    const node = new MessageBuilder();
    for (const input of inputs) node.text(1, input);
    node.text(2, `${name}_output_0`).text(3, name).text(4, op);
    for (const [key, value] of Object.entries(attributes)) {
      const attribute = new MessageBuilder().text(1, key);
      if (typeof value === 'number') attribute.int(3, value).int(20, 2);
      else {
        for (const number of value) attribute.int(8, number);
        attribute.int(20, 7);
      }
      node.message(5, attribute);
    }
    this.#graph.message(1, node);
    this.nodes++;
    return `${name}_output_0`;
  }

  #constant(tensor: MessageBuilder): string {
    const name = `${this.#scope}/Constant_${this.nodes}`;
    const attribute = new MessageBuilder().text(1, 'value').message(5, tensor).int(20, 4);
    this.#graph.message(
      1,
      new MessageBuilder()
        .text(2, `${name}_output_0`)
        .text(3, name)
        .text(4, 'Constant')
        .message(5, attribute),
    );
    this.nodes++;
    return `${name}_output_0`;
  }
  #scalar(value: number): string {
    const bytes = new Uint8Array(Float32Array.of(value).buffer);
    return this.#constant(new MessageBuilder().int(2, 1).bytes(9, bytes));
  }
  #longs(value: number | readonly number[]): string {
    const values = typeof value === 'number' ? [value] : value;
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    const tensor = new MessageBuilder();
    if (typeof value !== 'number') tensor.int(1, value.length);
    return this.#constant(tensor.int(2, 7).bytes(9, bytes));
  }

  #weight(name: string, ...dims: number[]): string {
    const length = 4 * dims.reduce((a, b) => a * b, 1);
    const tensor = new MessageBuilder();
    for (const dim of dims) tensor.int(1, dim);
    tensor.int(2, 1).text(8, name);
    if (this.size.external) {
      const entries = { location: this.location, offset: this.weightBytes, length };
      for (const [key, value] of Object.entries(entries))
        tensor.message(13, new MessageBuilder().text(1, key).text(2, String(value)));
      tensor.int(14, 1);
    } else tensor.payload(9, zeros(length).pieces[0]!);
    this.weightBytes += length;
    this.#graph.message(5, tensor);
    return name;
  }

  #value(field: number, name: string, code: number, dims: readonly (number | string)[]): void {
    const shape = new MessageBuilder();
    for (const dim of dims) {
      const entry = new MessageBuilder();
      shape.message(1, typeof dim === 'number' ? entry.int(1, dim) : entry.text(2, dim));
    }
    const tensor = new MessageBuilder().int(1, code).message(2, shape);
    const type = new MessageBuilder().message(1, tensor);
    this.#graph.message(field, new MessageBuilder().text(1, name).message(2, type));
  }
}
