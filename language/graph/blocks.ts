/** The tree of scopes of a graph: the model's own blocks, as its code named them, and the layers in them. */
import type { Facts } from './facts';
import { captures, type Graph, type Node } from './graph';
import { likeness } from './blocks/likeness';
import { READABLE, sections, type Sectioned } from './blocks/sections';
import { homesOf, separate } from './blocks/visits';
import { View } from './match/view';
import { enclosingScopes } from './names';

export type Part = Block | Layer;

export interface Layer {
  readonly kind: 'layer';
  readonly node: Node;
  /** The node's short name, or the scope that it is alone in: `qkv` instead of `qkv/MatMul`. */
  readonly title: string;
}

export interface Block {
  readonly kind: 'block';
  /**
   * Scope path, the empty string for the root. What a second visit of a scope computes has `#2` after it, a section of
   * unnamed layers `§` and its first layer.
   */
  readonly path: string;
  /** Whether it is a scope, with all layers in it. */
  readonly whole: boolean;
  /** Path from the block around it, without what merely repeats: `layer1.0` of `/layer1/layer1.0`. */
  readonly title: string;
  /** Blocks and layers in the order of their first nodes. */
  readonly children: readonly Part[];
  /** Layers in the block, at any depth. */
  readonly layers: number;
}

export interface Wiring {
  /** What a node reads, by the ids of nodes of the same tree. */
  readonly reads: (node: Node) => readonly string[];
  /** Equal for nodes that do the same with weights of the same shapes. */
  readonly likeness: (node: Node) => string;
}

const NONE: readonly string[] = [];

/** Scopes deeper than any code nests are one with the scope around them. */
const DEEPEST = 64;

const CONVERSIONS = new Set(['QuantizeLinear', 'DequantizeLinear']);

/** The blocks of a model; conversions, and what computes from sizes and constants alone, are no layers of them. */
export function blocksOf(graph: Graph, facts: Facts): Block {
  const view = new View(graph, facts);
  return blockTree(
    graph,
    ({ op, outputs }) => CONVERSIONS.has(op) || outputs.every((value) => view.isStatic(value)),
  );
}

/** The path of the innermost block around each node; what is no layer belongs to the block of its scope. */
export function blockPaths(tree: Block): (node: Node) => string {
  const homes = new Map<string, string>();
  const paths = new Set<string>();
  const walk = ({ path, children }: Block) => {
    paths.add(path);
    for (const part of children) {
      if (part.kind === 'layer') homes.set(part.node.id, path);
      else walk(part);
    }
  };
  walk(tree);
  return ({ id, scope }) =>
    homes.get(id) ?? enclosingScopes(scope).find((path) => paths.has(path)) ?? '';
}

/** The blocks of a graph, without the nodes that only prepare others (`plumbing`). */
export function blockTree(graph: Graph, plumbing: (node: Node) => boolean): Block {
  const passed = new Map<string, readonly string[]>();
  const reads = (node: Node) => {
    const found = new Set<string>();
    const read = (value: string) => {
      for (const id of passed.get(value) ?? NONE) found.add(id);
    };
    node.inputs.forEach(read);
    captures(node).forEach(read);
    return [...found];
  };
  for (const node of graph.order) {
    const sources = plumbing(node) ? reads(node) : [node.id];
    for (const output of node.outputs) passed.set(output, sources);
  }
  const layers = graph.order.filter((node) => !plumbing(node));
  const found = new Map(layers.map((node) => [node.id, reads(node)]));
  return treeOf(layers, {
    reads: (node) => found.get(node.id) ?? reads(node),
    likeness: (node) => likeness(node, graph),
  });
}

/**
 * The blocks that a list of nodes lies in. A scope that holds one layer becomes that layer, and a scope that holds one
 * scope becomes one with it. A scope that values leave and come back to, a module that the code calls several times,
 * becomes one block for each visit. More children than can be read are taken together to sections.
 */
export function treeOf(nodes: readonly Node[], wiring: Wiring): Block {
  const homes = homesOf(nodes, wiring.reads);
  const scopes = new Map<string, readonly string[]>();
  const segmentsOf = (scope: string): readonly string[] => {
    let segments = scopes.get(scope);
    if (!segments) scopes.set(scope, (segments = scope.split('/').slice(1, DEEPEST + 1)));
    return segments;
  };
  const entries = nodes.map((node) => ({ node, segments: segmentsOf(homes.get(node.id)!) }));
  const root: Scope = { segments: [], visit: 1, whole: true, entries };
  return blockOf(root, descend(root, wiring), '', wiring);
}

const layersIn = new WeakMap<Part, readonly Layer[]>();

/** The layers of a part, in the order of the tree. */
export function layersOf(part: Part): readonly Layer[] {
  let layers = layersIn.get(part);
  if (!layers) {
    layers = part.kind === 'layer' ? [part] : part.children.flatMap(layersOf);
    layersIn.set(part, layers);
  }
  return layers;
}

/** The layers of a tree in its order, so that every block is a range of them. */
export interface Positions {
  readonly layers: readonly Layer[];
  /** By node id. */
  readonly index: ReadonlyMap<string, number>;
  /** By path: the first layer, and the one after the last. */
  readonly ranges: ReadonlyMap<string, readonly [number, number]>;
}

export function positionsOf(tree: Block): Positions {
  const layers: Layer[] = [];
  const ranges = new Map<string, readonly [number, number]>();
  const walk = (part: Part) => {
    if (part.kind === 'layer') {
      layers.push(part);
      return;
    }
    const first = layers.length;
    part.children.forEach(walk);
    ranges.set(part.path, [first, layers.length]);
  };
  walk(tree);
  return { layers, index: new Map(layers.map(({ node }, i) => [node.id, i])), ranges };
}

/** A node with the scope that it is taken to be in. */
interface Entry {
  readonly node: Node;
  readonly segments: readonly string[];
}

/** A scope, or one visit of it. */
interface Scope {
  readonly segments: readonly string[];
  readonly visit: number;
  readonly whole: boolean;
  readonly entries: readonly Entry[];
}

type Child = Scope | Node;

/** A scope opened: the innermost of scopes that hold nothing but each other, and its children. */
interface Opened {
  readonly inner: Scope;
  readonly children: readonly Child[];
}

function descend(scope: Scope, wiring: Wiring): Opened {
  let inner = scope;
  for (;;) {
    const children = childrenOf(inner, wiring);
    const [only] = children;
    if (!only || children.length > 1 || !isScope(only)) return { inner, children };
    inner = only;
  }
}

/** Inner scopes and layers of a scope in the order of their first nodes. */
function childrenOf({ segments, whole, entries }: Scope, { reads }: Wiring): Child[] {
  const depth = segments.length;
  const visits = separate(entries, {
    id: ({ node }) => node.id,
    // Scopes and nodes may have the same names.
    group: (entry) =>
      entry.segments.length > depth ? `scope ${entry.segments[depth]}` : `layer ${entry.node.id}`,
    reads: ({ node }) => reads(node),
  });
  return visits.map((visit) => {
    const first = visit.members[0]!;
    if (first.segments.length === depth) return first.node;
    return {
      segments: first.segments.slice(0, depth + 1),
      visit: visit.number,
      whole: whole && visit.whole,
      entries: visit.members,
    };
  });
}

const isScope = (child: Child): child is Scope => 'segments' in child;

function blockOf(scope: Scope, { inner, children }: Opened, path: string, wiring: Wiring): Block {
  const innerPath = path + pathOf(inner.segments.slice(scope.segments.length));
  const parts = children.map((child) => partOf(child, inner, innerPath, wiring));
  const inSections =
    parts.length <= READABLE
      ? parts
      : sections(listed(children, wiring)).map((section) => sectionOf(section, parts, innerPath));
  return { kind: 'block', path, whole: scope.whole, title: '', ...withLayers(inSections) };
}

function partOf(child: Child, around: Scope, path: string, wiring: Wiring): Part {
  if (!isScope(child)) return { kind: 'layer', node: child, title: nodeTitle(child) };
  const opened = descend(child, wiring);
  const suffix = child.visit === 1 ? '' : `#${child.visit}`;
  const name = relativeTitle(opened.inner.segments, around.segments.length);
  const title = suffix === '' ? name : `${name} ${suffix}`;
  const [only] = opened.children;
  if (only && opened.children.length === 1 && !isScope(only))
    return { kind: 'layer', node: only, title };
  const own = path + pathOf(child.segments.slice(around.segments.length)) + suffix;
  return { ...blockOf(child, opened, own, wiring), title };
}

const pathOf = (segments: readonly string[]): string =>
  segments.map((segment) => `/${segment}`).join('');

const withLayers = (children: readonly Part[]): Pick<Block, 'children' | 'layers'> => ({
  children,
  layers: children.reduce((n, part) => n + (part.kind === 'layer' ? 1 : part.layers), 0),
});

// ---- sections

/** Children as a list that sections are made of. */
function listed(children: readonly Child[], wiring: Wiring) {
  const position = new Map<string, number>();
  const nodesOf = (child: Child) => (isScope(child) ? child.entries.map((e) => e.node) : [child]);
  children.forEach((child, i) => {
    for (const { id } of nodesOf(child)) position.set(id, i);
  });
  return children.map((child, i) => {
    const sources = nodesOf(child).flatMap((node) =>
      wiring.reads(node).map((id) => position.get(id)),
    );
    const reads = [...new Set(sources)].filter((source) => source !== undefined && source < i);
    return {
      reads: reads as number[],
      closed: isScope(child),
      kind: isScope(child) ? 'scope' : child.op,
      same: isScope(child) ? `scope of ${child.entries.length}` : wiring.likeness(child),
    };
  });
}

function sectionOf(section: Sectioned, parts: readonly Part[], path: string): Part {
  if (typeof section === 'number') return parts[section]!;
  const first = firstLayerOf(parts[firstOf(section)]!);
  const own = `${path}/§${first.node.id}`;
  const inside = withLayers(section.map((inner) => sectionOf(inner, parts, own)));
  const last = lastOf(inside.children.at(-1)!);
  const title = `${first.title} – ${last.title}`;
  return { kind: 'block', path: own, whole: false, title, ...inside };
}

const firstLayerOf = (part: Part): Layer =>
  part.kind === 'layer' ? part : firstLayerOf(part.children[0]!);
const lastOf = (part: Part): Layer =>
  part.kind === 'layer' ? part : lastOf(part.children.at(-1)!);

const firstOf = (section: Sectioned): number =>
  typeof section === 'number' ? section : firstOf(section[0]!);

// ---- titles

/** A node's name without its scope, and without the prefix that PyTorch's newer exporter gives to every node. */
function nodeTitle({ id, scope }: Node): string {
  const name = id.split(';')[0]!;
  const separator = name.includes('/') ? '/' : scope === '' ? undefined : '.';
  const last = separator === undefined ? name : name.slice(name.lastIndexOf(separator) + 1);
  return last.replace(/^node_(?=.)/, '') || id;
}

/** Segments from `first` on: without those that the next one repeats, and numbers with the name that they count. */
function relativeTitle(segments: readonly string[], first: number): string {
  const titles: string[] = [];
  for (let i = first; i < segments.length; i++) {
    const segment = segments[i]!;
    const before = segments[i - 1];
    const numbered = before !== undefined && /^\d+(\.|$)/.test(segment);
    const title = numbered ? joinNumber(before, segment) : segment;
    const last = titles.at(-1);
    if (last !== undefined && repeats(title, last)) titles.pop();
    titles.push(title);
  }
  return titles.join('/');
}

/** `layers` and `3` make `layers.3`; `features.0` and `0.1` make `features.0.1`. */
function joinNumber(before: string, segment: string): string {
  const head = segment.split('.')[0]!;
  const counted = before === head || before.endsWith(`.${head}`);
  return before + (counted ? segment.slice(head.length) : `.${segment}`);
}

/** Whether a name starts with another and goes on after a separator: `layer1.0` after `layer1`. */
const repeats = (name: string, start: string): boolean =>
  name.startsWith(start) && /^[._-]/.test(name.slice(start.length));
