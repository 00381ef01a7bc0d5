/** The weights that layers multiply with: where they are, whatever the exporter put in between. */
import { intAttribute, type Graph, type Node } from '../graph/graph';
import type { NodeRecord, Tensor } from '../onnx/model';

/** An input of a layer that is a constant weight. */
export interface WeightInput {
  /** Index among the node's inputs. */
  readonly index: number;
  /** The value that holds the weight: the input itself, or what a chain of views makes it from. */
  readonly source: string;
  readonly tensor: Tensor;
  /** Views between the source and the input, nearest the source first. */
  readonly views: readonly Node[];
}

/** Inputs that can be weights, by operator. */
const WEIGHT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1],
  ConvTranspose: [1],
  FusedConv: [1],
  Gemm: [0, 1],
  MatMul: [0, 1],
  FusedMatMul: [0, 1],
  LSTM: [1, 2],
  GRU: [1, 2],
  RNN: [1, 2],
};

const VIEWS = new Set(['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Whether a node only gives its input another shape or order. */
export const isView = (node: Node): boolean => VIEWS.has(node.op);

/** Operators whose results stand for integers: those of runtimes, and of tools that train with quantisation. */
const DEQUANTISERS = new Set([
  ...['DequantizeLinear', 'FakeQuantize', 'Quant', 'BipolarQuant', 'IntQuant'],
]);

/** Whether a value is made from integers, through nothing but shapes and conversions of type. */
export function isQuantised(graph: Graph, value: string): boolean {
  for (let producer = graph.producer(value); producer;) {
    if (DEQUANTISERS.has(producer.op)) return true;
    if (!isView(producer) && producer.op !== 'Cast') return false;
    producer = graph.producer(producer.inputs[0] ?? '');
  }
  return false;
}

export const canHoldWeights = ({ op }: NodeRecord): boolean => op in WEIGHT_INPUTS;

/** The constant weights of a layer; none for a product of activations. */
export function weightInputs(graph: Graph, node: Node): WeightInput[] {
  const out: WeightInput[] = [];
  for (const index of WEIGHT_INPUTS[node.op] ?? []) {
    const input = node.inputs[index];
    const found = input ? weightSource(graph, input) : undefined;
    if (found) out.push({ index, ...found });
  }
  return out;
}

function weightSource(graph: Graph, value: string): Omit<WeightInput, 'index'> | undefined {
  const views: Node[] = [];
  for (let source = value; ;) {
    const tensor = graph.constant(source);
    if (tensor) return { source, tensor, views: views.reverse() };
    const producer = graph.producer(source);
    if (!producer || !isView(producer)) return undefined;
    views.push(producer);
    source = producer.inputs[0] ?? '';
  }
}

/** Takes away what a layer read as its weight, and the views on the way, as far as nothing else reads them. */
export function removeRead(
  graph: Graph,
  { source, views }: Pick<WeightInput, 'source' | 'views'>,
): void {
  for (const view of [...views].reverse())
    if (graph.consumers(view.outputs[0]!).length === 0) graph.remove(view.id);
  graph.removeUnused([source]);
}

/** The axis of a layer's weight that runs over its output channels; undefined where there is no single one. */
export function outputChannelAxis(node: Node, weight: Tensor, index: number): number | undefined {
  if (node.op === 'Conv' || node.op === 'FusedConv') return 0;
  if (node.op === 'ConvTranspose') return undefined; // channels are split between axis 1 and the groups
  if (weight.dims.length !== 2) return undefined;
  if (node.op === 'Gemm') {
    if (index === 1) return intAttribute(node, 'transB', 0) ? 0 : 1;
    return intAttribute(node, 'transA', 0) ? 1 : 0;
  }
  return index === 1 ? 1 : 0;
}
