/**
 * The residual stream between the attentions after which tokens go and its end before the last normalisation, where they
 * come back: all that is computed from it in between has to work with fewer tokens, and nothing of it may be seen outside.
 */
import type { Facts } from '../../../graph/facts';
import { captures, type Graph, type Node } from '../../../graph/graph';
import { residualAfter, type AttentionCore } from '../../../graph/match/attention';
import { followAxis, type AxisTrack } from '../../../graph/match/axis';
import { View } from '../../../graph/match/view';
import type { Situation } from '../../pass';

/** An attention, and the residual sum with its result: what is behind that has fewer tokens. */
export interface Cut {
  readonly core: AttentionCore;
  readonly sum: Node;
  /** [1, tokens, width]. */
  readonly stream: string;
}

export interface Stretch {
  readonly cuts: readonly Cut[];
  /** Where tokens come back. */
  readonly end: string;
  readonly track: AxisTrack;
  /** Cuts before each node that reads the stream. */
  readonly depths: ReadonlyMap<string, number>;
}

/** TopK on integers and Max of integers. */
const OPSET = 12;

export function cutAt({ graph, facts }: Situation, core: AttentionCore): Cut | string {
  if (graph.opset < OPSET)
    return `selection by integers needs operator set ${OPSET}, the model uses ${graph.opset}`;
  const shape = facts.value(core.softmax.outputs[0]!).shape;
  const [queries, keys] = shape?.slice(-2) ?? [];
  if (shape?.length !== 4) return 'batch and heads of its attention share an axis';
  if (queries === undefined || queries === null || queries !== keys)
    return 'it attends to more than the tokens that it computes, such as a cache of earlier ones';
  const residual = residualAfter(graph, facts, core.product);
  if (!residual) return 'its result is not added to a residual stream';
  if (!isMadeFrom(graph, core.scores, residual.before))
    return 'it does not start from the stream that its result is added to';
  const stream = facts.value(residual.after).shape;
  if (stream?.length !== 3 || stream[1] !== keys)
    return 'its residual stream is not batch × tokens × width';
  if (stream[0] !== 1 || shape[0] !== 1)
    return 'each sample of a batch would keep other tokens: only a batch of 1 is taken';
  return { core, sum: residual.sum, stream: residual.after };
}

function isMadeFrom(graph: Graph, node: Node, value: string): boolean {
  const seen = new Set([node.id]);
  const open = [node];
  for (let at = open.pop(); at; at = open.pop())
    for (const input of at.inputs) {
      if (input === value) return true;
      const producer = graph.producer(input);
      if (!producer || seen.has(producer.id)) continue;
      seen.add(producer.id);
      open.push(producer);
    }
  return false;
}

/** @param cuts in the order of the graph, as are `cores`, all attentions of the model */
export function stretchOf(
  { graph, facts }: Situation,
  cuts: readonly Cut[],
  cores: readonly AttentionCore[],
): Stretch | string {
  const [first] = cuts as [Cut];
  const end = endOf(graph, facts, first.stream);
  if (end === first.stream) return 'nothing is added to the stream behind it';
  const track = followAxis(graph, facts, first.stream, 1, end);
  if (!track.ok) return `${track.reason} (at ${track.node})`;
  if (track.readouts.length > 0) return `a single token is read at ${track.readouts[0]}`;
  const at = cores.findIndex(({ softmax }) => softmax.id === first.core.softmax.id);
  for (const { softmax } of cores.slice(at + 1))
    if (!track.axes.has(softmax.outputs[0]!))
      return `${softmax.id} attends to other tokens than those of the stream`;
  const unclear = uncomputable(graph, track);
  if (unclear) return `${unclear.id} (${unclear.op}) cannot be computed for all tokens apart`;
  const depths = depthsOf(graph, track, cuts, end);
  return typeof depths === 'string' ? depths : { cuts, end, track, depths };
}

/** Of what masks and positions are made from by shapes of the stream: a node that cannot be repeated for all tokens. */
function uncomputable(graph: Graph, { sides, adaptive }: AxisTrack): Node | undefined {
  const open = sides.map(({ node, input }) => graph.node(node)!.inputs[input]!);
  const seen = new Set<string>();
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (!adaptive.has(value) || seen.has(value)) continue;
    seen.add(value);
    const node = graph.producer(value)!;
    if (node.op === 'Shape') continue;
    if (node.op === 'Size' || captures(node).length > 0) return node;
    open.push(...node.inputs);
  }
  return undefined;
}

/** The last of the sums that add to a stream, one after another. */
function endOf(graph: Graph, facts: Facts, from: string): string {
  const view = new View(graph, facts);
  for (let stream = from; ;) {
    const width = facts.value(stream).shape?.join();
    const next = graph
      .consumers(stream)
      .find(
        ({ op, inputs, outputs }) =>
          op === 'Add' &&
          inputs.every((input) => !view.isStatic(input)) &&
          facts.value(outputs[0]!).shape?.join() === width,
      );
    if (!next) return stream;
    stream = next.outputs[0]!;
  }
}

function depthsOf(
  graph: Graph,
  { axes, adaptive }: AxisTrack,
  cuts: readonly Cut[],
  end: string,
): ReadonlyMap<string, number> | string {
  const at = new Map(cuts.map(({ stream }, i) => [stream, i]));
  /** Cuts before a value's readers. */
  const behind = new Map([[cuts[0]!.stream, 1]]);
  const depths = new Map<string, number>();
  for (const node of graph.order) {
    const read = new Set(
      node.inputs.filter((input) => input !== end && axes.has(input)).map((i) => behind.get(i)!),
    );
    const [depth] = read;
    if (depth === undefined) continue;
    if (read.size > 1) return `${node.id} joins tokens of before and behind a stage`;
    depths.set(node.id, depth);
    for (const output of node.outputs) {
      const cut = at.get(output);
      if (cut !== undefined && cut !== depth) return `${node.id} is not behind the stage before it`;
      if (output === end && depth !== cuts.length)
        return 'its result comes behind the end of the stream';
      behind.set(output, cut === undefined ? depth : cut + 1);
    }
  }
  for (const [i, { core, stream }] of cuts.entries()) {
    if (i === 0) continue;
    const { softmax } = core;
    if (depths.get(softmax.id) !== i || !axes.has(stream) || adaptive.has(stream))
      return `${softmax.id} is not on the stream that the stages before it shorten`;
  }
  return depths;
}
