/**
 * What every matcher asks of a graph: which values depend on the data it is fed, the order of the nodes, small constants.
 * Gathered once, in one pass over the nodes; edits of the graph need a new view.
 */
import type { Shape } from '../../onnx/model';
import type { Facts } from '../facts';
import { captures, intAttribute, intsAttribute, type Graph, type Node } from '../graph';

/** Nodes that hand their input on as it is, in another precision at most. */
const PASSING = new Set([
  'Identity',
  'Cast',
  'CastLike',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
]);
/** Nodes that only give the elements another arrangement. */
const REARRANGING = new Set(['Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const RANDOM = /^(Random|Bernoulli|Multinomial)/;

export const isPassing = (node: Node): boolean => PASSING.has(node.op);
export const isRearranging = (node: Node): boolean => REARRANGING.has(node.op);

export class View {
  readonly #position = new Map<string, number>();
  readonly #static = new Set<string>(['']);

  constructor(
    readonly graph: Graph,
    readonly facts: Facts,
  ) {
    graph.order.forEach((node, i) => this.#position.set(node.id, i));
    for (const name of graph.initializers.keys()) this.#static.add(name);
    for (const node of graph.order)
      if (this.#makesStatic(node)) for (const output of node.outputs) this.#static.add(output);
  }

  #makesStatic(node: Node): boolean {
    if (node.op === 'Shape' || node.op === 'Size') return true;
    if (RANDOM.test(node.op)) return false;
    return (
      node.inputs.every((value) => this.#static.has(value)) &&
      captures(node).every((value) => this.#static.has(value))
    );
  }

  get nodes(): readonly Node[] {
    return this.graph.order;
  }

  /** Place of a node in topological order; before all nodes for what no node makes. */
  position(value: string): number {
    const producer = this.graph.producer(value);
    return producer ? this.#position.get(producer.id)! : -1;
  }

  /** Whether a value depends on no data: a weight or what is computed of weights and shapes alone. */
  isStatic(value: string): boolean {
    return this.#static.has(value);
  }

  shape(value: string): Shape | undefined {
    return this.facts.value(value).shape;
  }
  rank(value: string): number | undefined {
    return this.shape(value)?.length;
  }
  /** A dimension where it is a number; negative axes count from the end. */
  dim(value: string, axis: number): number | undefined {
    const dim = this.shape(value)?.at(axis);
    return typeof dim === 'number' ? dim : undefined;
  }
  /** Whether a value is one number for all elements. */
  isScalar(value: string): boolean {
    return this.shape(value)?.every((dim) => dim === 1) === true;
  }

  /** The elements of a small value that is known. */
  numbers(value: string | undefined): readonly number[] | undefined {
    const elements = value ? this.facts.value(value).elements?.elements : undefined;
    return elements?.every((element) => typeof element === 'number') ? elements : undefined;
  }
  scalar(value: string | undefined): number | undefined {
    const numbers = this.numbers(value);
    return numbers?.length === 1 ? numbers[0] : undefined;
  }

  /** Nodes that compute with a value; those that only ask for its shape are left out. */
  readers(value: string): readonly Node[] {
    return this.graph
      .consumers(value)
      .filter((reader) => reader.op !== 'Shape' && reader.op !== 'Size');
  }
  /** The node that alone computes with a value, where there is exactly one and the value is no output of the graph. */
  onlyReader(value: string): Node | undefined {
    const readers = this.readers(value);
    return readers.length === 1 && !this.graph.isOutput(value) ? readers[0] : undefined;
  }

  /** Where a value comes from, through nodes that hand it on and others named by `also`. */
  source(value: string, also: (node: Node) => boolean = () => false): string {
    let at = value;
    for (
      let node = this.graph.producer(at);
      node && (isPassing(node) || also(node));
      node = this.graph.producer(at)
    ) {
      const next = node.inputs[0];
      if (!next || this.isStatic(next)) break;
      at = next;
    }
    return at;
  }

  /** The node that makes a value, behind nodes that hand it on. */
  maker(value: string): Node | undefined {
    return this.graph.producer(this.source(value));
  }

  /** The axes of a node that names some, by attribute or input, from 0; undefined where they are not known. */
  axes(node: Node, input = 1): readonly number[] | undefined {
    const rank = this.rank(node.inputs[0] ?? '');
    const given = intsAttribute(node, 'axes') ?? this.numbers(node.inputs[input]);
    if (rank === undefined || !given) return undefined;
    return given.map((axis) => (axis < 0 ? axis + rank : axis));
  }
  /** The `axis` attribute of a node, from 0. */
  axis(node: Node, otherwise: number): number | undefined {
    const rank = this.rank(node.inputs[0] ?? '');
    const axis = intAttribute(node, 'axis', otherwise);
    return axis >= 0 ? axis : rank === undefined ? undefined : axis + rank;
  }
}

/** The input of a node with two inputs that is not `value`. */
export const otherInput = (node: Node, value: string): string =>
  (node.inputs[0] === value ? node.inputs[1] : node.inputs[0]) ?? '';

/** Whether a node multiplies or divides by one static number, and the factor if it is known. */
export function scaleFactor(view: View, node: Node): { factor: number | undefined } | undefined {
  if (node.op !== 'Mul' && node.op !== 'Div') return undefined;
  const [a = '', b = ''] = node.inputs;
  const other = node.op === 'Mul' && view.isStatic(a) ? a : b;
  if (!view.isStatic(other) || !view.isScalar(other)) return undefined;
  const number = view.scalar(other);
  return { factor: node.op === 'Div' && number !== undefined ? 1 / number : number };
}

export const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
