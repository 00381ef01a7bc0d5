/** Turns some nodes of a graph to 16-bit floating point, with conversions where they meet others. */
import type { Graph, Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { packFloats, tensorNumbers } from '../onnx/tensor';
import { Inserter } from './inserter';

/** Of ONNX's TensorProto.DataType. */
const FLOAT = 1;
const FLOAT16 = 10;
const LARGEST_HALF = 65_504;

export class HalfWriter {
  readonly #inserter: Inserter;
  /** The names of values in 16 bits, by the name of the value in the graph before. */
  readonly #halves = new Map<string, string>();
  readonly #floats = new Map<string, string>();

  /**
   * @param chosen nodes that compute in 16 bits; none of their results is read by bodies of control flow
   * @param isFloat whether a value of the graph before has 32 bits
   */
  constructor(
    private readonly graph: Graph,
    private readonly chosen: ReadonlySet<string>,
    private readonly isFloat: (value: string) => boolean,
  ) {
    this.#inserter = new Inserter(graph);
  }

  write(): void {
    const { graph, chosen } = this;
    const nodes = graph.order;
    const made = new Set<string>();
    for (const { id, outputs } of nodes)
      if (chosen.has(id)) for (const output of outputs) if (this.isFloat(output)) made.add(output);
    for (const value of made) this.#halves.set(value, value);
    const replaced = new Set<string>();
    for (const node of nodes) {
      const inputs = node.inputs.map((input) => {
        if (input === '' || !this.isFloat(input)) return input;
        if (!chosen.has(node.id)) return made.has(input) ? this.#floatOf(input, node) : input;
        const half = this.#halfOf(input, node);
        if (half !== input) replaced.add(input);
        return half;
      });
      if (inputs.some((input, i) => input !== node.inputs[i])) graph.replace(node.id, { inputs });
    }
    for (const { name } of graph.outputs) if (made.has(name)) this.#restoreOutput(name);
    graph.dropValueInfos(({ name }) => !made.has(name));
    graph.removeUnused([...replaced]);
  }

  #halfOf(value: string, near: Node): string {
    const known = this.#halves.get(value);
    if (known !== undefined) return known;
    const name = this.graph.freshValue(`${value}_half`);
    const constant = this.graph.constant(value);
    if (constant) this.graph.setInitializer(halved(constant, name));
    else this.#cast(value, name, FLOAT16, near);
    this.#halves.set(value, name);
    return name;
  }

  #floatOf(value: string, near: Node): string {
    const known = this.#floats.get(value);
    if (known !== undefined) return known;
    const name = this.graph.freshValue(`${value}_float`);
    this.#cast(value, name, FLOAT, near);
    this.#floats.set(value, name);
    return name;
  }

  /** Outputs of the model keep name and type. */
  #restoreOutput(value: string): void {
    const { graph } = this;
    const half = graph.freshValue(`${value}_half`);
    const producer = graph.producer(value)!;
    graph.renameOutput(producer.id, value, half);
    graph.rewire(value, half);
    this.#cast(half, value, FLOAT, producer);
  }

  #cast(from: string, to: string, type: number, near: Node): void {
    const attributes = { to: { kind: 'int', value: type } as const };
    this.#inserter.insert('Cast', [from], to, near, { attributes });
  }
}

/** What 16 bits cannot hold, such as the −10⁹ of a mask, becomes the largest number that they hold. */
function halved(tensor: Tensor, name: string): Tensor {
  const { dims, density } = tensor;
  const compute = () =>
    packFloats(
      Float32Array.from(tensorNumbers(tensor), (number) =>
        Number.isFinite(number) ? Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, number)) : number,
      ),
      'float16',
    );
  const data = { kind: 'computed', compute } as const;
  return { name, elementType: 'float16', dims, data, ...(density && { density }) };
}
