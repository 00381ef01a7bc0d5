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
import type { Shape } from '../../onnx/model';
import { WhittleError } from '../../errors';
import { Builder, int } from '../builder';
import type { Pass, Refusal, Situation } from '../pass';
import { attentionSites, inOrder, inferAgain, mismatch, shortenConstants } from '../tokenAxis';

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

  sites: (situation) => attentionSites(situation, (core) => blockOf(situation, core)),

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

  rewrite({ graph, facts, sites, parameters: { placement } }, decisions) {
    const tokens = new Map(decisions.stages.map((stage) => [stage.node, stage.tokens]));
    const stages = inOrder(graph, sites).map(({ node }) => ({ node, tokens: tokens.get(node)! }));
    if (typeof reduce({ graph, facts }, stages, placement) !== 'string') return [];
    // Not all together: one after the other, those that cannot be are told.
    const refused: Refusal[] = [];
    let now = facts;
    for (const stage of stages) {
      const result = reduce({ graph, facts: now }, [stage], placement);
      if (typeof result === 'string') refused.push({ node: stage.node, reason: result });
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

/** Drops tokens at stages in their order; returns what is known of the values then, or why it could not. */
function reduce(
  situation: Situation,
  stages: readonly Stage[],
  placement: Parameters['placement'],
): Facts | string {
  const { graph, facts } = situation;
  const cores = attentionCores(graph, facts);
  const trial = graph.fork();
  const shapes = new Map<string, Shape | undefined>();
  const left = new Map<string, number>();
  for (const { node, tokens } of stages) {
    const found = cutFor(situation, cores, node, placement);
    if (typeof found === 'string') return found;
    const { cut, track, scores, block } = found;
    const now = left.get(scores.probabilities) ?? imageTokens(facts, scores)!;
    if (tokens > now) return `${now} tokens are left here, fewer than the ${tokens} to keep`;
    if (tokens === now) continue;
    shortenConstants(trial, track.sizes, () => tokens + 1);
    insertSelection(trial, facts, scores.probabilities, cut, tokens, block.residual.sum);
    for (const [value, along] of track.axes) {
      if (value === cut) continue; // it keeps its tokens
      left.set(value, tokens);
      const shape = fixedShape(facts.value(value).shape);
      shapes.set(
        value,
        shape?.map((size, i) => (along.includes(i) ? tokens + 1 : size)),
      );
    }
  }
  if (left.size === 0) return facts;
  const shortened = inferAgain(trial, facts);
  const wrong = mismatch(graph, facts, shortened, shapes);
  if (wrong !== undefined) return `the shape of ${wrong} cannot follow the number of tokens`;
  graph.become(trial);
  return shortened;
}

/** Where a stage drops tokens. */
interface Cut {
  /** The residual stream that is cut, and where its tokens go. */
  readonly cut: string;
  readonly track: AxisTrack;
  /** The attention whose scores say which tokens go on. */
  readonly scores: AttentionCore;
  readonly block: Block;
}

function cutFor(
  situation: Situation,
  cores: readonly AttentionCore[],
  softmax: string,
  placement: Parameters['placement'],
): Cut | string {
  const core = cores.find((one) => one.softmax.id === softmax);
  const block = core ? blockOf(situation, core) : 'its attention is gone';
  if (typeof block === 'string') return block;
  if (placement === 'inside')
    return { cut: block.residual.after, track: block.track, scores: block.core, block };
  const above = blockAbove(situation, cores, block);
  if (typeof above === 'string') return above;
  const cut = block.residual.before;
  const track = trackOf(situation, cut);
  return typeof track === 'string' ? track : { cut, track, scores: above.core, block };
}

/** The block whose residual stream this one continues. */
function blockAbove(
  situation: Situation,
  cores: readonly AttentionCore[],
  block: Block,
): Block | string {
  const { facts } = situation;
  const above = cores[cores.findIndex((core) => core.softmax.id === block.core.softmax.id) - 1];
  if (!above) return 'there is no attention before the first block to score tokens by';
  if (imageTokens(facts, above) !== imageTokens(facts, block.core))
    return 'the block above has another number of tokens';
  return blockOf(situation, above);
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
