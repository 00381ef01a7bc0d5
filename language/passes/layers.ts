/** Layers that ONNX Runtime has integer kernels for, and why others are none. */
import type { Facts } from '../graph/facts';
import { floatAttribute, intAttribute, type Graph, type Node } from '../graph/graph';
import { raiseBlocker } from '../graph/opset';
import type { ElementType } from '../onnx/schema';
import type { Tensor } from '../onnx/model';
import { canHoldWeights, isQuantised, isView, weightInputs, type WeightInput } from './weights';

/** A layer with a constant weight. */
export interface Layer {
  readonly node: string;
  readonly kind: 'conv' | 'gemm' | 'matmul';
  readonly activation: string;
  readonly weight: WeightInput;
  /** Of a convolution: the batch normalisation that is folded into it. */
  readonly normalisation: Normalisation | undefined;
}

export interface Normalisation {
  readonly scale: Tensor;
  readonly bias: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly epsilon: number;
}

/** A product of two activations, as in attention. */
export interface Product {
  readonly node: string;
  readonly kind: 'product';
}

/** What a node is, the reason why it is none, or undefined where nobody would expect one. */
export function quantisable(
  graph: Graph,
  facts: Facts,
  node: Node,
): Layer | Product | string | undefined {
  if (INTEGER_OPERATORS.has(node.op)) return 'it is quantised already';
  if (!canHoldWeights(node)) return undefined;
  if (node.op === 'LSTM' || node.op === 'GRU' || node.op === 'RNN' || node.op === 'ConvTranspose')
    return `ONNX Runtime has no static int8 kernel for ${node.op}`;
  if (node.domain !== '')
    return `${node.domain}.${node.op} is fused already; quantise the model before fusing`;
  if (node.inputs.some((input) => isQuantised(graph, input))) return 'it is quantised already';
  const types = node.inputs.slice(0, 2).map((input) => elementTypeOf(graph, facts, input));
  const other = types.find((type) => type !== undefined && !COMPUTED_IN.has(type));
  if (other) return `it computes in ${other}; convert it to float32 or float16 first`;
  if (graph.opset < OLDEST_QUANTISED) {
    const blocker = raiseBlocker(graph, facts, QDQ_OPSET);
    if (blocker)
      return `operator set ${graph.opset} is too old for quantisation, and cannot be raised to ${QDQ_OPSET} because of ${blocker.node}: ${blocker.reason}`;
  }
  if (reachesAngle(graph, node.outputs[0] ?? ''))
    return 'it computes the argument of a sine, where a step of 8 bits is a large angle';
  const [weight] = weightInputs(graph, node);
  if (!weight) return node.op === 'MatMul' ? product(facts, node) : 'its weight is not a constant';
  if (weight.index !== 1) return 'its constant is the left operand';
  if (weight.views.some((view) => !isTranspose2d(view, weight.tensor)))
    return 'its weight passes through another layout first';
  const base = { node: node.id, activation: node.inputs[0]!, weight };
  if (node.op === 'Conv') return convolution(graph, node, base);
  if (weight.tensor.dims.length !== 2) return 'its weight is not a matrix';
  if (node.op === 'MatMul') return { ...base, kind: 'matmul', normalisation: undefined };
  return gemm(graph, node, base);
}

/** QuantizeLinear came with operator set 10, and its scales per channel with 13. */
const OLDEST_QUANTISED = 10;
export const QDQ_OPSET = 13;

/** Layers in 16 bits are widened first; of others ONNX Runtime has no kernels on processors. */
const COMPUTED_IN: ReadonlySet<ElementType> = new Set<ElementType>(['float32', 'float16']);

const INTEGER_OPERATORS = new Set([
  'QLinearConv',
  'QLinearMatMul',
  'QGemm',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'ConvInteger',
  'DynamicQuantizeMatMul',
  'MatMulNBits',
  'QAttention',
]);

function elementTypeOf(graph: Graph, facts: Facts, value: string): ElementType | undefined {
  const constant = graph.constant(value);
  if (constant) return constant.elementType;
  const { type } = facts.value(value);
  return type.kind === 'tensor' ? type.elementType : undefined;
}

function product(facts: Facts, node: Node): Product | undefined {
  const isMatrix = (input: string) => (facts.value(input).shape?.length ?? 2) >= 2;
  return node.inputs.every(isMatrix) ? { node: node.id, kind: 'product' } : undefined;
}

type LayerBase = Pick<Layer, 'node' | 'activation' | 'weight'>;

function convolution(graph: Graph, node: Node, base: LayerBase): Layer | string {
  if (base.weight.views.length) return 'its weight passes through another layout first';
  if (node.inputs[2] && !graph.constant(node.inputs[2])) return 'its bias is not a constant';
  return { ...base, kind: 'conv', normalisation: undefined };
}

function gemm(graph: Graph, node: Node, base: LayerBase): Layer | string {
  if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1)
    return 'its factors alpha and beta are not 1';
  if (intAttribute(node, 'transA', 0)) return 'its input is transposed';
  const bias = node.inputs[2] ? graph.constant(node.inputs[2]) : undefined;
  if (node.inputs[2] && bias?.dims.length !== 1) return 'its bias is not a constant vector';
  return { ...base, kind: 'gemm', normalisation: undefined };
}

const isTranspose2d = (view: Node, weight: Tensor): boolean =>
  view.op === 'Identity' || (view.op === 'Transpose' && weight.dims.length === 2);

const TO_ANGLE = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Cast', 'Identity', 'Concat', 'Expand', 'Slice', 'Gather'],
  ...['Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze'],
]);
const FARTHEST_ANGLE = 8;

/** Whether a value is, but for single elements' arithmetic and shape, the argument of a sine or cosine. */
function reachesAngle(graph: Graph, value: string, steps = 0): boolean {
  return graph
    .consumers(value)
    .some(
      (reader) =>
        reader.op === 'Sin' ||
        reader.op === 'Cos' ||
        (TO_ANGLE.has(reader.op) &&
          steps < FARTHEST_ANGLE &&
          reachesAngle(graph, reader.outputs[0] ?? '', steps + 1)),
    );
}

/** Operators between a layer and a graph output that do not average away what rounding does to each element. */
const HEAD = new Set([
  ...['BatchNormalization', 'Relu', 'Clip', 'LeakyRelu', 'Sigmoid', 'Tanh', 'Softmax'],
  ...['LogSoftmax', 'Exp', 'Add', 'Sub', 'Mul', 'Div', 'Identity', 'Cast', 'Concat', 'Split'],
  ...['Slice', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Resize', 'Upsample'],
  ...['DepthToSpace', 'Shape', 'Dropout'],
]);

/** Whether a value only reaches graph outputs, through nothing but shapes and single elements. */
export function endsInOutputs(graph: Graph, value: string, seen = new Set<string>()): boolean {
  if (seen.has(value)) return true;
  seen.add(value);
  const readers = graph.consumers(value);
  if (readers.length === 0) return graph.isOutput(value);
  return readers.every(
    (reader) =>
      HEAD.has(reader.op) &&
      (reader.op === 'Shape' ||
        reader.outputs.every((output) => endsInOutputs(graph, output, seen))),
  );
}

/** Whether a value is an input of the model, views seen through. */
export function isInput(graph: Graph, value: string): boolean {
  const producer = graph.producer(value);
  if (producer) return isView(producer) && isInput(graph, producer.inputs[0] ?? '');
  return graph.inputs.some((input) => input.name === value);
}
