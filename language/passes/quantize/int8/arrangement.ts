/** What is quantised where, decided from the graph alone so that plan and rewrite agree. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { endsInOutputs, quantisable, type Layer, type Product } from '../../layers';
import type { Refusal, Site } from '../../pass';
import type { Quantised, Use } from '../../qdq';
import { foldable, foldClipping, type Fold } from './folding';
import { keepsScale, reachesInteger } from './integerPath';

export interface Arrangement {
  readonly layers: readonly Layer[];
  readonly products: readonly Product[];
  /** Inputs of layers and products that are quantised for them alone. */
  readonly uses: readonly Use[];
  readonly values: readonly Quantised[];
  readonly folds: readonly { readonly producer: string; readonly fold: Fold }[];
  readonly refused: readonly Refusal[];
}

/** @param float sites that stay as they are */
export function arrange(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  float: ReadonlySet<string>,
): Arrangement {
  const layers: Layer[] = [];
  const products: Product[] = [];
  const uses: Use[] = [];
  const refused: Refusal[] = [];
  const folds: { producer: string; fold: Fold }[] = [];
  const values = new Map<string, Quantised>();
  const add = (value: Quantised) => {
    if (!values.has(value.name)) values.set(value.name, value);
  };
  const chosen = new Set(sites.map((site) => site.node).filter((node) => !float.has(node)));

  for (const node of graph.order) {
    if (chosen.has(node.id)) {
      const found = quantisable(graph, facts, node);
      if (typeof found !== 'object') {
        refused.push({ node: node.id, reason: found ?? 'it has no constant weight' });
        continue;
      }
      if (found.kind === 'product') {
        products.push(found);
        for (const input of [0, 1]) uses.push({ node: node.id, input });
        continue;
      }
      uses.push({ node: node.id, input: 0 });
      if (found.kind !== 'conv') {
        layers.push(found);
        continue;
      }
      const { normalisation, fold } = foldable(graph, node);
      layers.push({ ...found, normalisation });
      folds.push({ producer: node.id, fold });
      add({ name: fold.result, readers: 'all', like: undefined });
    } else if (
      node.op === 'Add' &&
      node.inputs.every((input) => values.get(input)?.readers === 'all')
    ) {
      const fold = foldClipping(graph, node.outputs[0]!, []);
      if (endsInOutputs(graph, fold.result)) continue;
      folds.push({ producer: node.id, fold });
      add({ name: fold.result, readers: 'all', like: undefined });
    } else if (keepsScale(node) && values.get(node.inputs[0] ?? '')?.readers === 'all') {
      const output = node.outputs[0]!;
      const source = values.get(node.inputs[0]!)!;
      if (reachesInteger(graph, output, chosen))
        add({ name: output, readers: 'all', like: source.like ?? source.name });
    }
  }
  for (const { node, input } of uses)
    add({ name: graph.node(node)!.inputs[input]!, readers: 'layers', like: undefined });
  return { layers, products, uses, values: [...values.values()], folds, refused };
}
