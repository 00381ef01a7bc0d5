import { z } from 'zod';
import type { Pass, Range, Refusal, Site, StepRequest } from '../pass';
import { quantisable } from '../layers';
import { QdqWriter } from '../qdq';
import { arrange } from './int8/arrangement';
import { foldInto } from './int8/folding';
import { floatByRule } from './int8/rules';

const parameters = z.strictObject({
  form: z.enum(['fast', 'full']).default('fast').meta({
    title: 'Form',
    description:
      'fast: layers with constant weights, where integers save time; full: nearly every product in integers, those of attention too',
  }),
  weights: z.enum(['per-channel', 'per-tensor']).default('per-channel').meta({
    title: 'Weights',
    description: 'One scale for each output channel, or one for the whole tensor',
  }),
  activations: z.enum(['asymmetric', 'symmetric']).default('asymmetric').meta({
    title: 'Activations',
    description: 'Codes cover the range as it is, or the same range on both sides of zero',
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
      const found = quantisable(graph, facts, node);
      if (typeof found === 'string') refused.push({ node: node.id, reason: found });
      else if (found) sites.push({ node: node.id });
    }
    return { sites, refused };
  },

  async plan(request, evidence) {
    const float = floatsOf(request);
    const { values } = arrange(request.graph, request.facts, request.sites, new Set(float));
    const measured = values.filter((value) => value.like === undefined).map((value) => value.name);
    return { ranges: Object.fromEntries(await evidence.ranges(measured)), float };
  },

  standIn: (request) => ({ ranges: null, float: floatsOf(request) }),

  rewrite({ graph, facts, sites, parameters }, { ranges, float }) {
    const { weights, activations, overflow } = parameters;
    const { layers, uses, values, folds, refused } = arrange(graph, facts, sites, new Set(float));
    for (const { producer, fold } of folds) foldInto(graph, producer, fold);
    const writer = new QdqWriter(graph, values, ranges, {
      perChannel: weights === 'per-channel',
      paired: overflow === 'avoid',
      activations,
    });
    for (const layer of layers) writer.quantiseLayer(layer);
    for (const value of values) writer.quantiseActivation(value, uses);
    return refused;
  },
};
export default int8;

const floatsOf = ({ graph, facts, sites, parameters }: StepRequest<Parameters>) =>
  floatByRule(graph, facts, sites, parameters.form).nodes;
