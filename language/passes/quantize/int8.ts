import { z } from 'zod';
import { raiseBlocker } from '../../graph/opset';
import { DYNAMIC_OPSET, DynamicWriter } from '../dynamicInt8';
import { QDQ_OPSET } from '../layers';
import type { Pass, Range, Refusal, StepRequest } from '../pass';
import type { Smoothing } from '../smoothing';
import { measureMeans, mostSensitive } from './int8/plan';
import { prepare } from './int8/preparation';
import { floatByRule } from './int8/rules';
import { quantisableIn, quantisableSites } from './int8/sites';
import { measureStatically, writeStatically, type Static } from './int8/statically';

const parameters = z.strictObject({
  form: z.enum(['fast', 'full']).default('fast').meta({
    title: 'Form',
    description:
      'fast: layers with constant weights, where integers save time; full: nearly every product in integers, those of attention and of scans too',
  }),
  mode: z.enum(['static', 'dynamic']).default('static').meta({
    title: 'Mode',
    description:
      'static: ranges of activations are measured on calibration data; dynamic: each run finds its own, for layers of matrices only',
  }),
  format: z.enum(['qdq', 'qoperator']).default('qdq').meta({
    title: 'Format',
    description:
      'qdq: QuantizeLinear and DequantizeLinear around float operators, which runtimes fuse; qoperator: integer operators themselves',
  }),
  weights: z.enum(['per-channel', 'per-tensor']).default('per-channel').meta({
    title: 'Weights',
    description: 'One scale for each output channel, or one for the whole tensor',
  }),
  activations: z.enum(['asymmetric', 'symmetric']).default('asymmetric').meta({
    title: 'Activations',
    description: 'Codes cover the range as it is, or the same range on both sides of zero',
  }),
  ranges: z.enum(['minmax', 'percentile', 'mse', 'entropy']).default('minmax').meta({
    title: 'Ranges',
    description:
      'All that occurs, or less: a percentile, the least squared error, or the least divergence. Results of Softmax always keep their whole range',
  }),
  percentile: z.number().gt(50).max(100).default(99.99).meta({
    title: 'Percentile',
    description: 'How many percent of the elements lie within the range, for ranges: percentile',
  }),
  smooth: z.enum(['auto', 'off']).default('auto').meta({
    title: 'Smoothing',
    description:
      'auto: where a few channels of a matrix layer’s input are so large that the others would be rounded away, they are divided by factors that its weights are multiplied with; off: never',
  }),
  biasCorrection: z.enum(['off', 'on']).default('off').meta({
    title: 'Bias correction',
    description:
      'on: biases of convolutions and Gemms make up for what rounding their weights does to the mean of each output; worth it where weights are rounded coarsely',
  }),
  exclude: z.int().min(0).default(0).meta({
    title: 'Exclude',
    description: 'How many of the most sensitive sites stay float, as measured one by one',
  }),
  maxDeviation: z.number().positive().optional().meta({
    title: 'Largest deviation',
    description:
      'Of the outputs from those of the float model, as a share of their power (0.001 is 30 dB); as many of the most sensitive sites as it takes stay float',
  }),
  overflow: z.enum(['avoid', 'ignore']).default('avoid').meta({
    title: 'Overflow',
    description:
      'avoid: neighbouring weights stay small enough for x86 processors without VNNI, which add two products in 16 bits; ignore: all codes are used, for other processors',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Range of each quantised activation over the calibration data; null until it is known. */
  readonly ranges: Readonly<Record<string, Range>> | null;
  /** Sites that stay as they are. */
  readonly float: readonly string[];
  readonly smoothings: readonly Smoothing[];
  /** Means of the input channels of layers whose biases are corrected, by value. */
  readonly means: Readonly<Record<string, readonly number[]>>;
}

const int8: Pass<Parameters, Decisions> = {
  id: 'quantize.int8',
  title: 'INT8',
  family: 'quantize',
  summary:
    'Weights as int8, activations as uint8 with ranges measured on calibration data (or as they come), written as QuantizeLinear and DequantizeLinear around each layer or as integer operators. Batch normalisation and clipping activations are folded into the convolution before them, so that runtimes find integer kernels.',
  paper: {
    title:
      'Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference',
    authors: 'Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko',
    venue: 'CVPR 2018',
  },
  parameters,
  needs: ({ mode }) => (mode === 'static' ? ['calibration'] : []),

  sites: quantisableSites,

  async plan(request, evidence) {
    const { sites, parameters } = request;
    const float = floatsOf(request);
    if (parameters.mode === 'dynamic') return { ranges: {}, float, smoothings: [], means: {} };
    const { percentile, smooth, exclude: count, maxDeviation, biasCorrection } = parameters;
    const how = { method: parameters.ranges, percentile, smooth };
    const measuring = await measureStatically(staticOf(request), how, evidence);
    const { ranges, smoothings } = measuring;
    const means = biasCorrection === 'on' ? await measureMeans(measuring, evidence) : {};
    const quantisedBut = (more: readonly string[]) => {
      const candidate = request.graph.fork();
      const decisions = { ranges, smoothings, means, float: [...float, ...more] };
      rewrite({ ...request, graph: candidate }, decisions);
      return candidate;
    };
    const open = sites.map(({ node }) => node).filter((node) => !float.includes(node));
    const limits = { count, maxDeviation };
    const sensitive = await mostSensitive(open, limits, quantisedBut, evidence);
    return { ranges, smoothings, means, float: [...float, ...sensitive] };
  },

  standIn: (request) => ({ ranges: null, float: floatsOf(request), smoothings: [], means: {} }),

  rewrite,
};
export default int8;

const floatsOf = ({ graph, facts, sites, parameters }: StepRequest<Parameters>) =>
  floatByRule(graph, facts, sites, parameters.form).nodes;

const staticOf = (request: StepRequest<Parameters>): Static => ({
  ...request,
  ruled: new Set(floatsOf(request)),
  opset: QDQ_OPSET,
});

function rewrite(request: StepRequest<Parameters>, decisions: Decisions): readonly Refusal[] {
  const { mode, weights, overflow, activations, format } = request.parameters;
  if (mode === 'dynamic') return rewriteDynamically(request, decisions);
  const scheme = {
    perChannel: weights === 'per-channel',
    paired: overflow === 'avoid',
    activations,
    means: new Map(Object.entries(decisions.means)),
  };
  return writeStatically(staticOf(request), decisions, scheme, format);
}

function rewriteDynamically(
  request: StepRequest<Parameters>,
  { float }: Decisions,
): readonly Refusal[] {
  const { graph, facts, sites, parameters } = prepare(request, new Set(float));
  if (graph.opset < DYNAMIC_OPSET)
    return sites.map(({ node }) => ({
      node,
      reason: `dynamic quantisation needs operator set ${DYNAMIC_OPSET}; ${graph.opset} cannot be raised because of ${raiseBlocker(graph, facts, QDQ_OPSET)!.node}`,
    }));
  const writer = new DynamicWriter(graph, {
    perChannel: parameters.weights === 'per-channel',
    paired: parameters.overflow === 'avoid',
  });
  const refused: Refusal[] = [];
  for (const { node: id } of sites) {
    if (float.includes(id)) continue;
    const found = quantisableIn({ graph, facts }, graph.node(id)!);
    if (typeof found !== 'object') refused.push({ node: id, reason: found ?? 'it has no weight' });
    else if (found.kind === 'gemm' || found.kind === 'matmul') writer.quantiseLayer(found);
    else refused.push({ node: id, reason: `a ${NAMES[found.kind]} is not quantised dynamically` });
  }
  return refused;
}

const NAMES = { conv: 'convolution', product: 'product of activations' } as const;
