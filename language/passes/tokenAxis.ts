/** What passes that drop tokens have in common. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { attentionCores, type AttentionCore } from '../graph/match/attention';
import type { AxisTrack } from '../graph/match/axis';
import { inferShapes } from '../graph/shapes/infer';
import { int64Tensor, tensorNumbers } from '../onnx/tensor';
import type { Site, Sites, Situation } from './pass';
import { sitesWhere } from './sites';

export const attentionsBySoftmax = ({
  graph,
  facts,
}: Situation): ReadonlyMap<string, AttentionCore> =>
  new Map(attentionCores(graph, facts).map((core) => [core.softmax.id, core]));

/** Attentions that a pass takes, by asking each. */
export function attentionSites(
  { graph, facts }: Situation,
  find: (core: AttentionCore) => object | string,
): Sites {
  const cores = attentionsBySoftmax({ graph, facts });
  return sitesWhere(graph, ({ id }) => {
    const core = cores.get(id);
    return core && find(core);
  });
}

export function inOrder<S extends Site>(graph: Graph, sites: readonly S[]): S[] {
  const position = new Map(graph.order.map((node, i) => [node.id, i]));
  return [...sites].sort((a, b) => position.get(a.node)! - position.get(b.node)!);
}

/** Shapes after an edit, for the same inputs. */
export function inferAgain(graph: Graph, previous: Facts): Facts {
  const inputs = new Map(graph.inputs.map(({ name }) => [name, previous.value(name).shape ?? []]));
  return inferShapes(graph, { inputs, previous });
}

/** Writes the new size into constants that name the old one; other readers of the constant keep theirs. */
export function shortenConstants(
  graph: Graph,
  sizes: AxisTrack['sizes'],
  sizeAt: (node: string) => number,
): void {
  for (const { node: id, input, entry } of sizes) {
    const node = graph.node(id)!;
    const value = node.inputs[input]!;
    const tensor = graph.constant(value);
    if (!tensor) continue; // computed from shapes: it follows by itself, or inference shows that it does not
    const elements = [...tensorNumbers(tensor)];
    elements[entry] = sizeAt(id);
    const name = graph.freshValue(`${id}/size`); // the same whatever the size is
    graph.setInitializer(int64Tensor(name, elements, [...tensor.dims]));
    graph.setInput(id, input, name);
    graph.removeUnused([value]);
  }
}
