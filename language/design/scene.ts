/** What a picture of a model before and after its recipe is made from, whichever blocks are open. */
import { positionsOf, treeOf, type Block, type Part, type Positions } from '../graph/blocks';
import { likeness } from '../graph/blocks/likeness';
import { enclosingScopes } from '../graph/names';
import type { Node } from '../graph/graph';
import type { Shape } from '../onnx/model';
import { addLayer, addTally, emptyTally, type Tally } from './costs';
import type { Flow, Source } from './flow';
import { lookOf, shapeOf, type Look, type Looking, type Side } from './looks';
import { merge, type Merged } from './merge';
import { structures, withoutLists, type Structures } from './stacks';

export interface Scene extends Looking {
  readonly merged: Merged;
  readonly tree: Block;
  /** By layer. */
  readonly looks: ReadonlyMap<string, Look>;
  readonly structures: Structures;
  readonly sums: { readonly before: Sums; readonly after: Sums };
  readonly exits: { readonly before: Exits; readonly after: Exits };
}

/** What a part costs, with the conversions of its layers and the plumbing in its scopes. */
export type Sums = (part: Part) => Tally;

/** The shape of the last value that leaves a part. */
export type Exits = (part: Part) => Shape | undefined;

const scenes = new WeakMap<Looking, Scene>();

/** Made once for everything that is asked of one picture. */
export function sceneOf(looking: Looking): Scene {
  let scene = scenes.get(looking);
  if (!scene) scenes.set(looking, (scene = newScene(looking)));
  return scene;
}

function newScene(looking: Looking): Scene {
  const { before, after } = looking;
  const merged = merge(before.graph, after.graph);
  const looks = new Map<string, Look>();
  for (const layer of merged.layers.values()) looks.set(layer.id, lookOf(layer, looking));
  const whole = treeOf(
    [...merged.layers.values()].map(({ before, after }) => before ?? after!),
    {
      reads: ({ id }) => merged.reads.get(id) ?? [],
      likeness: (node) => likeness(node, before.graph.node(node.id) ? before.graph : after.graph),
    },
  );
  const found = structures(positionsOf(whole), merged, looks, {
    before: before.graph,
    after: after.graph,
  });
  const tree = withoutLists(whole, found);
  const positions = positionsOf(tree);
  const versions = {
    before: { side: before, flow: merged.flows.before, idOf: (node: string) => node },
    after: { side: after, flow: merged.flows.after, idOf: merged.idOf },
  };
  return {
    ...looking,
    merged,
    tree,
    looks,
    structures: found,
    sums: { before: sumsOf(versions.before, positions), after: sumsOf(versions.after, positions) },
    exits: {
      before: exitsOf(versions.before, positions),
      after: exitsOf(versions.after, positions),
    },
  };
}

interface Version {
  readonly side: Side;
  readonly flow: Flow;
  /** The merged id of a layer. */
  readonly idOf: (node: string) => string;
}

function sumsOf({ side, flow, idOf }: Version, { ranges }: Positions): Sums {
  const layers = new Map<string, Tally>();
  const plumbing = new Map<string, Tally>();
  const tallyIn = (tallies: Map<string, Tally>, key: string) => {
    let tally = tallies.get(key);
    if (!tally) tallies.set(key, (tally = emptyTally()));
    return tally;
  };
  for (const node of side.graph.order) {
    const layer = flow.isLayer(node.id) ? node.id : flow.serves(node.id);
    const tally =
      layer === undefined
        ? tallyIn(plumbing, enclosingScopes(node.scope).find((scope) => ranges.has(scope)) ?? '')
        : tallyIn(layers, idOf(layer));
    addLayer(tally, side.costs(node.id));
  }
  const blocks = new Map<string, Tally>();
  return function sumOf(part) {
    if (part.kind === 'layer') return layers.get(part.node.id) ?? emptyTally();
    let tally = blocks.get(part.path);
    if (tally) return tally;
    tally = emptyTally();
    const own = plumbing.get(part.path);
    if (own) addTally(tally, own);
    for (const child of part.children) addTally(tally, sumOf(child));
    blocks.set(part.path, tally);
    return tally;
  };
}

function exitsOf({ side, flow, idOf }: Version, { layers, index, ranges }: Positions): Exits {
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
  for (const { name } of side.graph.outputs) read(flow.outputSources(name), Infinity);
  return (part) => {
    const [first, end] =
      part.kind === 'block'
        ? ranges.get(part.path)!
        : [index.get(part.node.id)!, index.get(part.node.id)! + 1];
    let last: Node | undefined;
    for (let i = end - 1; i >= first; i--) {
      const { id } = layers[i]!.node;
      const node = nodes.get(id);
      const [from, to] = readers.get(id) ?? [first, first];
      if (node && (from < first || to >= end)) return shapeOf(node, side.facts);
      last ??= node;
    }
    return last && shapeOf(last, side.facts);
  };
}
