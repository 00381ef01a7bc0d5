/** What a picture of a model before and after its recipe is made from, whichever blocks are open. */
import type { Block, Part } from '../graph/blocks';
import type { Shape } from '../onnx/model';
import { addLayer, addTally, emptyTally, type Tally } from './costs';
import { frameOf, type Exits, type Owners } from './frame';
import { lookOf, shapeOf, type Look, type Looking, type Side } from './looks';
import type { Merged } from './merge';
import { treatedAlike, type Structures } from './stacks';

export interface Scene extends Looking {
  readonly merged: Merged;
  readonly tree: Block;
  /** By layer. */
  readonly looks: ReadonlyMap<string, Look>;
  readonly structures: Structures;
  readonly sums: { readonly before: Sums; readonly after: Sums };
  readonly exits: { readonly before: ExitShapes; readonly after: ExitShapes };
}

/** What a part costs, with the conversions of its layers and the plumbing in its scopes. */
export type Sums = (part: Part) => Tally;

/** The shape of the last value that leaves a part. */
export type ExitShapes = (part: Part) => Shape | undefined;

const scenes = new WeakMap<Looking, Scene>();

/** Made once for everything that is asked of one picture. */
export function sceneOf(looking: Looking): Scene {
  let scene = scenes.get(looking);
  if (!scene) scenes.set(looking, (scene = newScene(looking)));
  return scene;
}

function newScene(looking: Looking): Scene {
  const { before, after } = looking;
  const frame = frameOf(before, after.graph);
  const { merged, tree, original, owners, exits } = frame;
  const looks = new Map<string, Look>();
  for (const layer of merged.layers.values()) looks.set(layer.id, lookOf(layer, looking));
  return {
    ...looking,
    merged,
    tree,
    looks,
    structures: { original, current: treatedAlike(frame, looks) },
    sums: { before: sumsOf(before, owners.before), after: sumsOf(after, owners.after) },
    exits: { before: exitShapes(before, exits.before), after: exitShapes(after, exits.after) },
  };
}

function sumsOf(side: Side, owners: Owners): Sums {
  const layers = new Map<string, Tally>();
  const plumbing = new Map<string, Tally>();
  side.graph.order.forEach(({ id: node }, at) => {
    const { kind, id } = owners[at]!;
    const tallies = kind === 'layer' ? layers : plumbing;
    let tally = tallies.get(id);
    if (!tally) tallies.set(id, (tally = emptyTally()));
    addLayer(tally, side.costs(node));
  });
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

function exitShapes({ facts }: Side, exitOf: Exits): ExitShapes {
  return (part) => {
    const node = exitOf(part);
    return node && shapeOf(node, facts);
  };
}
