/** Puts nodes and constants into a graph under free names. */
import type { Graph, Node } from '../graph/graph';
import type { AttributeValue, Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';

export class Inserter {
  constructor(private readonly graph: Graph) {}

  /** @returns the output, which takes the name as given */
  insert(
    op: string,
    inputs: readonly string[],
    output: string,
    near: Node,
    { domain = '', attributes = {} }: InsertOptions = {},
  ): string {
    const name = `${output}/${op}`;
    this.graph.insert({ op, name, domain, inputs, outputs: [output], attributes }, near);
    return output;
  }

  /** A constant that is computed when the model is written, so that a preview costs no arithmetic. */
  constant(
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

interface InsertOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

export const floatBytes = (values: ArrayLike<number>): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer);
