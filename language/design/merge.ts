/**
 * A model before and after its recipe as one graph: what was kept, what a step put in, and ghosts of what it took out,
 * each in its place.
 */
import type { Graph, Node } from '../graph/graph';
import { sameShape } from '../graph/shapes/dims';
import { editedFlow, flowOf, type Flow, type Source } from './flow';

/** A layer on both sides. The node of at least one side is there. */
export interface MergedLayer {
  /** The id of the original node; of an inserted one its own. */
  readonly id: string;
  readonly before: Node | undefined;
  readonly after: Node | undefined;
}

export type Presence = 'kept' | 'inserted' | 'removed';

/** A value that flows between two layers, or from an input, or to an output. */
export interface Flowing {
  readonly from: string;
  readonly to: string;
  readonly value: string;
  readonly presence: Presence;
}

/** A graph input or output. */
export interface Terminal {
  readonly id: string;
  readonly kind: 'input' | 'output';
  readonly name: string;
  readonly presence: Presence;
}

export interface Merged {
  /** In the order of the original, inserted ones after what they follow. */
  readonly layers: ReadonlyMap<string, MergedLayer>;
  readonly flows: { readonly before: Flow; readonly after: Flow };
  /** The merged id of a layer of the edited model. */
  readonly idOf: (after: string) => string;
  readonly flowing: readonly Flowing[];
  /** By layer or output: what flows into it, or once did. */
  readonly incoming: ReadonlyMap<string, readonly Flowing[]>;
  readonly terminals: readonly Terminal[];
}

interface Known {
  readonly versions: WeakMap<Graph, Merged>;
  /** The edited models that were merged last: the next one often differs from one in elements of constants only. */
  readonly recent: readonly Graph[];
}

const MOST_RECENT = 3;
const known = new WeakMap<Graph, Known>();

export function merge(before: Graph, after: Graph): Merged {
  const { versions, recent } = known.get(before) ?? { versions: new WeakMap(), recent: [] };
  let merged = versions.get(after);
  if (merged) return merged;
  const like = recent.find((other) => isAlike(other, after));
  merged = (like && versions.get(like)) ?? mergeNew(before, after);
  versions.set(after, merged);
  const others = recent.filter((other) => other !== like);
  known.set(before, { versions, recent: [after, ...others].slice(0, MOST_RECENT) });
  return merged;
}

/** Whether two versions have the same nodes, between the same ends, and constants of the same types and sizes. */
function isAlike(a: Graph, b: Graph): boolean {
  if (a.order !== b.order || a.inputs !== b.inputs || a.outputs !== b.outputs) return false;
  if (a.initializers.size !== b.initializers.size) return false;
  for (const [name, tensor] of a.initializers) {
    const other = b.initializer(name);
    if (other === tensor) continue;
    if (other?.elementType !== tensor.elementType || !sameShape(other.dims, tensor.dims))
      return false;
  }
  return true;
}

function mergeNew(before: Graph, after: Graph): Merged {
  const flows = { before: flowOf(before), after: editedFlow(after, before) };
  const successors = successorsOf(before, after, flows);
  const idOf = (id: string) => successors.get(id) ?? id;
  const layers = mergeLayers(flows, after, idOf);
  const terminals = [
    ...terminalsOf('input', before.inputs, after.inputs),
    ...terminalsOf('output', before.outputs, after.outputs),
  ];
  const flowing = flowingOf(layers, flows, terminals, idOf);
  return { layers, flows, idOf, terminals, flowing, incoming: incomingOf(flowing) };
}

function incomingOf(flowing: readonly Flowing[]): ReadonlyMap<string, readonly Flowing[]> {
  const incoming = new Map<string, Flowing[]>();
  for (const one of flowing) {
    const others = incoming.get(one.to);
    if (others) others.push(one);
    else incoming.set(one.to, [one]);
  }
  return incoming;
}

/** Inserted layers that took the place of a removed one: they give out its value, in its name. */
function successorsOf(
  before: Graph,
  after: Graph,
  flows: Merged['flows'],
): ReadonlyMap<string, string> {
  const successors = new Map<string, string>();
  if (before === after) return successors;
  for (const { id, outputs } of flows.before.layers) {
    if (after.node(id)) continue;
    const maker = outputs[0] ? after.producer(outputs[0]) : undefined;
    if (maker?.origin === id && flows.after.isLayer(maker.id)) successors.set(maker.id, id);
  }
  return successors;
}

function mergeLayers(
  flows: Merged['flows'],
  after: Graph,
  idOf: Merged['idOf'],
): Map<string, MergedLayer> {
  const successor = new Map<string, Node>();
  const following = new Map<string | undefined, Node[]>();
  let last: string | undefined;
  for (const node of flows.after.layers) {
    const id = idOf(node.id);
    if (flows.before.isLayer(id)) {
      successor.set(id, node);
      last = id;
    } else following.set(last, [...(following.get(last) ?? []), node]);
  }
  const layers = new Map<string, MergedLayer>();
  const addFollowing = (id: string | undefined) => {
    for (const node of following.get(id) ?? [])
      layers.set(node.id, { id: node.id, before: undefined, after: node });
  };
  addFollowing(undefined);
  for (const node of flows.before.layers) {
    const now = successor.get(node.id) ?? after.node(node.id);
    layers.set(node.id, { id: node.id, before: node, after: now });
    addFollowing(node.id);
  }
  return layers;
}

export const terminalId = (kind: Terminal['kind'], name: string): string => `${kind}:${name}`;

function terminalsOf(
  kind: Terminal['kind'],
  before: readonly { readonly name: string }[],
  after: readonly { readonly name: string }[],
): Terminal[] {
  const was = new Set(before.map(({ name }) => name));
  const is = new Set(after.map(({ name }) => name));
  return [...new Set([...was, ...is])].map((name) => ({
    id: terminalId(kind, name),
    kind,
    name,
    presence: presenceOf(was.has(name), is.has(name)),
  }));
}

const presenceOf = (was: boolean, is: boolean): Presence =>
  was && is ? 'kept' : is ? 'inserted' : 'removed';

/** All that flows after the recipe, and what flowed from and to the layers that it removed. */
function flowingOf(
  layers: ReadonlyMap<string, MergedLayer>,
  { before, after }: Merged['flows'],
  terminals: readonly Terminal[],
  idOf: Merged['idOf'],
): Flowing[] {
  const flowing: Flowing[] = [];
  const isInserted = (id: string) => layers.get(id)?.before === undefined && layers.has(id);
  const isRemoved = (id: string) => layers.get(id)?.after === undefined && layers.has(id);
  const end = ({ kind, id }: Source) => (kind === 'input' ? terminalId('input', id) : idOf(id));
  const flowsNow = (to: string, sources: readonly Source[]) => {
    for (const source of sources) {
      const from = end(source);
      const presence = isInserted(from) || isInserted(to) ? 'inserted' : 'kept';
      flowing.push({ from, to, value: source.value, presence });
    }
  };
  const flowedOnce = (to: string, sources: readonly Source[]) => {
    for (const source of sources) {
      const from = source.kind === 'input' ? terminalId('input', source.id) : source.id;
      if (isRemoved(from) || isRemoved(to))
        flowing.push({ from, to, value: source.value, presence: 'removed' });
    }
  };
  for (const node of after.layers) flowsNow(idOf(node.id), after.sources(node.id));
  for (const { id, kind, name } of terminals)
    if (kind === 'output') flowsNow(id, after.outputSources(name));
  if (before === after) return flowing;
  for (const node of before.layers) flowedOnce(node.id, before.sources(node.id));
  for (const { id, kind, name } of terminals)
    if (kind === 'output') flowedOnce(id, before.outputSources(name));
  return flowing;
}
