/** What passes that drop tokens have in common. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { attentionCores, type AttentionCore } from '../graph/match/attention';
import type { AxisTrack } from '../graph/match/axis';
import { inferShapes } from '../graph/shapes/infer';
import type { Shape } from '../onnx/model';
import { int64Tensor, tensorNumbers } from '../onnx/tensor';
import type { Site, Sites, Situation } from './pass';
import { sitesWhere } from './sites';

/** Attentions that a pass takes, by asking each. */
export function attentionSites(
  { graph, facts }: Situation,
  find: (core: AttentionCore, cores: readonly AttentionCore[]) => object | string,
): Sites {
  const cores = attentionCores(graph, facts);
  const bySoftmax = new Map(cores.map((core) => [core.softmax.id, core]));
  return sitesWhere(graph, ({ id }) => {
    const core = bySoftmax.get(id);
    return core && find(core, cores);
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

/**
 * A value whose shape is not what it should be after tokens were dropped, or undefined when all is well.
 * @param shapes of values that have fewer tokens; outputs of the model are to be as they were
 */
export function mismatch(
  graph: Graph,
  before: Facts,
  after: Facts,
  shapes: ReadonlyMap<string, Shape | undefined>,
): string | undefined {
  for (const [value, shape] of shapes)
    if (after.value(value).shape?.join() !== shape?.join()) return value;
  return graph.outputs.find(
    ({ name }) => before.value(name).shape?.join() !== after.value(name).shape?.join(),
  )?.name;
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
