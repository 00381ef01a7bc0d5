/**
 * What a picture of a model before and after its recipe keeps while a parameter is in motion: all that follows from the
 * nodes and from the types and sizes of constants, and from nothing that the model after the recipe costs or computes.
 */
import { positionsOf, treeOf, type Block, type Part, type Positions } from '../graph/blocks';
import { likeness } from '../graph/blocks/likeness';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { enclosingScopes } from '../graph/names';
import type { Flow, Source } from './flow';
import { shapeOf } from './looks';
import { merge, type Flowing, type Merged } from './merge';
import { blockNumbers, shapeKey, withoutLists } from './stacks';

export interface Frame {
  readonly merged: Merged;
  readonly tree: Block;
  /** The same number for equal blocks of the original model. */
  readonly original: (block: Block) => number;
  /** The same number for blocks that are equal but for what the recipe did to them. */
  readonly wired: (block: Block) => number;
  /** Of the tree that `wired` numbers. */
  readonly positions: Positions;
  readonly owners: { readonly before: Owners; readonly after: Owners };
  readonly exits: { readonly before: Exits; readonly after: Exits };
}

/** By node in the order of the graph: the layer, or the block, that it counts for. */
export type Owners = readonly Owner[];
export interface Owner {
  readonly kind: 'layer' | 'block';
  /** Merged id of the layer, or path of the block. */
  readonly id: string;
}

/** The node whose output is the last value that leaves a part. */
export type Exits = (part: Part) => Node | undefined;

/** A model and what is known of its values. */
interface Side {
  readonly graph: Graph;
  readonly facts: Facts;
}

const NONE: readonly Flowing[] = [];

/** The frame that was made last of a merged model, and for which shapes of the original. */
const frames = new WeakMap<Merged, { readonly facts: Facts; readonly frame: Frame }>();

export function frameOf(before: Side, after: Graph): Frame {
  const merged = merge(before.graph, after);
  const known = frames.get(merged);
  if (known?.facts === before.facts) return known.frame;
  const frame = newFrame(merged, before, after);
  frames.set(merged, { facts: before.facts, frame });
  return frame;
}

function newFrame(merged: Merged, before: Side, after: Graph): Frame {
  const whole = treeOf(
    [...merged.layers.values()].map((layer) => layer.before ?? layer.after!),
    {
      reads: ({ id }) => (merged.incoming.get(id) ?? NONE).map(({ from }) => from),
      likeness: (node) => likeness(node, before.graph.node(node.id) ? before.graph : after),
    },
  );
  const positions = positionsOf(whole);
  const original = blockNumbers(positions, merged, {
    key: ({ before: node }) =>
      node ? `${likeness(node, before.graph)} ${shapeKey(shapeOf(node, before.facts))}` : '',
    reads: ({ before: node }) =>
      node
        ? merged.flows.before.sources(node.id).map(({ id, value }) => ({ from: id, value }))
        : NONE,
  });
  const wired = blockNumbers(positions, merged, {
    key: ({ before: was, after: is }) => (is ? likeness(is, after) : likeness(was!, before.graph)),
    reads: ({ id }) => merged.incoming.get(id) ?? NONE,
  });
  const tree = withoutLists(whole, original);
  const shown = positionsOf(tree);
  const versions = {
    before: { graph: before.graph, flow: merged.flows.before, idOf: (node: string) => node },
    after: { graph: after, flow: merged.flows.after, idOf: merged.idOf },
  };
  return {
    merged,
    tree,
    original,
    wired,
    positions,
    owners: { before: ownersOf(versions.before, shown), after: ownersOf(versions.after, shown) },
    exits: { before: exitsOf(versions.before, shown), after: exitsOf(versions.after, shown) },
  };
}

interface Version {
  readonly graph: Graph;
  readonly flow: Flow;
  /** The merged id of a layer. */
  readonly idOf: (node: string) => string;
}

/** Conversions count for their layer, plumbing for the block of its scope. */
function ownersOf({ graph, flow, idOf }: Version, { ranges }: Positions): Owners {
  return graph.order.map(({ id, scope }) => {
    const layer = flow.isLayer(id) ? id : flow.serves(id);
    if (layer !== undefined) return { kind: 'layer', id: idOf(layer) };
    return { kind: 'block', id: enclosingScopes(scope).find((path) => ranges.has(path)) ?? '' };
  });
}

function exitsOf({ graph, flow, idOf }: Version, { layers, index, ranges }: Positions): Exits {
  const nodes = new Map(flow.layers.map((node) => [idOf(node.id), node]));
  // The first and last reader of each layer, by position; a graph output reads from outside of everything.
  const readers = new Map<string, readonly [number, number]>();
  const read = (sources: readonly Source[], reader: number) => {
    for (const source of sources) {
      if (source.kind === 'input') continue;
      const id = idOf(source.id);
      const [first, last] = readers.get(id) ?? [reader, reader];
      readers.set(id, [Math.min(first, reader), Math.max(last, reader)]);
    }
  };
  for (const node of flow.layers) read(flow.sources(node.id), index.get(idOf(node.id))!);
  for (const { name } of graph.outputs) read(flow.outputSources(name), Infinity);
  const exitOf = (part: Part): Node | undefined => {
    const [first, end] =
      part.kind === 'block'
        ? ranges.get(part.path)!
        : [index.get(part.node.id)!, index.get(part.node.id)! + 1];
    let last: Node | undefined;
    for (let i = end - 1; i >= first; i--) {
      const { id } = layers[i]!.node;
      const node = nodes.get(id);
      const [from, to] = readers.get(id) ?? [first, first];
      if (node && (from < first || to >= end)) return node;
      last ??= node;
    }
    return last;
  };
  const known = new Map<Part, Node | undefined>();
  return (part) => {
    if (!known.has(part)) known.set(part, exitOf(part));
    return known.get(part);
  };
}
