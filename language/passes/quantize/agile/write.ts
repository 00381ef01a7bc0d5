/**
 * Matrix layers on codes: activations rounded token by token as they come, weights of 4 bits, and their product in integers.
 * ONNX Runtime has no kernels for 4-bit activations; codes stand in bytes, and MatMulInteger computes what a product of 4-bit
 * codes would, to the bit.
 */
import type { Graph, Node } from '../../../graph/graph';

import { elementCount, packInt64 } from '../../../onnx/tensor';
import { floatBytes, Inserter } from '../../inserter';
import type { Linear } from '../../linear';
import { removeRead, weightInputs, type WeightInput } from '../../weights';
import type { Rounded } from '../rounding/blockwise';

/** Of weights: they are stored as signed bytes. */
const MIDDLE = 8;
const [FLOAT32, UINT8] = [1, 2];
/** Keeps the scale of a token that is nothing but zero from being zero. */
export const SMALLEST_SCALE = 1e-30;

/** Codes of a value and what they mean: x ≈ scale·(codes + zero), scale and zero one per token. */
interface Coded {
  readonly codes: string;
  readonly scale: string;
  readonly zero: string;
}

export class TokenWiseWriter {
  readonly #inserter: Inserter;
  readonly #coded = new Map<string, Coded>();

  /** @param open whether weights are not rounded yet */
  constructor(
    private readonly graph: Graph,
    private readonly open: boolean,
  ) {
    this.#inserter = new Inserter(graph);
  }

  quantiseLayer(layer: Linear, bits: 4 | 8, rounded: () => Rounded): void {
    const { graph } = this;
    const node = graph.node(layer.node)!;
    const bias = node.inputs[2];
    const output = node.outputs[0]!;
    const [read] = weightInputs(graph, node) as [WeightInput];
    const { source } = read;
    const { codes, scale, zero } = this.#codesOf(layer.activation, bits, node);
    const insert = this.#insert(node, output);
    const { columns } = layer;
    const density = () => ({ nonzeros: elementCount([layer.rows, columns]), estimated: true });
    const weights = this.#inserter.constant(
      `${source}/codes`,
      'int8',
      [layer.rows, columns],
      () => Uint8Array.from(rounded().codes, (code) => code - MIDDLE),
      this.open ? density : undefined,
    );
    const weightZero = this.#inserter.constant(`${source}/zero_point`, 'int8', [columns], () =>
      Uint8Array.from(rounded().zeroPoints, (zeroPoint) => zeroPoint - MIDDLE),
    );
    const sums = this.#inserter.constant(`${source}/sums`, 'float32', [columns], () =>
      floatBytes(columnSums(rounded())),
    );
    const weightScale = this.#inserter.constant(`${source}/scale`, 'float32', [columns], () =>
      floatBytes(rounded().scales),
    );
    const product = graph.freshValue(`${output}/product`);
    graph.replace(node.id, {
      op: 'MatMulInteger',
      domain: '',
      inputs: [codes, weights, '', weightZero],
      outputs: [product],
      attributes: new Map(),
    });
    const real = insert('Cast', [product], 'real', { to: FLOAT32 });
    const shifted = insert('Add', [real, insert('Mul', [zero, sums], 'shift')], 'shifted');
    const scaled = insert(
      'Mul',
      [shifted, insert('Mul', [scale, weightScale], 'scales')],
      'scaled',
    );
    if (bias) this.#inserter.insert('Add', [scaled, bias], output, node);
    else graph.renameOutput(graph.producer(scaled)!.id, scaled, output);
    removeRead(graph, read);
  }

  #codesOf(value: string, bits: 4 | 8, near: Node): Coded {
    const known = this.#coded.get(value);
    if (known) return known;
    const insert = this.#insert(near, value);
    const number = (name: string, x: number) =>
      this.#inserter.constant(`${value}/${name}`, 'float32', [], () => floatBytes([x]));
    const none = number('none', 0);
    const most = number('most', 2 ** bits - 1);
    const high = insert('Max', [this.#reduce('ReduceMax', value, near), none], 'high');
    const low = insert('Min', [this.#reduce('ReduceMin', value, near), none], 'low');
    const step = insert('Div', [insert('Sub', [high, low], 'range'), most], 'step');
    const scale = insert('Max', [step, number('smallest', SMALLEST_SCALE)], 'token_scale');
    const zero = insert('Round', [insert('Div', [low, scale], 'low_steps')], 'token_zero');
    const steps = insert('Round', [insert('Div', [value, scale], 'steps')], 'rounded');
    const above = insert('Max', [insert('Sub', [steps, zero], 'above'), none], 'from_zero');
    const clipped = insert('Min', [above, most], 'clipped');
    const codes = insert('Cast', [clipped], 'codes', { to: UINT8 });
    const coded = { codes, scale, zero };
    this.#coded.set(value, coded);
    return coded;
  }

  /** Over the last axis; axes became an input with operator set 18. */
  #reduce(op: 'ReduceMax' | 'ReduceMin', value: string, near: Node): string {
    const output = this.graph.freshValue(`${value}/${op}`);
    const keepdims = { kind: 'int', value: 1 } as const;
    if (this.graph.opset < 18)
      return this.#inserter.insert(op, [value], output, near, {
        attributes: { keepdims, axes: { kind: 'ints', value: [-1] } },
      });
    const axes = this.#inserter.constant(`${value}/axes`, 'int64', [1], () => packInt64([-1]));
    return this.#inserter.insert(op, [value, axes], output, near, { attributes: { keepdims } });
  }

  #insert(near: Node, base: string) {
    return (
      op: string,
      inputs: readonly string[],
      part: string,
      ints: Readonly<Record<string, number>> = {},
    ) =>
      this.#inserter.insert(op, inputs, this.graph.freshValue(`${base}/${part}`), near, {
        attributes: Object.fromEntries(
          Object.entries(ints).map(([name, value]) => [name, { kind: 'int', value } as const]),
        ),
      });
  }
}

/** Σ over input channels of the weights in steps, per output. */
function columnSums({ rows, columns, codes, zeroPoints }: Rounded): Float32Array {
  const out = new Float32Array(columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column]! += codes[row * columns + column]! - zeroPoints[column]!;
  return out;
}
