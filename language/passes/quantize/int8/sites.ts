/** Where layers can run on integer codes. */
import { quantisable } from '../../layers';
import type { Refusal, Site, Sites, Situation } from '../../pass';

export function quantisableSites({ graph, facts }: Situation): Sites {
  const sites: Site[] = [];
  const refused: Refusal[] = [];
  for (const node of graph.order) {
    const found = quantisable(graph, facts, node);
    if (typeof found === 'string') refused.push({ node: node.id, reason: found });
    else if (found) sites.push({ node: node.id });
  }
  return { sites, refused };
}

/** Those with weights. */
export function layerSites(situation: Situation): Sites {
  const { graph, facts } = situation;
  const { sites, refused } = quantisableSites(situation);
  const isLayer = (site: Site) => {
    const found = quantisable(graph, facts, graph.node(site.node)!);
    return typeof found === 'object' && found.kind !== 'product';
  };
  return { sites: sites.filter(isLayer), refused };
}
