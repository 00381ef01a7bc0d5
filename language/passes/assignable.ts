/** Nodes that a target can be given: all whose results are not known before anything runs. */
import type { Sites, Situation } from './pass';

export function assignableSites({ graph, facts }: Situation): Sites {
  const sites = graph.order.filter(
    (node) => !node.outputs.every((output) => facts.value(output).elements),
  );
  return { sites: sites.map(({ id }) => ({ node: id })), refused: [] };
}
