/** How the layers of a model stand under the roofs of a target, before and after its recipe, and where they are drawn. */
import { rooflineBetween } from '../cost/roofline';
import type { Situation } from '../passes/pass';
import type { Roofline } from '../protocol';
import { costOn } from './costing';
import { afterOf, viewRequest, type Look, type Subject } from './design';
import { drawnIn } from './view';

export function rooflineOf(subject: Subject, look: Look): Roofline {
  const { target } = look;
  const { bound, resolve } = subject;
  const after = afterOf(subject);
  const costed = ({ graph, facts }: Situation) => ({
    graph,
    facts,
    cost: costOn({ graph, facts }, target, resolve),
  });
  const roofline = rooflineBetween(costed(bound), costed(after), target, resolve);
  const drawn = drawnIn(viewRequest(subject, look));
  return {
    ...roofline,
    layers: roofline.layers.map((layer) => ({
      ...layer,
      shown: drawn.get(after.graph.node(layer.node)!.origin) ?? null,
    })),
  };
}
