import { z } from 'zod';
import { groupsOf, linearOf, type Group, type Linear } from '../linear';
import type { Pass, Refusal, StepRequest } from '../pass';
import { sitesWhere } from '../sites';
import {
  bestSmoothing,
  canFold,
  planSmoothings,
  smoothAll,
  smoothingFactors,
  type Smoothing,
} from '../smoothing';

const parameters = z.strictObject({
  strength: z.enum(['alpha', 'auto']).default('alpha').meta({
    title: 'Strength',
    description:
      'alpha: the same everywhere; auto: for each value what promises the least error if weights and activations have all codes of 8 bits',
  }),
  alpha: z.number().min(0).max(1).default(0.8).meta({
    title: 'Alpha',
    description:
      'How much of the difficulty moves from activations (1: all of it) to weights, for strength: alpha',
  }),
  where: z.enum(['free', 'everywhere']).default('free').meta({
    title: 'Where',
    description:
      'free: only where the factors disappear into constants before the layer; everywhere: elsewhere too, by a product of its own that costs time',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  readonly smoothings: readonly Smoothing[];
  /** Nothing was measured yet: all that can be smoothed is, by factors of 1. */
  readonly open: boolean;
}

const smooth: Pass<Parameters, Decisions> = {
  id: 'quantize.smooth',
  title: 'Smooth activations',
  family: 'quantize',
  summary:
    'Channels of activations that are much larger than the others are divided by factors that the weights after them are multiplied with: the model computes the same, and 8 bits suffice. To be followed by a quantisation of activations.',
  paper: {
    title:
      'SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models',
    authors: 'Xiao, Lin, Seznec, Wu, Demouth, Han',
    venue: 'ICML 2023',
  },
  parameters,
  needs: () => ['calibration'],

  sites: ({ graph, facts }) => sitesWhere(graph, (node) => linearOf(graph, facts, node)),

  async plan(request, evidence) {
    const { groups } = chosenGroups(request);
    const { graph, parameters } = request;
    const smoothings = await planSmoothings(graph, groups, evidence, (moments, matrices) =>
      parameters.strength === 'auto'
        ? bestSmoothing(moments, matrices).factors
        : smoothingFactors(moments, matrices, parameters.alpha),
    );
    return { smoothings, open: false };
  },

  standIn: () => ({ smoothings: [], open: true }),

  rewrite(request, { smoothings, open }) {
    const { groups, refused } = chosenGroups(request);
    smoothAll(request.graph, groups, smoothings, open);
    return refused;
  },
};
export default smooth;

/** The layers of a step by the value that they read. */
function chosenGroups({ graph, facts, sites, parameters: { where } }: StepRequest<Parameters>): {
  groups: Group[];
  refused: Refusal[];
} {
  const layers: Linear[] = [];
  const refused: Refusal[] = [];
  for (const { node } of sites) {
    const layer = linearOf(graph, facts, graph.node(node)!);
    if (typeof layer === 'object') layers.push(layer);
    else refused.push({ node, reason: layer ?? 'it has no constant weight' });
  }
  const groups = groupsOf(layers);
  if (where === 'everywhere') return { groups, refused };
  const free = groups.filter((group) => canFold(graph, group));
  for (const group of groups)
    if (!free.includes(group))
      for (const { node } of group.layers) refused.push({ node, reason: NOT_FREE });
  return { groups: free, refused };
}

const NOT_FREE =
  'nothing before it takes the factors, or others read its input too; `where: everywhere` inserts a product';
