/** Where layers can run on integer codes. */
import { quantisable } from '../../layers';
import type { Site, Sites, Situation } from '../../pass';
import { sitesWhere } from '../../sites';

export const quantisableSites = ({ graph, facts }: Situation): Sites =>
  sitesWhere(graph, (node) => quantisable(graph, facts, node));

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
