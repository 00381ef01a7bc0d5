/** Where single channels are so large that one scale cannot hold the others, they are divided out before quantising. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { groupsOf, linearOf, type Group } from '../../linear';
import type { Evidence, Site } from '../../pass';
import { bestSmoothing, planSmoothings, WORTHWHILE, type Smoothing } from '../../smoothing';

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

export const planSmoothing = (
  graph: Graph,
  groups: readonly Group[],
  evidence: Evidence,
  measured: Graph | undefined,
): Promise<Smoothing[]> =>
  planSmoothings(
    graph,
    groups,
    evidence,
    (moments, matrices) => {
      const { factors, gain } = bestSmoothing(moments, matrices);
      return gain >= WORTHWHILE ? factors : undefined;
    },
    measured,
  );
