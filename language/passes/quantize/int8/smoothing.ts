/** Where single channels are so large that one scale cannot hold the others, they are divided out before quantising. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { groupsOf, linearOf, type Group } from '../../linear';
import type { Evidence, Site } from '../../pass';
import { asDecision, bestSmoothing, matricesOf, smooth, type Smoothing } from '../../smoothing';

/** How many times smaller the expected squared error must become. */
const WORTHWHILE = 4;

/** Layers that are quantised, by the value that they read. */
export const smoothable = (
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  float: ReadonlySet<string>,
): Group[] =>
  groupsOf(
    sites.flatMap(({ node }) => {
      const layer = float.has(node) ? undefined : linearOf(graph, facts, graph.node(node)!);
      return typeof layer === 'object' ? [layer] : [];
    }),
  );

export async function planSmoothing(
  graph: Graph,
  groups: readonly Group[],
  evidence: Evidence,
): Promise<Smoothing[]> {
  const moments = await evidence.moments(groups.map(({ value }) => value));
  const out: Smoothing[] = [];
  for (const group of groups) {
    const seen = moments.get(group.value);
    if (seen?.max.length !== group.layers[0]!.rows) continue;
    evidence.progress(group.layers[0]!.node);
    const { factors, gain } = bestSmoothing(seen, matricesOf(graph, group));
    if (gain >= WORTHWHILE) out.push(asDecision(group.value, factors));
  }
  return out;
}

export function smoothAll(
  graph: Graph,
  groups: readonly Group[],
  smoothings: readonly Smoothing[],
): void {
  const decided = new Map(smoothings.map(({ value, factors }) => [value, factors]));
  for (const group of groups) {
    const factors = decided.get(group.value);
    if (factors) smooth(graph, group, factors);
  }
}
