import { z } from 'zod';
import { applyEqualisation, equalise, pairAt, type Equalisation, type Pair } from '../equalisation';
import type { Pass, Refusal, StepRequest } from '../pass';
import { sitesWhere } from '../sites';

const parameters = z.strictObject({});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  readonly equalisations: readonly Equalisation[];
}

/**
 * A pass of its own: the model computes the same after it, whatever comes next, and it helps every quantisation of weights
 * that follows.
 */
const equaliseLayers: Pass<Parameters, Decisions> = {
  id: 'quantize.equalise',
  title: 'Equalise layers',
  family: 'quantize',
  summary:
    'Channels between two layers are divided where they are made and multiplied where they are read, so that small ones are not rounded away beside large ones. The model computes the same; needs no data. To be followed by a quantisation, with one scale per tensor above all.',
  paper: {
    title: 'Data-Free Quantization Through Weight Equalization and Bias Correction',
    authors: 'Nagel, van Baalen, Blankevoort, Welling',
    venue: 'ICCV 2019',
  },
  parameters,
  needs: () => ['weights'],

  sites: ({ graph, facts }) => sitesWhere(graph, (node) => pairAt(graph, facts, node)),

  plan(request) {
    const { pairs } = chosenPairs(request);
    return Promise.resolve({ equalisations: equalise(request.graph, pairs) });
  },

  standIn: (request) => ({
    equalisations: chosenPairs(request).pairs.map(({ value, channels }) => ({
      value,
      factors: new Array<number>(channels).fill(1),
    })),
  }),

  rewrite(request, { equalisations }) {
    const { pairs, refused } = chosenPairs(request);
    const decided = new Map(equalisations.map(({ value, factors }) => [value, factors]));
    for (const pair of pairs) {
      const factors = decided.get(pair.value);
      if (factors) applyEqualisation(request.graph, pair, factors);
    }
    return refused;
  },
};
export default equaliseLayers;

/** Each once, however many of the layers that read it were chosen. */
function chosenPairs({ graph, facts, sites }: StepRequest<Parameters>): {
  pairs: Pair[];
  refused: Refusal[];
} {
  const pairs = new Map<string, Pair>();
  const refused: Refusal[] = [];
  for (const { node: id } of sites) {
    const pair = pairAt(graph, facts, graph.node(id)!);
    if (typeof pair === 'object') pairs.set(pair.value, pair);
    else refused.push({ node: id, reason: pair ?? 'it is no layer' });
  }
  return { pairs: [...pairs.values()], refused };
}
