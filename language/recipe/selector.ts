/** Selectors: which nodes a step means. They name the original model, whatever earlier steps made of it. */
import { didYouMean, WhittleError } from '../errors';
import { enclosingScopes } from '../graph/names';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { roles, type Roles } from '../graph/match/roles';
import { blocksOf, layersOf, type Block, type Part } from '../graph/blocks';

/** The model that selectors name, with what is known of it. */
export interface Original {
  readonly graph: Graph;
  readonly facts: Facts;
}

/** Nodes of the original model that a selector names. */
export function selectNodes(model: Original, selector: string): ReadonlySet<string> {
  const { graph: original } = model;
  if (selector.startsWith('op:')) return selectOperator(original, selector.slice(3));
  if (selector.startsWith('role:')) return selectRole(model, selector.slice(5));
  if (selector.startsWith('block:')) return selectBlocks(model, selector.slice(6));
  const pattern = globPattern(selector);
  const selected = new Set<string>();
  for (const node of original.order)
    if (namesOf(node).some((name) => pattern.test(name))) selected.add(node.id);
  if (selected.size === 0) throw nothingMatches(original, selector);
  return selected;
}

/** `op:Conv`. An operator that this model happens not to use selects nothing; one that does not exist is a mistake. */
function selectOperator(original: Graph, op: string): ReadonlySet<string> {
  const selected = new Set(original.order.filter((node) => node.op === op).map((node) => node.id));
  if (selected.size === 0 && !/^[A-Z][A-Za-z0-9]*$/.test(op)) {
    const known = original.order.map((node) => node.op);
    throw new WhittleError(`${op} is not an operator`, { hint: didYouMean(op, known) });
  }
  return selected;
}

const found = new WeakMap<Graph, Roles>();

/** Roles of the original model, which is never edited. */
export function rolesOf({ graph, facts }: Original): Roles {
  let known = found.get(graph);
  if (!known) found.set(graph, (known = roles(graph, facts)));
  return known;
}

/** `role:attention.qkv`; `role:attention` means every role of attention, `*` stands for any part. */
function selectRole(model: Original, role: string): ReadonlySet<string> {
  const { nodes } = rolesOf(model);
  const pattern = globPattern(role);
  const selected = new Set<string>();
  for (const [name, members] of nodes)
    if (pattern.test(name) || name.startsWith(`${role}.`))
      for (const id of members) selected.add(id);
  if (selected.size === 0)
    throw new WhittleError(`nothing in the model has the role ${role}`, {
      hint: didYouMean(role, nodes.keys()) || `Its roles are ${[...nodes.keys()].join(', ')}`,
    });
  return selected;
}

const RANGE = '…';

/** `block:PATH`, a block of the design, named by a scope or inferred; `block:FIRST…LAST`, a folded repeat of such blocks. */
function selectBlocks({ graph, facts }: Original, path: string): ReadonlySet<string> {
  const tree = blocksOf(graph, facts);
  const parts = path.includes(RANGE) ? foldedAt(tree, path) : blocksAt(tree, path);
  if (parts.length === 0) {
    const paths = blocksIn(tree).map((block) => block.path);
    throw new WhittleError(`${path} is no block of the model`, { hint: didYouMean(path, paths) });
  }
  return new Set(parts.flatMap(layersOf).map(({ node }) => node.id));
}

const blocksIn = (block: Block): Block[] => [
  block,
  ...block.children.flatMap((part) => (part.kind === 'block' ? blocksIn(part) : [])),
];

const blocksAt = (tree: Block, path: string): Block[] =>
  blocksIn(tree).filter((block) => block !== tree && block.path === path);

/** The neighbours in one block from the first to the last that a fold names. */
function foldedAt(tree: Block, fold: string): readonly Part[] {
  const [first, last] = fold.split(RANGE);
  const at = (block: Block, path: string | undefined) =>
    block.children.findIndex((part) => part.kind === 'block' && part.path === path);
  for (const block of blocksIn(tree)) {
    const [from, to] = [at(block, first), at(block, last)];
    if (from >= 0 && from <= to) return block.children.slice(from, to + 1);
  }
  return [];
}

/** A selector matches a node by its name or path, and everything in a block by the path of the block. */
function namesOf(node: Node): string[] {
  return [node.id, pathOf(node), ...enclosingScopes(node.scope)];
}

/** The scope and short name of a node: `/blocks.0/attn/MatMul`. */
export function pathOf(node: Node): string {
  return `${node.scope}/${node.id.slice(node.id.lastIndexOf('/') + 1)}`;
}

/** `*` within a segment, `**` across segments. */
function globPattern(selector: string): RegExp {
  const source = selector
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('');
  return new RegExp(`^${source}$`, 's');
}

function nothingMatches(original: Graph, selector: string): WhittleError {
  if (/^[a-z]+:[^:]/.test(selector))
    return new WhittleError(`unknown selector ${selector}`, {
      hint: 'Use a name, a pattern with * and **, an operator such as op:Conv, a role such as role:mlp.up, or a block such as block:/layers.0',
    });
  const names = new Set(original.order.flatMap(namesOf));
  const hint = didYouMean(selector, names) || 'Names are those of the original model';
  return new WhittleError(`${selector} matches nothing in the model`, { hint });
}
