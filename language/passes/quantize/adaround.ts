import { z } from 'zod';
import { QDQ_OPSET, type Layer } from '../layers';
import type { Coded } from '../pairs';
import type { Activations, Pass, Refusal, StepRequest } from '../pass';
import { affineOfRange } from '../affine';
import { floatsFromBase64, fromBase64, toBase64 } from '../base64';
import { INT4_OPSET, QuantisedWeights, whyNoInt4, type WeightBits } from '../quantisedWeights';
import { floatByRule } from './int8/rules';
import { layerSites } from './int8/sites';
import {
  measureStatically,
  writeStatically,
  type Decided,
  type Measuring,
  type Static,
} from './int8/statically';
import { adaround, leastErrorScales, nearest } from './rounding/adaround';
import { convolutionWindow, productsOf, rowsWindow } from './rounding/patches';

const parameters = z.strictObject({
  bits: z.literal([8, 4]).default(4).meta({
    title: 'Bits',
    description:
      'Of weights; activations have 8. With 8 the codes go to ±64, so that no processor saturates. With 4, operator set 21 is needed, and ONNX Runtime multiplies in float: for size, and for targets with 4 bits',
  }),
  rounding: z.enum(['learned', 'nearest']).default('learned').meta({
    title: 'Rounding',
    description: 'learned: up or down as layers need it; nearest: the same scales, to compare with',
  }),
  iterations: z.int().min(1).max(20_000).default(1000).meta({
    title: 'Iterations',
    description: 'Of Adam, for each layer',
  }),
  samples: z.int().min(1).default(64).meta({
    title: 'Samples',
    description: 'Of the calibration data, that layers are reconstructed on',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions extends Decided {
  /** By node, in base64: codes in the layer's own layout, and a float32 scale per output channel. */
  readonly layers: Readonly<Record<string, { readonly codes: string; readonly scales: string }>>;
}

const pass: Pass<Parameters, Decisions> = {
  id: 'quantize.adaround',
  title: 'Learned rounding',
  family: 'quantize',
  summary:
    'Weights in 4 or 8 bits, each rounded up or down so that its layer comes nearest to what it made before, layer after layer on what the rounded ones before make of the calibration data; activations in 8 bits.',
  paper: {
    title: 'Up or Down? Adaptive Rounding for Post-Training Quantization',
    authors: 'Nagel, Amjad, van Baalen, Louizos, Blankevoort',
    venue: 'ICML 2020',
  },
  parameters,
  needs: () => ['calibration'],

  sites: layerSites,

  async plan(request, evidence) {
    const { parameters: chosen } = request;
    const fixed = staticOf(request);
    if (whyNotRaised(fixed)) return this.standIn(request); // `rewrite` says why
    const how = { method: 'minmax', percentile: 100, smooth: 'auto' } as const;
    const measuring = await measureStatically(fixed, how, evidence);
    const { ranges, smoothings } = measuring;
    const float = [...fixed.ruled];
    const layers: Record<string, { codes: string; scales: string }> = {};
    for (const layer of measuring.arrangement.layers) {
      evidence.progress(layer.node);
      const open = fixed.sites.map(({ node }) => node).filter((node) => !(node in layers));
      const current = fixed.graph.fork();
      const before = { ranges, smoothings, float: [...new Set([...float, ...open])], layers };
      rewrite({ ...request, graph: current }, before);
      const inputs = async (graph: typeof current) => {
        const { activation } = layer;
        return (await evidence.activations([activation], chosen.samples, graph)).get(activation)!;
      };
      const seen =
        chosen.rounding === 'learned'
          ? { own: await inputs(measuring.graph), changed: await inputs(current) }
          : undefined;
      layers[layer.node] = encode(reconstruct(measuring, layer, chosen, seen));
    }
    return { ranges, smoothings, float, layers };
  },

  standIn: (request) => ({
    ranges: null,
    smoothings: [],
    float: [...staticOf(request).ruled],
    layers: {},
  }),

  rewrite,
};
export default pass;

const staticOf = ({ graph, facts, sites, parameters }: StepRequest<Parameters>): Static => ({
  graph,
  facts,
  sites,
  ruled: new Set(floatByRule(graph, facts, sites, 'fast').nodes),
  opset: parameters.bits === 4 ? INT4_OPSET : QDQ_OPSET,
});

const whyNotRaised = ({ graph, facts, opset }: Static): string | undefined =>
  opset === QDQ_OPSET ? undefined : whyNoInt4(graph, facts);

function rewrite(request: StepRequest<Parameters>, decisions: Decisions): readonly Refusal[] {
  const { sites, parameters } = request;
  const fixed = staticOf(request);
  const reason = whyNotRaised(fixed);
  if (reason) return sites.map(({ node }) => ({ node, reason }));
  const rounded = Object.entries(decisions.layers).map(
    ([node, layer]) => [node, () => decode(layer)] as const,
  );
  return writeStatically(fixed, decisions, {
    perChannel: true,
    paired: true,
    activations: 'asymmetric',
    bits: new Map(sites.map(({ node }) => [node, parameters.bits])),
    rounded: new Map(rounded),
  });
}

/** Of 8 bits, two products of neighbours fit 16 bits; see `pairs.ts`. */
const LIMITS: Readonly<Record<WeightBits, number>> = { 8: 64, 4: 7 };

/** Inputs of a layer over the samples: as they were, and as the layers before make them now. */
interface Seen {
  readonly own: Activations;
  readonly changed: Activations;
}

/** @param seen nothing, to round to nearest */
function reconstruct(
  { graph, ranges, arrangement }: Measuring,
  layer: Layer,
  { bits, iterations }: Parameters,
  seen: Seen | undefined,
): Coded {
  const node = graph.node(layer.node)!;
  const bias = node.inputs[2] ? graph.constant(node.inputs[2]) : undefined;
  const { name, like = name } = arrangement.values.find((v) => v.name === layer.activation)!;
  const activationScale = () => affineOfRange(ranges[like]!).scale;
  const scheme = { perChannel: true, paired: false, bits: new Map([[node.id, bits]]) };
  const weights = new QuantisedWeights(node, layer, bias, scheme, activationScale);
  const values = weights.values();
  const { outputs, axis, dims } = weights;
  const depth = values.length / outputs;
  const window = layer.kind === 'conv' ? convolutionWindow(node, dims) : rowsWindow(depth);
  const columns = outputs / window.groups;
  const products = seen && productsOf(window, seen.changed, seen.own);
  const smallest = weights.smallestScales();
  const codes = new Int8Array(values.length);
  const scales = new Float32Array(outputs);
  for (let group = 0; group < window.groups; group++) {
    const placeOf = (row: number, column: number) =>
      axis === 0 ? (group * columns + column) * depth + row : row * outputs + column;
    const matrix = new Float32Array(depth * columns);
    for (let row = 0; row < depth; row++)
      for (let column = 0; column < columns; column++)
        matrix[row * columns + column] = values[placeOf(row, column)]!;
    const shape = { rows: depth, columns, weights: matrix, limit: LIMITS[bits] };
    const own = leastErrorScales(shape).map((scale, column) =>
      Math.max(scale, smallest(group * columns + column)),
    );
    scales.set(own, group * columns);
    const found = products
      ? adaround({ ...shape, scales: own, ...products[group]! }, iterations)
      : nearest(shape, own);
    for (let row = 0; row < depth; row++)
      for (let column = 0; column < columns; column++)
        codes[placeOf(row, column)] = found[row * columns + column]!;
  }
  return { codes, scales };
}

const encode = ({ codes, scales }: Coded): Decisions['layers'][string] => ({
  codes: toBase64(codes),
  scales: toBase64(scales),
});

const decode = ({ codes, scales }: Decisions['layers'][string]): Coded => ({
  codes: new Int8Array(fromBase64(codes).buffer),
  scales: floatsFromBase64(scales),
});
