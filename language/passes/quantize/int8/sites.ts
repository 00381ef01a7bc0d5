/** Where layers can run on integer codes. */
import type { Node } from '../../../graph/graph';
import { quantisable, type Layer, type Product } from '../../layers';
import type { Refusal, Sites, Situation } from '../../pass';
import { sitesWhere } from '../../sites';
import { bodyProducts, type BodyProducts } from './bodies';

/** What there is at a node of the graph, or within it. */
export const quantisableIn = (
  situation: Situation,
  node: Node,
): Layer | Product | BodyProducts | string | undefined =>
  quantisable(situation.graph, situation.facts, node) ?? bodyProducts(situation, node);

/** A loop is a site for the products that can be taken out of it, and refused for the others. */
export function quantisableSites(situation: Situation): Sites {
  const { graph } = situation;
  const left: Refusal[] = [];
  const { sites, refused } = sitesWhere(graph, (node) => {
    const found = quantisableIn(situation, node);
    if (typeof found === 'object' && 'left' in found && found.left !== undefined)
      left.push({ node: node.id, reason: found.left });
    return found;
  });
  return { sites, refused: [...refused, ...left] };
}

/** Those with weights. */
export const layerSites = ({ graph, facts }: Situation): Sites =>
  sitesWhere(graph, (node) => {
    const found = quantisable(graph, facts, node);
    return typeof found === 'object' && found.kind === 'product' ? undefined : found;
  });
