/** Turns some nodes of a graph to another floating point, 16 bits or 32, with conversions where they meet others. */
import type { Graph, Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { packFloats, tensorNumbers } from '../onnx/tensor';
import { Inserter } from './inserter';

type Precision = 'float16' | 'float32';

/** Of ONNX's TensorProto.DataType. */
const CODES: Readonly<Record<Precision, number>> = { float32: 1, float16: 10 };
const SUFFIX: Readonly<Record<Precision, string>> = { float32: 'float', float16: 'half' };
const LARGEST_HALF = 65_504;

/** Operators that lose nothing by 16 bits, or no more than their operands do; T is the type of all their float inputs. */
export const TURNABLE: ReadonlySet<string> = new Set([
  ...['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Add', 'Sub', 'Mul', 'Div', 'Neg', 'Abs'],
  ...['Relu', 'LeakyRelu', 'PRelu', 'Elu', 'Selu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh'],
  ...['Erf', 'Gelu', 'Softmax', 'Clip', 'Min', 'Max', 'Where', 'LayerNormalization'],
  ...['BatchNormalization', 'InstanceNormalization', 'MaxPool', 'AveragePool', 'Pad'],
  ...['GlobalAveragePool', 'GlobalMaxPool', 'Identity', 'Reshape', 'Flatten', 'Transpose'],
  ...['Squeeze', 'Unsqueeze', 'Concat', 'Split', 'Slice', 'Gather', 'Expand', 'Tile'],
  ...['DepthToSpace', 'SpaceToDepth'],
]);

export class PrecisionWriter {
  readonly #inserter: Inserter;
  /** The names of values in the new type, by the name of the value in the graph before. */
  readonly #turned = new Map<string, string>();
  /** Of turned values: their names in the type from before. */
  readonly #restored = new Map<string, string>();
  readonly #from: Precision;

  /**
   * @param chosen nodes that compute in the new type; none of their results is read by bodies of control flow
   * @param isTurned whether a value of the graph before has the type that is turned
   */
  constructor(
    private readonly graph: Graph,
    private readonly chosen: ReadonlySet<string>,
    private readonly isTurned: (value: string) => boolean,
    private readonly to: Precision,
  ) {
    this.#inserter = new Inserter(graph);
    this.#from = to === 'float16' ? 'float32' : 'float16';
  }

  write(): void {
    const { graph, chosen } = this;
    const nodes = graph.order;
    const made = new Set<string>();
    for (const { id, outputs } of nodes)
      if (chosen.has(id)) for (const output of outputs) if (this.isTurned(output)) made.add(output);
    for (const value of made) this.#turned.set(value, value);
    const replaced = new Set<string>();
    for (const node of nodes) {
      const inputs = node.inputs.map((input) => {
        if (input === '' || !this.isTurned(input)) return input;
        if (!chosen.has(node.id)) return made.has(input) ? this.#restore(input, node) : input;
        const turned = this.#turn(input, node);
        if (turned !== input) replaced.add(input);
        return turned;
      });
      if (inputs.some((input, i) => input !== node.inputs[i])) graph.replace(node.id, { inputs });
    }
    for (const { name } of graph.outputs) if (made.has(name)) this.#restoreOutput(name);
    graph.dropValueInfos(({ name }) => !made.has(name));
    graph.removeUnused([...replaced]);
  }

  #turn(value: string, near: Node): string {
    const known = this.#turned.get(value);
    if (known !== undefined) return known;
    const name = this.graph.freshValue(`${value}_${SUFFIX[this.to]}`);
    const constant = this.graph.constant(value);
    if (constant) this.graph.setInitializer(turnedTensor(constant, name, this.to));
    else this.#cast(value, name, this.to, near);
    this.#turned.set(value, name);
    return name;
  }

  #restore(value: string, near: Node): string {
    const known = this.#restored.get(value);
    if (known !== undefined) return known;
    const name = this.graph.freshValue(`${value}_${SUFFIX[this.#from]}`);
    this.#cast(value, name, this.#from, near);
    this.#restored.set(value, name);
    return name;
  }

  /** Outputs of the model keep name and type. */
  #restoreOutput(value: string): void {
    const { graph } = this;
    const turned = graph.freshValue(`${value}_${SUFFIX[this.to]}`);
    const producer = graph.producer(value)!;
    graph.renameOutput(producer.id, value, turned);
    graph.rewire(value, turned);
    this.#cast(turned, value, this.#from, producer);
  }

  #cast(from: string, to: string, type: Precision, near: Node): void {
    const attributes = { to: { kind: 'int', value: CODES[type] } as const };
    this.#inserter.insert('Cast', [from], to, near, { attributes });
  }
}

/** What 16 bits cannot hold, such as the −10⁹ of a mask, becomes the largest number that they hold. */
function turnedTensor(tensor: Tensor, name: string, type: Precision): Tensor {
  const { dims, density } = tensor;
  const held = (number: number) =>
    type === 'float16' && Number.isFinite(number)
      ? Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, number))
      : number;
  const compute = () => packFloats(Float32Array.from(tensorNumbers(tensor), held), type);
  const data = { kind: 'computed', compute } as const;
  return { name, elementType: type, dims, data, ...(density && { density }) };
}
