/** Which nodes a pass takes, by asking each. */
import type { Graph, Node } from '../graph/graph';
import type { Refusal, Site, Sites } from './pass';

/** @param find what the pass sees in a node: why it cannot take it, or undefined where nobody would expect it to */
export function sitesWhere(graph: Graph, find: (node: Node) => object | string | undefined): Sites {
  const sites: Site[] = [];
  const refused: Refusal[] = [];
  for (const node of graph.order) {
    const found = find(node);
    if (typeof found === 'string') refused.push({ node: node.id, reason: found });
    else if (found) sites.push({ node: node.id });
  }
  return { sites, refused };
}
