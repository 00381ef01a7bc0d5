/**
 * Which tokens matter: imp_i = mean over heads of the attention of query i to the first token. Shen et al.: Squat
 * (EdgeQAT), token importance. The set of a layer is that of the last attention before it.
 */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { attentionCores, type AttentionCore } from '../../../graph/match/attention';
import { Builder } from '../../builder';
import type { Linear } from '../../linear';
import type { Parameters } from './parameters';

const PARTS = 1e9;

/** The attention by which the tokens of a layer's input are ranked; undefined where none comes before it. */
export interface Ranker {
  readonly core: AttentionCore | undefined;
}

/** What ranks the tokens of a layer's input, or why nothing can. */
export function rankers(graph: Graph, facts: Facts): (layer: Linear) => Ranker | string {
  const cores = attentionCores(graph, facts);
  const at = new Map(cores.map(({ softmax }, i) => [softmax.outputs[0]!, i]));
  const last = new Map<string, number>();
  for (const node of graph.order) {
    const before = Math.max(-1, ...node.inputs.map((input) => last.get(input) ?? -1));
    for (const output of node.outputs) last.set(output, at.get(output) ?? before);
  }
  return ({ activation }) => {
    const core = cores[last.get(activation) ?? -1];
    const shape = facts.value(activation).shape;
    if (shape?.length !== 3) return 'its input is not batch × tokens × features';
    if (!core) return { core };
    const ranked = facts.value(core.softmax.outputs[0]!).shape;
    if (ranked?.length !== 4) return 'batch and heads of the attention before it share an axis';
    if (ranked[0] !== shape[0] || ranked[2] !== shape[1] || shape[1] === null)
      return 'the attention before it has other tokens';
    return { core };
  };
}

/**
 * [batch, tokens, 1], true for the tokens that matter: as many of each sample as the share says, and those that tie with
 * the last of them.
 */
export function writeImportant(
  graph: Graph,
  { softmax }: AttentionCore,
  { share, ranking, align }: Pick<Parameters, 'share' | 'ranking' | 'align'>,
): string {
  const source = ranking === 'logits' ? softmax.inputs[0]! : softmax.outputs[0]!;
  const build = new Builder(graph, softmax, `${softmax.outputs[0]!}/squat`);
  const column = build.slice(source, 'to_first', [[3, 0, 1]]);
  const mean = build.reduceMean(column, 'mean', [1, 3]);
  const importance = build.cast(mean, 'importance', 'float32');
  const tokens = build.slice(build.node('Shape', 'shape', [importance]), 'tokens', [[0, 1, 2]]);
  const unit = PARTS * align;
  const above = build.node('Add', 'above', [
    build.node('Mul', 'wanted', [tokens, build.constant('share', [Math.round(share * PARTS)])]),
    build.constant('up', [unit - 1]),
  ]);
  const units = build.node('Div', 'units', [above, build.constant('unit', [unit])]);
  const aligned = build.node('Mul', 'aligned', [units, build.constant('align', [align])]);
  const count = build.node('Min', 'count', [tokens, aligned]);
  const best = build.topk(importance, 'best', count, { largest: true, sorted: false }).values;
  const least = build.reduce('ReduceMin', best, 'least', [-1], true);
  const matters = build.node('GreaterOrEqual', 'matters', [importance, least]);
  return build.unsqueeze(matters, 'important', 2);
}
