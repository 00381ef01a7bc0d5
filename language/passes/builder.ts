/** Puts nodes into a graph one after another, in the spelling of the model's operator set (11 or later). */
import type { Graph, Node } from '../graph/graph';
import type { Attribute, AttributeValue } from '../onnx/model';
import { elementCode, type ElementType } from '../onnx/schema';
import { float32Tensor, int64Tensor, makeTensor } from '../onnx/tensor';

export const int = (value: number): AttributeValue => ({ kind: 'int', value });
/** All the attributes of a node that has no others than whole numbers. */
export const intAttributes = (
  numbers: Readonly<Record<string, number>>,
): ReadonlyMap<string, Attribute> =>
  new Map(Object.entries(numbers).map(([name, value]) => [name, { name, value: int(value) }]));
const ints = (value: readonly number[]): AttributeValue => ({ kind: 'ints', value });

export class Builder {
  constructor(
    private readonly graph: Graph,
    private readonly near: Node,
    private readonly prefix: string,
  ) {}

  node(
    op: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const output = this.graph.freshValue(`${this.prefix}/${name}`);
    this.graph.insert({ op, name: output, inputs, outputs: [output], attributes }, this.near);
    return output;
  }

  cast(value: string, name: string, type: ElementType): string {
    return this.node('Cast', name, [value], { to: int(elementCode(type)) });
  }

  /** int64; a scalar where `dims` is empty. */
  constant(name: string, values: readonly number[], dims = [values.length]): string {
    const value = this.graph.freshValue(`${this.prefix}/${name}`);
    this.graph.setInitializer(int64Tensor(value, values, dims));
    return value;
  }

  number(name: string, value: number): string {
    const constant = this.graph.freshValue(`${this.prefix}/${name}`);
    this.graph.setInitializer(float32Tensor(constant, [value], []));
    return constant;
  }

  /** A uint8, such as a zero point. */
  byte(name: string, value: number): string {
    const constant = this.graph.freshValue(`${this.prefix}/${name}`);
    this.graph.setInitializer(makeTensor(constant, 'uint8', [], Uint8Array.of(value)));
    return constant;
  }

  /** @param ranges axis, start and end of each sliced axis */
  slice(
    value: string,
    name: string,
    ranges: readonly (readonly [number, number, number])[],
  ): string {
    const column = (at: 0 | 1 | 2, label: string) =>
      this.constant(
        `${name}_${label}`,
        ranges.map((range) => range[at]),
      );
    return this.node('Slice', name, [
      value,
      column(1, 'starts'),
      column(2, 'ends'),
      column(0, 'axes'),
    ]);
  }

  reduceMean(value: string, name: string, axes: readonly number[]): string {
    return this.reduce('ReduceMean', value, name, axes, false);
  }

  reduce(
    op: 'ReduceMean' | 'ReduceMin' | 'ReduceMax',
    value: string,
    name: string,
    axes: readonly number[],
    keep: boolean,
  ): string {
    const keepdims = int(Number(keep));
    if (this.graph.opset < 18) return this.node(op, name, [value], { axes: ints(axes), keepdims });
    return this.node(op, name, [value, this.constant(`${name}_axes`, axes)], { keepdims });
  }

  /** Matrices on their side. @param rank of the value */
  turned(value: string, name: string, rank: number): string {
    const others = Array.from({ length: rank - 2 }, (_, axis) => axis);
    return this.node('Transpose', name, [value], { perm: ints([...others, rank - 1, rank - 2]) });
  }

  unsqueeze(value: string, name: string, ...axes: readonly number[]): string {
    return this.#withAxes('Unsqueeze', value, name, axes);
  }

  squeeze(value: string, name: string, ...axes: readonly number[]): string {
    return this.#withAxes('Squeeze', value, name, axes);
  }

  #withAxes(op: string, value: string, name: string, axes: readonly number[]): string {
    if (this.graph.opset < 13) return this.node(op, name, [value], { axes: ints(axes) });
    return this.node(op, name, [value, this.constant(`${name}_axes`, axes)]);
  }

  /** @param k a number, or the value that holds it */
  topk(
    value: string,
    name: string,
    k: number | string,
    order: { readonly largest: boolean; readonly sorted: boolean },
  ): { values: string; indices: string } {
    const [values, indices] = [`${name}_values`, `${name}_indices`].map((output) =>
      this.graph.freshValue(`${this.prefix}/${output}`),
    ) as [string, string];
    this.graph.insert(
      {
        op: 'TopK',
        name: `${this.prefix}/${name}`,
        inputs: [value, typeof k === 'number' ? this.constant(`${name}_k`, [k]) : k],
        outputs: [values, indices],
        attributes: {
          axis: int(-1),
          largest: int(Number(order.largest)),
          sorted: int(Number(order.sorted)),
        },
      },
      this.near,
    );
    return { values, indices };
  }
}
