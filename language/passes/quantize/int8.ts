import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import { floatAttribute, intAttribute, type Graph, type Node } from '../../graph/graph';
import type { Tensor } from '../../onnx/model';
import { elementCount, tensorNumbers } from '../../onnx/tensor';
import type { Pass, Range, Refusal, Site } from '../pass';
import { QdqWriter, type Layer, type Normalisation, type Quantised } from '../qdq';
import { canHoldWeights, weightInputs } from '../weights';

const parameters = z.strictObject({
  weights: z.enum(['per-channel', 'per-tensor']).default('per-channel').meta({
    title: 'Weights',
    description: 'One scale for each output channel, or one for the whole tensor',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Range of each quantised activation over the calibration data; null until it is known. */
  readonly ranges: Readonly<Record<string, Range>> | null;
}

const int8: Pass<Parameters, Decisions> = {
  id: 'quantize.int8',
  title: 'INT8 static',
  family: 'quantize',
  summary:
    'Weights as int8, activations as uint8 with ranges measured on calibration data, written as QuantizeLinear and DequantizeLinear around each layer. Batch normalisation and clipping activations are folded into the convolution before them, so that runtimes find integer kernels.',
  paper: {
    title:
      'Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference',
    authors: 'Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko',
    venue: 'CVPR 2018',
  },
  parameters,
  needs: () => ['calibration'],

  sites({ graph, facts }) {
    const sites: Site[] = [];
    const refused: Refusal[] = [];
    for (const node of graph.order) {
      if (!canHoldWeights(node)) continue;
      const layer = layerOf(graph, facts, node);
      if (typeof layer === 'string') refused.push({ node: node.id, reason: layer });
      else if (layer) sites.push({ node: node.id });
    }
    return { sites, refused };
  },

  async plan({ graph, facts, sites }, evidence) {
    const { values } = arrange(graph, facts, sites);
    const measured = values.filter((value) => value.like === undefined).map((value) => value.name);
    return { ranges: Object.fromEntries(await evidence.ranges(measured)) };
  },

  standIn: () => ({ ranges: null }),

  rewrite({ graph, facts, sites, parameters: { weights } }, { ranges }) {
    const arrangement = arrange(graph, facts, sites);
    for (const { producer, fold } of arrangement.folds) foldInto(graph, producer, fold);
    const writer = new QdqWriter(graph, arrangement.values, ranges, weights === 'per-channel');
    for (const layer of arrangement.layers) writer.quantiseLayer(layer);
    for (const value of arrangement.values) writer.quantiseActivation(value, arrangement.layers);
    return arrangement.refused;
  },
};
export default int8;

// ---- what can be quantised

/** The layer at a node, the reason why it is none, or undefined where nobody would expect one. */
function layerOf(graph: Graph, facts: Facts, node: Node): Layer | string | undefined {
  if (node.op === 'LSTM' || node.op === 'GRU' || node.op === 'RNN' || node.op === 'ConvTranspose')
    return `ONNX Runtime has no static int8 kernel for ${node.op}`;
  if (node.domain !== '')
    return `${node.domain}.${node.op} is fused already; quantise the model before fusing`;
  if (graph.opset < 10)
    return `operator set ${graph.opset} is too old for quantisation; convert the model to 13`;
  const [weight] = weightInputs(graph, node);
  if (node.inputs.some((input) => graph.producer(input)?.op === 'DequantizeLinear'))
    return 'it is quantised already';
  if (!weight) return node.op === 'MatMul' ? undefined : 'its weight is not a constant';
  if (weight.index !== 1) return 'its constant is the left operand';
  if (weight.views.some((view) => !isTranspose2d(view, weight.tensor)))
    return 'its weight passes through another layout first';
  const activation = node.inputs[0]!;
  const type = facts.value(activation).type;
  if (
    weight.tensor.elementType !== 'float32' ||
    (type.kind === 'tensor' && type.elementType !== 'float32')
  )
    return `it computes in ${weight.tensor.elementType}; only float32 layers are quantised`;
  const base = { node: node.id, activation, weight };
  if (node.op === 'Conv') return convolution(graph, node, base);
  if (weight.tensor.dims.length !== 2) return 'its weight is not a matrix';
  if (node.op === 'MatMul') return { ...base, kind: 'matmul', normalisation: undefined };
  return gemm(graph, node, base);
}

type LayerBase = Pick<Layer, 'node' | 'activation' | 'weight'>;

function convolution(graph: Graph, node: Node, base: LayerBase): Layer | string {
  if (base.weight.views.length) return 'its weight passes through another layout first';
  if (node.inputs[2] && !graph.constant(node.inputs[2])) return 'its bias is not a constant';
  if (endsInOutputs(graph, node.outputs[0] ?? ''))
    return "it makes the model's output, which keeps its precision in float";
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

/** Operators between a layer and a graph output that do not average away what rounding does to each element. */
const HEAD = new Set([
  ...[
    'BatchNormalization',
    'Relu',
    'Clip',
    'LeakyRelu',
    'Sigmoid',
    'Tanh',
    'Softmax',
    'LogSoftmax',
    'Exp',
  ],
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Identity',
    'Cast',
    'Concat',
    'Split',
    'Slice',
    'Reshape',
    'Flatten',
  ],
  ...[
    'Transpose',
    'Squeeze',
    'Unsqueeze',
    'Resize',
    'Upsample',
    'DepthToSpace',
    'Shape',
    'Dropout',
  ],
]);

/** Whether a value only reaches graph outputs, through nothing but shapes and single elements. */
function endsInOutputs(graph: Graph, value: string, seen = new Set<string>()): boolean {
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

// ---- what is rewritten, decided from the graph alone so that plan and rewrite agree

/** Nodes that vanish into the one before them; the result keeps the name of the last. */
interface Fold {
  readonly nodes: readonly string[];
  readonly result: string;
}

interface Arrangement {
  readonly layers: readonly Layer[];
  readonly values: readonly Quantised[];
  readonly folds: readonly { readonly producer: string; readonly fold: Fold }[];
  readonly refused: readonly Refusal[];
}

/** Neither changes what values can occur, so that input and output may share one scale. */
const KEEPS_SCALE = new Set([
  'MaxPool',
  'Reshape',
  'Flatten',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Identity',
]);

function arrange(graph: Graph, facts: Facts, sites: readonly Site[]): Arrangement {
  const layers: Layer[] = [];
  const refused: Refusal[] = [];
  const folds: { producer: string; fold: Fold }[] = [];
  const values = new Map<string, Quantised>();
  const add = (value: Quantised) => {
    if (!values.has(value.name)) values.set(value.name, value);
  };
  const chosen = new Set(sites.map((site) => site.node));

  for (const node of graph.order) {
    if (chosen.has(node.id)) {
      const layer = layerOf(graph, facts, node);
      if (typeof layer !== 'object') {
        refused.push({ node: node.id, reason: layer ?? 'it has no constant weight' });
        continue;
      }
      if (layer.kind !== 'conv') {
        layers.push(layer);
        continue;
      }
      const { normalisation, fold } = foldable(graph, node);
      layers.push({ ...layer, normalisation });
      folds.push({ producer: node.id, fold });
      add({ name: fold.result, readers: 'all', like: undefined });
    } else if (
      node.op === 'Add' &&
      node.inputs.every((input) => values.get(input)?.readers === 'all')
    ) {
      const fold = foldClipping(graph, node.outputs[0]!, []);
      if (endsInOutputs(graph, fold.result)) continue;
      folds.push({ producer: node.id, fold });
      add({ name: fold.result, readers: 'all', like: undefined });
    } else if (KEEPS_SCALE.has(node.op) && values.get(node.inputs[0] ?? '')?.readers === 'all') {
      const output = node.outputs[0]!;
      const source = values.get(node.inputs[0]!)!;
      if (graph.consumers(output).some((reader) => chosen.has(reader.id)))
        add({ name: output, readers: 'all', like: source.like ?? source.name });
    }
  }
  for (const { activation } of layers)
    add({ name: activation, readers: 'layers', like: undefined });
  return { layers, values: [...values.values()], folds, refused };
}

/** The normalisation and clipping activation that directly follow a convolution. */
function foldable(
  graph: Graph,
  conv: Node,
): { normalisation: Normalisation | undefined; fold: Fold } {
  const output = conv.outputs[0]!;
  const next = onlyReader(graph, output);
  const normalisation =
    next?.op === 'BatchNormalization' ? normalisationOf(graph, next) : undefined;
  const fold = normalisation
    ? foldClipping(graph, next!.outputs[0]!, [next!.id])
    : foldClipping(graph, output, []);
  return { normalisation, fold };
}

/** A Relu or a Clip from zero is what saturation at zero point 0 does anyway. */
function foldClipping(graph: Graph, value: string, before: readonly string[]): Fold {
  const next = onlyReader(graph, value);
  const clips = next?.op === 'Relu' || (next?.op === 'Clip' && clipFloor(graph, next) === 0);
  return clips
    ? { nodes: [...before, next.id], result: next.outputs[0]! }
    : { nodes: before, result: value };
}

function clipFloor(graph: Graph, clip: Node): number | undefined {
  if (graph.opset < 11) return floatAttribute(clip, 'min', -Infinity);
  const min = clip.inputs[1] ? graph.constant(clip.inputs[1]) : undefined;
  return min && elementCount(min.dims) === 1 ? tensorNumbers(min)[0] : undefined;
}

function onlyReader(graph: Graph, value: string): Node | undefined {
  const readers = graph.consumers(value);
  return readers.length === 1 && !graph.isOutput(value) ? readers[0] : undefined;
}

function normalisationOf(graph: Graph, node: Node): Normalisation | undefined {
  const [scale, bias, mean, variance] = node.inputs
    .slice(1)
    .map((input) => graph.constant(resolveIdentity(graph, input)));
  if (!scale || !bias || !mean || !variance || intAttribute(node, 'training_mode', 0))
    return undefined;
  return { scale, bias, mean, variance, epsilon: floatAttribute(node, 'epsilon', 1e-5) };
}

/** Exporters share equal constants through Identity nodes. */
function resolveIdentity(graph: Graph, value: string): string {
  const producer = graph.producer(value);
  return producer?.op === 'Identity' ? resolveIdentity(graph, producer.inputs[0]!) : value;
}

function foldInto(graph: Graph, producer: string, { nodes, result }: Fold): void {
  if (nodes.length === 0) return;
  const constants = nodes.flatMap((id) => graph.node(id)!.inputs.slice(1));
  for (const id of nodes) graph.remove(id);
  graph.renameOutput(producer, graph.node(producer)!.outputs[0]!, result);
  graph.removeUnused(constants);
}
