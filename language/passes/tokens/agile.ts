import { z } from 'zod';
import { WhittleError } from '../../errors';
import { attentionCores } from '../../graph/match/attention';
import type { Shape } from '../../onnx/model';
import type { Pass, SelectedSite, Situation } from '../pass';
import { attentionSites, inferAgain, inOrder, mismatch } from '../tokenAxis';
import { cutAt, stretchOf, type Cut, type Stretch } from './agile/stream';
import { PARTS, writeStretch } from './agile/write';

const parameters = z.strictObject({
  remove: z.number().min(0).max(0.95).default(0.1).meta({
    title: 'Remove',
    description:
      'Share of the tokens that are gone behind the last stage; each stage removes alike',
    role: 'ratio',
    multipleOf: 0.001,
  }),
  from: z.number().int().min(1).optional().meta({
    title: 'From',
    description:
      'Without `at`: the first attention that removes tokens, counted from 1; by default those of the second half do',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Of the tokens that come to a stage, in parts of 10⁹. */
  readonly parts: number;
}

const agile: Pass<Parameters, Decisions> = {
  id: 'tokens.agile',
  title: 'Agile-Quant token pruning',
  family: 'tokens',
  summary:
    'Language models go on without the tokens that attend least to the first one; behind the last layer they come back as they were, so that every token is predicted. Counts follow the length of what comes in. Not for decoding with a cache of keys.',
  paper: {
    title: 'Agile-Quant: Activation-Guided Quantization for Faster Inference of LLMs on the Edge',
    authors: 'Shen, Dong, Lu, Kong, Li, Lin, Wu, Wang',
    venue: 'AAAI 2024',
  },
  parameters,
  needs: () => [],

  sites: (situation) =>
    attentionSites(situation, (core, cores) => {
      const cut = cutAt(situation, core);
      return typeof cut === 'string' ? cut : stretchOf(situation, [cut], cores);
    }),

  defaultSites(sites, { from = Math.floor(sites.length / 2) + 1 }) {
    if (from > sites.length)
      throw new WhittleError(
        `tokens are to go from attention ${from} on, and only ${sites.length} can take it`,
      );
    return sites.slice(from - 1).map((site) => ({ ...site, entry: 0 }));
  },

  plan: (request) => Promise.resolve(agile.standIn(request)),

  /** γ = 1 − (1 − β)^(1/|L|). */
  standIn: ({ sites, parameters: { remove } }) => ({
    parts: Math.round(PARTS * (1 - (1 - remove) ** (1 / sites.length))),
  }),

  rewrite({ graph, facts, sites }, { parts }) {
    const refuse = (reason: string) => sites.map(({ node }) => ({ node, reason }));
    const stretch = stretchAt({ graph, facts }, sites);
    if (typeof stretch === 'string') return refuse(stretch);
    if (parts === 0) return [];
    const trial = graph.fork();
    const selections = writeStretch(trial, facts, stretch, parts);
    const after = inferAgain(trial, facts);
    const left = selections.map(({ indices }) => after.value(indices).shape?.[0] ?? null);
    const wrong = mismatch(graph, facts, after, shapesWith(left, { graph, facts }, stretch));
    if (wrong !== undefined)
      return refuse(`the shape of ${wrong} cannot follow the number of tokens`);
    graph.become(trial);
    return [];
  },
};
export default agile;

function stretchAt(situation: Situation, sites: readonly SelectedSite[]): Stretch | string {
  const cores = attentionCores(situation.graph, situation.facts);
  const cuts: Cut[] = [];
  for (const { node } of inOrder(situation.graph, sites)) {
    const core = cores.find(({ softmax }) => softmax.id === node);
    const cut = core ? cutAt(situation, core) : 'its attention is gone';
    if (typeof cut === 'string') return cut;
    cuts.push(cut);
  }
  return stretchOf(situation, cuts, cores);
}

/** @param left tokens behind each stage */
function shapesWith(
  left: Shape,
  { graph, facts }: Situation,
  { track, depths }: Stretch,
): ReadonlyMap<string, Shape | undefined> {
  const shapes = new Map<string, Shape | undefined>();
  for (const [value, axes] of track.axes) {
    const depth = depths.get(graph.producer(value)!.id);
    if (depth === undefined) continue; // the first cut itself keeps its tokens
    const { shape } = facts.value(value);
    shapes.set(
      value,
      shape?.map((dim, axis) => (axes.includes(axis) ? left[depth - 1]! : dim)),
    );
  }
  return shapes;
}
