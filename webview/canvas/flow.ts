/** The view as React Flow wants it. What did not change keeps its identity, so that only what changed is drawn again. */
import type { Node } from '@xyflow/react';
import type { GraphView, Metric, ViewNode } from '../../language/protocol';
import { equal } from '../common/equal';
import type { NodeEffect, NodeEffects } from '../sensitivity/effects';
import { heat, largestShare, type Heat } from './heat';

/** What a node says and is coloured by: its cost, or what a step does to it, or nothing where that was not measured. */
export type Says = NodeEffect | 'cost' | 'nothing';

export type CardNode = Node<
  {
    readonly node: ViewNode;
    readonly heat: Heat;
    readonly level: number;
    readonly says: Says;
  },
  'card' | 'container' | 'port'
>;

/** Open blocks lie behind what they hold; the lines between are drawn in between, at 999. */
const ABOVE_CONTAINERS = 1000;

/** @param effects in place of what nodes cost */
export function toFlow(
  view: GraphView,
  metric: Metric,
  previous: readonly CardNode[],
  effects: NodeEffects | null = null,
): CardNode[] {
  const levels = levelsOf(view.nodes);
  const largest = largestShare(view.nodes, metric);
  const known = new Map(previous.map((node) => [node.id, node]));
  return view.nodes.map((node) => {
    const level = levels.get(node.id) ?? 0;
    const effect = effects?.get(node.id);
    const step = effects ? (effect?.heat ?? null) : heat(node.cost.share[metric], largest);
    const says: Says = effects ? (effect ?? 'nothing') : 'cost';
    const data = { node, heat: step, level, says };
    const old = known.get(node.id);
    return old && equal(old.data, data) ? old : flowNode(data);
  });
}

function flowNode(data: CardNode['data']): CardNode {
  const { id, kind, open, x, y, width, height } = data.node;
  return {
    id,
    type: open ? 'container' : kind === 'input' || kind === 'output' ? 'port' : 'card',
    position: { x, y },
    width,
    height,
    // Sizes are given: nothing waits for the browser to measure.
    measured: { width, height },
    data,
    zIndex: open ? data.level : ABOVE_CONTAINERS,
    // The card inside carries role, name and focus.
    domAttributes: { 'aria-roledescription': undefined },
  };
}

/** How many open blocks each node lies in. */
function levelsOf(nodes: readonly ViewNode[]): ReadonlyMap<string, number> {
  const parents = new Map(nodes.map(({ id, parent }) => [id, parent]));
  const levels = new Map<string, number>();
  for (const { id } of nodes) {
    let level = 0;
    for (let at = parents.get(id); at != null && level < nodes.length; at = parents.get(at))
      level++;
    levels.set(id, level);
  }
  return levels;
}
