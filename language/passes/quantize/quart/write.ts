/**
 * Writes layers with codes of a few bits as QuantizeLinear and DequantizeLinear. Operator sets before 21 know no codes of 4
 * bits; ONNX Runtime has the same operators, with them, in a domain of its own.
 */
import type { Graph, Node } from '../../../graph/graph';
import type { Tensor } from '../../../onnx/model';
import { elementCount } from '../../../onnx/tensor';
import { floatBytes, Inserter } from '../../inserter';
import type { Layer } from '../../layers';
import { removeRead } from '../../weights';
import type { Group } from './arrangement';
import type { Coded } from './decisions';
import type { Form, Quantiser } from './polish';
import type { Shape } from './rows';

const MICROSOFT = 'com.microsoft';
const INT4_SINCE = 21;

/** Two codes of 4 bits to a byte, the first one low. */
export function packCodes(codes: Uint8Array, bits: 4 | 8): Uint8Array {
  if (bits === 8) return codes;
  const out = new Uint8Array(Math.ceil(codes.length / 2));
  codes.forEach((code, i) => (out[i >> 1]! |= code << (4 * (i & 1))));
  return out;
}

export class FewBitsWriter {
  readonly #inserter: Inserter;
  readonly #domain: string;

  /** @param open whether codes are not decided yet */
  constructor(
    private readonly graph: Graph,
    private readonly open: boolean,
  ) {
    this.#inserter = new Inserter(graph);
    this.#domain = graph.opset >= INT4_SINCE ? '' : MICROSOFT;
    if (this.#domain) graph.requireOpset(this.#domain, 1);
  }

  /** Lets layers read a value as codes: polished, rounded, and back. */
  quantiseActivation(
    { value, axis, rank, channels, layers }: Group,
    { bits, polished, axis: along }: Form,
    quantiser: () => Quantiser,
  ): void {
    const { graph } = this;
    const near = graph.node(layers[0]!.node)!;
    const dims = along === undefined ? [] : [channels];
    const broadcast =
      along === undefined ? [] : [channels, ...new Array<number>(rank - 1 - axis).fill(1)];
    const insert = (op: string, inputs: readonly string[], part: string) =>
      this.#inserter.insert(op, inputs, graph.freshValue(`${value}/${part}`), near);
    const alpha = (part: string, of: (alpha: number) => number) =>
      this.#inserter.constant(`${value}/${part}`, 'float32', broadcast, () =>
        floatBytes(quantiser().alpha!.map(of)),
      );
    const one = polished
      ? this.#inserter.constant(`${value}/one`, 'float32', [], () => floatBytes([1]))
      : '';
    let real = value;
    if (polished) {
      const scaled = insert('Mul', [value, alpha('per_alpha', (a) => 1 / a)], 'by_alpha');
      const size = insert('Add', [insert('Abs', [scaled], 'size'), one], 'shifted');
      real = insert(
        'Mul',
        [insert('Log', [size], 'logarithm'), insert('Sign', [value], 'sign')],
        'polished',
      );
    }
    const parameters = [
      this.#inserter.constant(`${value}/scale`, 'float32', dims, () =>
        floatBytes(quantiser().scale),
      ),
      this.#inserter.constant(`${value}/zero_point`, bits === 4 ? 'uint4' : 'uint8', dims, () =>
        packCodes(quantiser().zeroPoint, bits),
      ),
    ];
    const codes = this.#linear(
      'QuantizeLinear',
      [real, ...parameters],
      `${value}/codes`,
      near,
      along,
    );
    let restored = this.#linear(
      'DequantizeLinear',
      [codes, ...parameters],
      `${value}/restored`,
      near,
      along,
    );
    if (polished) {
      const grown = insert('Exp', [insert('Abs', [restored], 'restored_size')], 'grown');
      const size = insert('Sub', [grown, one], 'unpolished_size');
      const signed = insert('Mul', [size, insert('Sign', [restored], 'restored_sign')], 'signed');
      restored = insert('Mul', [signed, alpha('alpha', (a) => a)], 'unpolished');
    }
    for (const { node } of layers) graph.setInput(node, 0, restored);
  }

  quantiseLayer(layer: Layer, shape: Shape, bits: 4 | 8, coded: () => Coded): void {
    const { graph } = this;
    const node = graph.node(layer.node)!;
    const { source, tensor } = layer.weight;
    const dims = layer.kind === 'conv' ? tensor.dims : [shape.rows, shape.columns];
    const outputs = shape.groups * shape.columns;
    const density: Tensor['density'] = () => ({ nonzeros: elementCount(dims), estimated: true });
    const type = bits === 4 ? 'uint4' : 'uint8';
    const codes = this.#inserter.constant(
      `${source}/codes`,
      type,
      dims,
      () =>
        packCodes(layer.kind === 'conv' ? inStorage(coded().codes, shape) : coded().codes, bits),
      this.open ? density : undefined,
    );
    const scale = this.#inserter.constant(`${source}/scale`, 'float32', [outputs], () =>
      floatBytes(coded().grid.scales),
    );
    const zero = this.#inserter.constant(`${source}/zero_point`, type, [outputs], () =>
      packCodes(coded().grid.zeroPoints, bits),
    );
    const axis = layer.kind === 'conv' ? 0 : 1;
    const restored = this.#linear(
      'DequantizeLinear',
      [codes, scale, zero],
      `${source}/restored`,
      node,
      axis,
    );
    graph.setInput(node.id, 1, restored);
    if (node.attributes.has('transB'))
      graph.setAttribute(node.id, 'transB', { kind: 'int', value: 0 });
    removeRead(graph, layer.weight);
  }

  #linear(
    op: string,
    inputs: readonly string[],
    output: string,
    near: Node,
    axis: number | undefined,
  ): string {
    const attributes = axis === undefined ? {} : { axis: { kind: 'int', value: axis } as const };
    return this.#inserter.insert(op, inputs, this.graph.freshValue(output), near, {
      domain: this.#domain,
      attributes,
    });
  }
}

/** K × N codes of each group as convolutions store them: N × K. */
function inStorage(codes: Uint8Array, { groups, rows, columns }: Shape): Uint8Array {
  const out = new Uint8Array(codes.length);
  for (let group = 0; group < groups; group++) {
    const from = group * rows * columns;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        out[from + column * rows + row] = codes[from + row * columns + column]!;
  }
  return out;
}
