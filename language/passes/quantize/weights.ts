import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import { floatAttribute, intAttribute, type Graph, type Node } from '../../graph/graph';
import { WhittleError } from '../../errors';
import type { Attribute, Tensor } from '../../onnx/model';
import type { ElementType } from '../../onnx/schema';
import { elementCount, tensorNumbers } from '../../onnx/tensor';
import { foldFactors, foldingPlaces } from '../fold';
import type { Evidence, Gram, Pass, Refusal, Site, Sites, StepRequest } from '../pass';
import { scaleRows, searchClips, searchScales, shrinkOf } from './rounding/awq';
import {
  blocksOf,
  roundToNearest,
  type Format,
  type Matrix,
  type Rounded,
} from './rounding/blockwise';
import { gptq } from './rounding/gptq';
import { hqq } from './rounding/hqq';
import {
  kernelBlock,
  packCodes,
  packedShape,
  packScales,
  packRealZeroPoints,
  packZeroPoints,
} from './rounding/packing';
import { weightInputs } from '../weights';

const parameters = z.strictObject({
  method: z.enum(['rtn', 'gptq', 'awq', 'hqq']).default('rtn').meta({
    title: 'Rounding',
    description:
      'rtn rounds every weight by itself; gptq lets later weights make up for earlier errors; awq scales channels with large activations up first; hqq moves zero points between the codes, without data, and multiplies exactly. gptq and awq need calibration data',
  }),
  bits: z
    .literal([4, 8, 2])
    .default(4)
    .meta({ title: 'Bits', description: 'Of each weight; activations stay as they are' }),
  block: z.enum(['16', '32', '64', '128', '256', 'channel']).default('32').meta({
    title: 'Block',
    description: 'Input channels that share a scale, or all of an output channel',
  }),
  symmetric: z.boolean().default(false).meta({
    title: 'Symmetric',
    description: 'Zero lies in the middle of the codes, and no zero points are stored',
  }),
  arithmetic: z.enum(['exact', 'fast']).default('exact').meta({
    title: 'Arithmetic',
    description:
      'exact multiplies in the precision of the model; fast lets ONNX Runtime round activations to int8 per block as it runs',
  }),
  head: z.enum(['keep', 'quantise']).default('keep').meta({
    title: 'Head',
    description: 'The layers that make the model’s outputs',
  }),
  damping: z.number().positive().max(1).default(0.01).meta({
    title: 'Damping',
    description: 'gptq: added to the diagonal of the Hessian, as a share of its mean',
  }),
});
type Parameters = z.infer<typeof parameters>;

/** What was decided of one layer; nothing where its weights alone say how they are rounded. */
type LayerDecision =
  | {
      readonly kind: 'rounded';
      /** In base64: K × N codes, and blocks × N scales (float32) and zero points. */
      readonly codes: string;
      readonly scales: string;
      readonly zeroPoints: string;
    }
  /** In base64: a step of `shrinkOf` per block and column. */
  | { readonly kind: 'clipped'; readonly steps: string };

interface Decisions {
  /** By node. */
  readonly layers: Readonly<Record<string, LayerDecision>>;
  /** Factors on the input channels of the layers that read a value; the value itself is divided by them. */
  readonly scalings: readonly { readonly value: string; readonly factors: readonly number[] }[];
  /** Nothing was decided yet. */
  readonly open: boolean;
}

const NOTHING: Decisions = { layers: {}, scalings: [], open: false };

const weights: Pass<Parameters, Decisions> = {
  id: 'quantize.weights',
  title: 'Weights only',
  family: 'quantize',
  summary:
    'Weights of linear layers in 2, 4 or 8 bits with a scale per block, activations as they are: for language models that are bound by reading weights. Written as MatMulNBits of ONNX Runtime. Embeddings stay as they are.',
  paper: {
    title:
      'GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers; AWQ: Activation-aware Weight Quantization; Half-Quadratic Quantization',
    authors: 'Frantar, Ashkboos, Hoefler, Alistarh; Lin et al.; Badri, Shaji',
    venue: 'ICLR 2023; MLSys 2024; 2023',
  },
  parameters,
  needs: ({ method }) => (method === 'gptq' || method === 'awq' ? ['calibration'] : []),

  sites({ graph, facts }): Sites {
    const sites: Site[] = [];
    const refused: Refusal[] = [];
    for (const node of graph.order) {
      if (node.op === 'MatMulNBits') {
        refused.push({ node: node.id, reason: 'its weights are quantised already' });
        continue;
      }
      const layer = layerOf(graph, facts, node);
      if (typeof layer === 'string') refused.push({ node: node.id, reason: layer });
      else if (layer) sites.push({ node: node.id });
    }
    return { sites, refused };
  },

  async plan(request, evidence) {
    switch (request.parameters.method) {
      case 'gptq':
        return planGptq(request, evidence);
      case 'awq':
        return planAwq(request, evidence);
      default:
        return NOTHING;
    }
  },

  standIn: ({ parameters: { method } }) => ({
    ...NOTHING,
    open: method === 'gptq' || method === 'awq',
  }),

  rewrite({ graph, facts, sites, parameters: chosen }, { layers: decided, scalings, open }) {
    const { layers, refused } = chosenLayers(graph, facts, sites, chosen);
    const factors = new Map(scalings.map((scaling) => [scaling.value, scaling.factors]));
    for (const { value, layers: members } of groupsOf(layers)) {
      const by = factors.get(value);
      if (by) foldFactors(graph, placesFor(graph, value, members)!, () => by.map((f) => 1 / f));
    }
    for (const layer of layers) {
      const tensor = weightOf(graph, layer);
      const decision = decided[layer.node];
      const rounded = once(() =>
        roundLayer(tensor, layer, chosen, decision, factors.get(layer.activation)),
      );
      quantiseLayer(graph, layer, chosen, rounded, open);
    }
    return refused;
  },
};
export default weights;

// ---- what can be quantised

/** A product of an activation with a constant matrix. */
interface Layer {
  readonly node: string;
  readonly activation: string;
  /** K × N as it multiplies from the right. */
  readonly rows: number;
  readonly columns: number;
  /** The stored matrix is N × K. */
  readonly transposed: boolean;
  readonly type: 'float32' | 'float16';
}

/** The layer at a node, the reason why it is none, or undefined where nobody would expect one. */
function layerOf(graph: Graph, facts: Facts, node: Node): Layer | string | undefined {
  if (node.op === 'Conv') return 'there is no kernel for convolutions with weights of a few bits';
  if ((node.op !== 'MatMul' && node.op !== 'Gemm') || node.domain !== '') return undefined;
  if (node.inputs.some((input) => graph.producer(input)?.op === 'DequantizeLinear'))
    return 'it is quantised already';
  const [weight] = weightInputs(graph, node);
  if (!weight) return node.op === 'MatMul' ? undefined : 'its weight is not a constant';
  if (weight.index !== 1) return 'its constant is the left operand';
  const { tensor, views } = weight;
  if (tensor.dims.length !== 2) return 'its weight is not a matrix';
  if (views.some((view) => view.op !== 'Transpose' && view.op !== 'Identity'))
    return 'its weight passes through another layout first';
  if (tensor.elementType !== 'float32' && tensor.elementType !== 'float16')
    return `its weights are ${tensor.elementType}`;
  const activation = node.inputs[0]!;
  const { type } = facts.value(activation);
  if (type.kind === 'tensor' && !matches(type.elementType, tensor.elementType))
    return `it computes in ${type.elementType}`;
  if (node.op === 'Gemm') {
    if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1)
      return 'its factors alpha and beta are not 1';
    if (intAttribute(node, 'transA', 0)) return 'its input is transposed';
  }
  const flips = views.filter((view) => view.op === 'Transpose').length;
  const transposed = (flips + intAttribute(node, 'transB', 0)) % 2 === 1;
  const [first, second] = tensor.dims as [number, number];
  const [rows, columns] = transposed ? [second, first] : [first, second];
  return { node: node.id, activation, rows, columns, transposed, type: tensor.elementType };
}

const matches = (type: ElementType, weight: ElementType): boolean =>
  type === weight || type === 'unknown';

function chosenLayers(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  { head }: Parameters,
): { layers: Layer[]; refused: Refusal[] } {
  const layers: Layer[] = [];
  const refused: Refusal[] = [];
  const chosen = new Set(sites.map((site) => site.node));
  for (const node of graph.order) {
    if (!chosen.has(node.id)) continue;
    const layer = layerOf(graph, facts, node);
    if (typeof layer !== 'object')
      refused.push({ node: node.id, reason: layer ?? 'it has no constant weight' });
    else if (head === 'keep' && makesOutput(graph, node.outputs[0]!))
      refused.push({
        node: node.id,
        reason: 'it makes the model’s output; `head: quantise` takes it',
      });
    else layers.push(layer);
  }
  return { layers, refused };
}

const SHAPING = new Set(['Add', 'Cast', 'Reshape', 'Identity', 'Squeeze', 'Slice', 'Unsqueeze']);

/** Whether a value reaches graph outputs through nothing but a bias and shapes. */
function makesOutput(graph: Graph, value: string): boolean {
  if (graph.isOutput(value)) return true;
  const readers = graph.consumers(value);
  return (
    readers.length > 0 &&
    readers.every(({ op, outputs, inputs }) => {
      if (!SHAPING.has(op)) return false;
      if (op === 'Add' && !inputs.some((input) => graph.constant(input))) return false;
      return makesOutput(graph, outputs[0]!);
    })
  );
}

// ---- weights

const formatOf = ({ bits, block, symmetric, method }: Parameters, rows: number): Format => ({
  bits: bits,
  block: block === 'channel' ? rows : Number(block),
  symmetric: symmetric && method !== 'hqq',
});

/** Input channels first. */
function matrixOf(tensor: Tensor, { rows, columns, transposed }: Layer): Matrix {
  const stored = tensorNumbers(tensor);
  const values = new Float32Array(rows * columns);
  if (!transposed) values.set(stored);
  else
    for (let column = 0; column < columns; column++)
      for (let row = 0; row < rows; row++)
        values[row * columns + column] = stored[column * rows + row]!;
  for (const value of values)
    if (!Number.isFinite(value))
      throw new WhittleError(`the weight ${tensor.name} holds ${value}`, {
        hint: 'Leave its layer out with `except`',
      });
  return { rows, columns, values };
}

/** Three tensors come of one rounding. */
function once<T>(compute: () => T): () => T {
  let known: { readonly result: T } | undefined;
  return () => (known ??= { result: compute() }).result;
}

const weightOf = (graph: Graph, layer: Layer): Tensor =>
  weightInputs(graph, graph.node(layer.node)!)[0]!.tensor;

function roundLayer(
  tensor: Tensor,
  layer: Layer,
  chosen: Parameters,
  decision: LayerDecision | undefined,
  factors: readonly number[] | undefined,
): Rounded {
  const format = formatOf(chosen, layer.rows);
  if (decision?.kind === 'rounded') return decodeRounded(layer, format, decision);
  const own = matrixOf(tensor, layer);
  const matrix = factors ? scaleRows(own, factors) : own;
  if (chosen.method === 'hqq') return hqq(matrix, format);
  if (decision?.kind !== 'clipped') return roundToNearest(matrix, format);
  const steps = fromBase64(decision.steps);
  return roundToNearest(matrix, format, (block) =>
    Array.from(steps.subarray(block * layer.columns, (block + 1) * layer.columns), shrinkOf),
  );
}

// ---- plans

interface Group {
  readonly value: string;
  readonly layers: readonly Layer[];
}

/** Layers that read the same value, in the order of the graph. */
function groupsOf(layers: readonly Layer[]): Group[] {
  const groups = new Map<string, Layer[]>();
  for (const layer of layers) {
    const group = groups.get(layer.activation);
    if (group) group.push(layer);
    else groups.set(layer.activation, [layer]);
  }
  return [...groups].map(([value, members]) => ({ value, layers: members }));
}

/** Layers in order, each seeing what those before it make once they are rounded. */
async function planGptq(
  { graph, facts, sites, parameters: chosen }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { layers } = chosenLayers(graph, facts, sites, chosen);
  const decided: Record<string, LayerDecision> = {};
  const current = graph.fork();
  for (const { value, layers: members } of groupsOf(layers)) {
    const gram = (await evidence.grams([value], current)).get(value)!;
    for (const layer of members) {
      evidence.progress(layer.node);
      const tensor = weightOf(current, layer);
      const format = formatOf(chosen, layer.rows);
      const rounded = gptq(matrixOf(tensor, layer), gram, format, chosen.damping);
      if (!rounded)
        throw new WhittleError(`the inputs of ${layer.node} cannot be told apart`, {
          hint: 'Raise `damping`, or calibrate on more data',
        });
      decided[layer.node] = encodeRounded(rounded);
      quantiseLayer(current, layer, chosen, () => rounded, false);
    }
  }
  return { ...NOTHING, layers: decided };
}

async function planAwq(
  { graph, facts, sites, parameters: chosen }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { layers } = chosenLayers(graph, facts, sites, chosen);
  const groups = groupsOf(layers);
  const grams = await evidence.grams(groups.map(({ value }) => value));
  const means = await meanMagnitudes(groups, evidence);
  const decided: Record<string, LayerDecision> = {};
  const scalings: { value: string; factors: readonly number[] }[] = [];
  for (const { value, layers: members } of groups) {
    evidence.progress(members[0]!.node);
    const gram = grams.get(value)!;
    const matrices = members.map((layer) => matrixOf(weightOf(graph, layer), layer));
    const format = formatOf(chosen, gram.size);
    const canScale = placesFor(graph, value, members) !== undefined;
    const factors = canScale
      ? searchScales(matrices, means.get(value)!, gram, format)
      : new Float32Array(gram.size).fill(1);
    if (canScale) scalings.push({ value, factors: Array.from(factors) });
    const scaled = divided(gram, factors);
    members.forEach((layer, i) => {
      const steps = searchClips(scaleRows(matrices[i]!, factors), scaled, format);
      decided[layer.node] = { kind: 'clipped', steps: toBase64(steps) };
    });
  }
  return { layers: decided, scalings, open: false };
}

/** So many samples tell which channels are large. */
const SAMPLES = 32;

/** Mean |x| of each input channel. */
async function meanMagnitudes(
  groups: readonly Group[],
  evidence: Evidence,
): Promise<ReadonlyMap<string, Float64Array>> {
  const values = groups.map(({ value }) => value);
  const seen = await evidence.activations(values, SAMPLES);
  return new Map(
    groups.map(({ value, layers }) => {
      const { rows } = layers[0]!;
      const sums = new Float64Array(rows);
      let count = 0;
      for (const { data } of seen.get(value)!) {
        for (let i = 0; i < data.length; i++) sums[i % rows]! += Math.abs(data[i]!);
        count += data.length / rows;
      }
      return [value, sums.map((sum) => sum / count)] as const;
    }),
  );
}

/** The Gram matrix of activations divided by `factors`. */
function divided({ rows, size, data }: Gram, factors: Float32Array): Gram {
  const out = new Float64Array(data.length);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      out[i * size + j] = data[i * size + j]! / (factors[i]! * factors[j]!);
  return { rows, size, data: out };
}

// ---- rewriting

const placesFor = (graph: Graph, value: string, layers: readonly Layer[]) =>
  foldingPlaces(graph, value, layers[0]!.rows, new Set(layers.map(({ node }) => node)));

/** Writes a layer as MatMulNBits; a bias is added behind it. */
function quantiseLayer(
  graph: Graph,
  layer: Layer,
  chosen: Parameters,
  rounded: () => Rounded,
  open: boolean,
): void {
  const { rows, columns, type } = layer;
  const node = graph.node(layer.node)!;
  const [activation, weightValue, bias] = node.inputs as [string, string, string?];
  const { source, views } = weightInputs(graph, node)[0]!;
  const format = formatOf(chosen, rows);
  const shape = packedShape(rows, columns, chosen.bits, format.block);
  const write = (
    what: string,
    elementType: ElementType,
    dims: readonly number[],
    compute: () => Uint8Array,
  ) => {
    const name = graph.freshValue(`${source}_${what}`);
    const density = () => ({ nonzeros: elementCount(dims), estimated: true });
    const data = { kind: 'computed', compute } as const;
    graph.setInitializer({ name, elementType, dims, data, ...(open && { density }) });
    return name;
  };
  const inputs = [
    activation,
    write('codes', 'uint8', shape.codes, () => packCodes(rounded())),
    write('scales', type, shape.scales, () => packScales(rounded(), type)),
  ];
  if (chosen.method === 'hqq')
    inputs.push(
      write('zero_points', type, shape.scales, () => packRealZeroPoints(rounded(), type)),
    );
  else if (!format.symmetric)
    inputs.push(write('zero_points', 'uint8', shape.zeroPoints, () => packZeroPoints(rounded())));
  graph.requireOpset(MICROSOFT, 1);
  graph.replace(node.id, {
    op: 'MatMulNBits',
    domain: MICROSOFT,
    inputs,
    attributes: attributesOf(layer, chosen, kernelBlock(format.block)),
  });
  if (bias) addBias(graph, node, bias);
  for (const view of [...views].reverse())
    if (graph.consumers(view.outputs[0]!).length === 0) graph.remove(view.id);
  graph.removeUnused([weightValue, source]);
}

const MICROSOFT = 'com.microsoft';

/** Activations in the model's precision, or rounded to int8 per block as the kernel runs. */
const ACCURACY = { exact: 1, fast: 4 } as const;

function attributesOf(
  { rows, columns }: Layer,
  { bits, arithmetic, method }: Parameters,
  block: number,
): ReadonlyMap<string, Attribute> {
  const numbers = {
    K: rows,
    N: columns,
    bits,
    block_size: block,
    // The exact kernel for 8 bits unpacks all weights at every run: a hundred times slower than no compression.
    accuracy_level: bits === 8 ? ACCURACY.fast : ACCURACY[method === 'hqq' ? 'exact' : arithmetic],
  };
  return new Map(
    Object.entries(numbers).map(([name, value]) => [name, { name, value: { kind: 'int', value } }]),
  );
}

function addBias(graph: Graph, node: Node, bias: string): void {
  const output = node.outputs[0]!;
  const product = graph.freshValue(`${output}_product`);
  const layer = graph.renameOutput(node.id, output, product);
  graph.insert({ op: 'Add', inputs: [product, bias], outputs: [output] }, layer);
}

// ---- decisions as text

function encodeRounded({ codes, scales, zeroPoints }: Rounded): LayerDecision {
  return {
    kind: 'rounded',
    codes: toBase64(codes),
    scales: toBase64(new Uint8Array(scales.buffer)),
    zeroPoints: toBase64(Uint8Array.from(zeroPoints)),
  };
}

function decodeRounded(
  { rows, columns }: Layer,
  format: Format,
  decision: Extract<LayerDecision, { kind: 'rounded' }>,
): Rounded {
  const codes = fromBase64(decision.codes);
  const scales = new Float32Array(fromBase64(decision.scales).slice().buffer);
  if (codes.length !== rows * columns || scales.length !== blocksOf(rows, format) * columns)
    throw new WhittleError('the decisions were taken for other weights');
  return { format, rows, columns, codes, scales, zeroPoints: fromBase64(decision.zeroPoints) };
}

const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
