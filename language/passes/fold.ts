/**
 * Where factors on the channels of a value can go so that they cost nothing at run time: into the constants of what makes
 * the value. Used to divide activations by what weights are multiplied with.
 */
import { intAttribute, type Graph, type Node } from '../graph/graph';
import type { Tensor } from '../onnx/model';
import { packFloats, tensorNumbers } from '../onnx/tensor';
import { outputChannelAxis } from './weights';

/** A constant that the channels of a value are proportional to. */
export interface Share {
  readonly node: string;
  /** Index of the constant among the node's inputs. */
  readonly input: number;
  /** The axis of the constant that runs over the channels. */
  readonly axis: number;
}

/**
 * The constants to scale so that `value` is scaled channel by channel; undefined where there are none, or where others than
 * `readers` would see it.
 * @param channels length of the value's last axis
 */
export function foldingPlaces(
  graph: Graph,
  value: string,
  channels: number,
  readers: ReadonlySet<string>,
): readonly Share[] | undefined {
  if (graph.isOutput(value)) return undefined;
  const sees = ({ id, op }: Node) => !READS_SIZES.has(op) && !readers.has(id);
  if (graph.consumers(value).some(sees)) return undefined;
  const producer = graph.producer(value);
  return producer && placesIn(graph, producer, channels);
}

/** Exporters ask a value for its size to reshape what is made of it. */
const READS_SIZES = new Set(['Shape', 'Size']);

const NORMALISATIONS = new Set([
  'LayerNormalization',
  'SimplifiedLayerNormalization',
  'RMSNormalization',
]);

function placesIn(graph: Graph, node: Node, channels: number): readonly Share[] | undefined {
  if (node.outputs.filter((output) => output !== '').length !== 1) return undefined;
  if (NORMALISATIONS.has(node.op)) return constants(graph, node, channels, [1, 2]);
  if (node.op === 'MatMul' || node.op === 'Gemm') return ofLayer(graph, node, channels);
  if (node.op === 'Relu') return ofOnlyReader(graph, node.inputs[0]!, node, channels);
  if (node.op !== 'Mul' && node.op !== 'Add') return undefined;
  const [constant, other] = operands(graph, node, channels);
  if (node.op === 'Add') {
    if (!constant) return undefined;
    const rest = ofOnlyReader(graph, other!, node, channels);
    return rest && [constant, ...rest];
  }
  if (constant) return [constant];
  for (const input of node.inputs) {
    const found = ofLinear(graph, input, node, channels);
    if (found) return found;
  }
  return undefined;
}

const ofOnlyReader = (graph: Graph, value: string, reader: Node, channels: number) =>
  foldingPlaces(graph, value, channels, new Set([reader.id]));

/** A factor of a product of activations that is a layer's own output, so that no non-linearity lies between. */
function ofLinear(graph: Graph, value: string, reader: Node, channels: number) {
  const producer = graph.producer(value);
  const isLinear = producer && ['MatMul', 'Gemm', 'Add'].includes(producer.op);
  return isLinear ? ofOnlyReader(graph, value, reader, channels) : undefined;
}

/** The constant operand that holds one number per channel, and the other one. */
function operands(
  graph: Graph,
  node: Node,
  channels: number,
): [Share | undefined, string | undefined] {
  for (const input of [0, 1]) {
    const tensor = graph.constant(node.inputs[input] ?? '');
    if (tensor && isVector(tensor, channels))
      return [{ node: node.id, input, axis: tensor.dims.length - 1 }, node.inputs[1 - input]];
  }
  return [undefined, undefined];
}

const isVector = ({ dims, elementType }: Tensor, channels: number): boolean =>
  isFolded(elementType) && dims.at(-1) === channels && dims.slice(0, -1).every((dim) => dim === 1);

const isFolded = (type: Tensor['elementType']): type is 'float32' | 'float16' =>
  type === 'float32' || type === 'float16';

function constants(graph: Graph, node: Node, channels: number, inputs: readonly number[]) {
  const places: Share[] = [];
  for (const input of inputs) {
    const name = node.inputs[input];
    if (!name) continue;
    const tensor = graph.constant(name);
    if (!tensor || !isVector(tensor, channels)) return undefined;
    places.push({ node: node.id, input, axis: tensor.dims.length - 1 });
  }
  return places.length ? places : undefined;
}

function ofLayer(graph: Graph, node: Node, channels: number): readonly Share[] | undefined {
  const weight = graph.constant(node.inputs[1] ?? '');
  if (!weight || !isFolded(weight.elementType)) return undefined;
  const axis = outputChannelAxis(node, weight, 1);
  if (axis === undefined || weight.dims[axis] !== channels) return undefined;
  const places: Share[] = [{ node: node.id, input: 1, axis }];
  if (node.op === 'MatMul' || !node.inputs[2]) return places;
  const bias = graph.constant(node.inputs[2]);
  if (!bias || !isVector(bias, channels) || intAttribute(node, 'transA', 0)) return undefined;
  return [...places, { node: node.id, input: 2, axis: bias.dims.length - 1 }];
}

/** Multiplies the constants at `places` by `factors`, one per channel. Other readers of a constant keep the old one. */
export function foldFactors(
  graph: Graph,
  places: readonly Share[],
  factors: () => ArrayLike<number>,
): void {
  for (const { node, input, axis } of places) {
    const old = graph.node(node)!.inputs[input]!;
    const tensor = graph.constant(old)!;
    const name = graph.freshValue(`${old}_scaled`);
    graph.setInitializer({ ...scaledTensor(tensor, axis, factors), name });
    graph.setInput(node, input, name);
    graph.removeUnused([old]);
  }
}

function scaledTensor(tensor: Tensor, axis: number, factors: () => ArrayLike<number>): Tensor {
  const { name, elementType, dims } = tensor;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const compute = () => {
    const by = factors();
    const values = Float32Array.from(
      tensorNumbers(tensor),
      (value, i) => value * by[Math.floor(i / inner) % by.length]!,
    );
    return packFloats(values, elementType as 'float32' | 'float16');
  };
  return {
    name,
    elementType,
    dims,
    data: { kind: 'computed', compute },
    ...(tensor.density && { density: tensor.density }),
  };
}
