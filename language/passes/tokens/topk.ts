import { z } from 'zod';
import { fixedShape, type Facts } from '../../graph/facts';
import type { Graph, Node } from '../../graph/graph';
import {
  attentionCores,
  residualAfter,
  type AttentionCore,
  type ResidualSum,
} from '../../graph/match/attention';
import { followAxis, type AxisTrack } from '../../graph/match/axis';
import { WhittleError } from '../../errors';
import { Builder, int } from '../builder';
import type { Pass, Refusal, Site, Situation } from '../pass';
import { inOrder, inferAgain, shortenConstants } from '../tokenAxis';

const ratio = z.number().gt(0).max(1).meta({ role: 'ratio', multipleOf: 0.001 });

const parameters = z.strictObject({
  keep: z
    .union([ratio, z.array(ratio).min(1)])
    .default(0.7)
    .meta({
      title: 'Keep',
      description:
        "Share of the model's image tokens that go on after each stage; the class token always does",
      role: 'ratio',
      perSite: true,
    }),
  placement: z.enum(['inside', 'before']).default('inside').meta({
    title: 'Placement',
    description:
      'Drop tokens inside the block, after its attention and by its scores, or before it, by those of the block above',
  }),
});
type Parameters = z.infer<typeof parameters>;

/** One stage: the attention whose softmax is the site, and how many image tokens go on. */
interface Stage {
  readonly node: string;
  readonly tokens: number;
}

interface Decisions {
  readonly stages: readonly Stage[];
}

const topk: Pass<Parameters, Decisions> = {
  id: 'tokens.topk',
  title: 'Top-k by class attention',
  family: 'tokens',
  summary:
    'Keeps the image tokens that the class token attends to most, in their order, and drops the rest for all later layers. EViT without its fusing of dropped tokens and without fine-tuning.',
  paper: {
    title:
      'Not All Patches Are What You Need: Expediting Vision Transformers via Token Reorganizations',
    authors: 'Liang, Ge, Tong, Song, Wang, Xie',
    venue: 'ICLR 2022',
  },
  parameters,
  needs: () => [],

  sites(situation) {
    const sites: Site[] = [];
    const refused: Refusal[] = [];
    for (const core of attentionCores(situation.graph, situation.facts)) {
      const block = blockOf(situation, core);
      if (typeof block === 'string') refused.push({ node: core.softmax.id, reason: block });
      else sites.push({ node: core.softmax.id });
    }
    return { sites, refused };
  },

  /** As many stages as `keep` has values, spread evenly: 12 blocks and three values give blocks 3, 6 and 9. */
  defaultSites(sites, { keep }) {
    const count = Array.isArray(keep) ? keep.length : 1;
    if (count > sites.length)
      throw new WhittleError(
        `${count} stages asked for and only ${sites.length} blocks can take one`,
      );
    return Array.from({ length: count }, (_, entry) => {
      const site = sites[Math.floor(((entry + 1) * sites.length) / (count + 1))]!;
      return { ...site, entry };
    });
  },

  plan: (request) => Promise.resolve(topk.standIn(request)),

  standIn({ sites, parameters: { keep }, ...situation }) {
    const first = inOrder(situation.graph, sites)[0];
    const core = first && coreAt(situation, first.node);
    const all = core ? imageTokens(situation.facts, core) : undefined;
    if (all === undefined) return { stages: [] };
    const stages = sites.map(({ node, entry }) => {
      const share = Array.isArray(keep) ? keep[entry]! : keep;
      return { node, tokens: Math.ceil(Number((share * all).toPrecision(12))) };
    });
    return { stages };
  },

  rewrite({ graph, facts, sites, parameters: { placement } }, { stages }) {
    const tokens = new Map(stages.map((stage) => [stage.node, stage.tokens]));
    const refused: Refusal[] = [];
    let now = facts;
    for (const { node } of inOrder(graph, sites)) {
      const result = reduce({ graph, facts: now }, node, tokens.get(node)!, placement);
      if (typeof result === 'string') refused.push({ node, reason: result });
      else now = result;
    }
    return refused;
  },
};
export default topk;

const coreAt = ({ graph, facts }: Situation, softmax: string): AttentionCore | undefined =>
  attentionCores(graph, facts).find((core) => core.softmax.id === softmax);

/** Tokens beside the class token that an attention sees, or undefined where that is not known. */
function imageTokens(facts: Facts, core: AttentionCore): number | undefined {
  const keys = fixedShape(facts.value(core.probabilities).shape)?.at(-1);
  return keys === undefined ? undefined : keys - 1;
}

interface Block {
  readonly core: AttentionCore;
  readonly residual: ResidualSum;
  readonly track: AxisTrack;
}

/** The block around an attention, if tokens can be dropped after it; else the reason why not. */
function blockOf({ graph, facts }: Situation, core: AttentionCore): Block | string {
  if (graph.opset < 11)
    return `ordered selection needs operator set 11, the model uses ${graph.opset}`;
  const shape = fixedShape(facts.value(core.probabilities).shape);
  if (!shape) return 'its number of tokens is not known; give the free dimensions a size';
  const [batch, , queries, keys] = shape;
  if (shape.length !== 4) return 'batch and heads of its attention share an axis';
  if (queries !== keys) return 'it attends to another sequence than its own';
  const residual = residualAfter(graph, facts, core.product);
  if (!residual) return 'its result is not added to a residual stream';
  const stream = fixedShape(facts.value(residual.after).shape);
  if (stream?.length !== 3 || stream[0] !== batch || stream[1] !== keys)
    return 'its residual stream is not batch × tokens × width';
  const track = trackOf({ graph, facts }, residual.after);
  if (typeof track === 'string') return track;
  if (track.readouts.length === 0) return 'no class token is read at the end of the model';
  return { core, residual, track };
}

/** Where the tokens of a residual stream go, or why that cannot be told. */
function trackOf({ graph, facts }: Situation, stream: string): AxisTrack | string {
  const track = followAxis(graph, facts, stream, 1);
  return track.ok ? track : `${track.reason} (at ${track.node})`;
}

/** Drops tokens at one stage; returns what is known of the values then, or why it could not. */
function reduce(
  situation: Situation,
  softmax: string,
  tokens: number,
  placement: Parameters['placement'],
): Facts | string {
  const { graph, facts } = situation;
  const core = coreAt(situation, softmax);
  const block = core ? blockOf(situation, core) : 'its attention is gone';
  if (typeof block === 'string') return block;
  const scoring = placement === 'inside' ? block : blockAbove(situation, block);
  if (typeof scoring === 'string') return scoring;
  const cut = placement === 'inside' ? block.residual.after : block.residual.before;
  const now = imageTokens(facts, scoring.core)!;
  if (tokens > now) return `${now} tokens are left here, fewer than the ${tokens} to keep`;
  if (tokens === now) return facts;
  const track = placement === 'inside' ? block.track : trackOf(situation, cut);
  if (typeof track === 'string') return track;
  const trial = graph.fork();
  shortenConstants(trial, track.sizes, () => tokens + 1);
  insertSelection(trial, facts, scoring.core.probabilities, cut, tokens, block.residual.sum);
  const shortened = inferAgain(trial, facts);
  const wrong = mismatch(graph, facts, shortened, track, tokens + 1);
  if (wrong !== undefined) return `the shape of ${wrong} cannot follow the number of tokens`;
  graph.become(trial);
  return shortened;
}

/** The block whose residual stream this one continues. */
function blockAbove(situation: Situation, block: Block): Block | string {
  const { graph, facts } = situation;
  const cores = attentionCores(graph, facts);
  const above = cores[cores.findIndex((core) => core.softmax.id === block.core.softmax.id) - 1];
  if (!above) return 'there is no attention before the first block to score tokens by';
  if (imageTokens(facts, above) !== imageTokens(facts, block.core))
    return 'the block above has another number of tokens';
  return blockOf(situation, above);
}

/** A value whose shape is not what it should be after tokens were dropped, or undefined when all is well. */
function mismatch(
  graph: Graph,
  before: Facts,
  after: Facts,
  { axes }: AxisTrack,
  size: number,
): string | undefined {
  for (const [value, along] of axes) {
    if (value === [...axes.keys()][0]) continue; // the cut itself keeps its tokens
    const expected = fixedShape(before.value(value).shape)?.map((dim, i) =>
      along.includes(i) ? size : dim,
    );
    if (after.value(value).shape?.join() !== expected?.join()) return value;
  }
  return graph.outputs.find(
    ({ name }) => before.value(name).shape?.join() !== after.value(name).shape?.join(),
  )?.name;
}

/**
 * Puts a selection of tokens behind `cut` [batch, 1 + n, width]: the class token, then the `tokens` with the largest mean
 * over the heads of the class token's attention, in their old order.
 */
function insertSelection(
  graph: Graph,
  facts: Facts,
  probabilities: string,
  cut: string,
  tokens: number,
  near: Node,
): void {
  const width = facts.value(cut).shape![2] as number;
  const readers = new Set(graph.consumers(cut).map((reader) => reader.id));
  const build = new Builder(graph, near, `${cut}/topk`);
  const classRow = build.slice(probabilities, 'class_attention', [
    [2, 0, 1],
    [3, 1, END],
  ]);
  const score = build.reduceMean(classRow, 'score', [1, 2]);
  const best = build.topk(score, 'best', tokens, { largest: true, sorted: false }).indices;
  const ordered = build.topk(best, 'ordered', tokens, { largest: false, sorted: true }).values;
  const wide = build.node('Expand', 'indices', [
    build.unsqueeze(ordered, 'columns', 2),
    build.constant('shape', [1, 1, width]),
  ]);
  const image = build.slice(cut, 'image_tokens', [[1, 1, END]]);
  const kept = build.node('GatherElements', 'kept', [image, wide], { axis: int(1) });
  const classToken = build.slice(cut, 'class_token', [[1, 0, 1]]);
  const result = build.node('Concat', 'tokens', [classToken, kept], { axis: int(1) });
  graph.rewire(cut, result, (reader) => readers.has(reader.id));
}

const END = 2 ** 31 - 1;
