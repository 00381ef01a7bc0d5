/** What is visible of the tree of blocks while some of them are open: cards, and frames around what open blocks hold. */
import type { Block, Layer, Part } from '../graph/blocks';
import type { Graph } from '../graph/graph';
import { stacked, type Stack, type Structures } from './stacks';

export interface Shown {
  /** Node id of a layer, scope path of a block, `first…last` of a stack. */
  readonly id: string;
  readonly part: Layer | Block | Stack;
  /** The frame that it lies in. */
  readonly parent: string | null;
  /** What an open block shows; undefined: it is closed. */
  readonly inside: readonly Shown[] | undefined;
}

/** As many cards as can be taken in at once. */
const COMFORTABLE = 24;
/** Share of the model's layers. */
const WORTH_OPENING = 0.1;
const RANGE = '…';

/**
 * The visible parts of the model. A stack that was opened stays one frame of single members even when the recipe has
 * since made them unequal; a stack is also open while one of its members is.
 */
export function fold(
  tree: Block,
  structures: Structures,
  open: ReadonlySet<string>,
  graph: Graph,
): readonly Shown[] {
  const ranges = [...open].filter((id) => id.includes(RANGE)).map((id) => id.split(RANGE));
  const id = (part: Layer | Block | Stack) => idOf(part, graph);
  const show = (part: Layer | Block | Stack, parent: string | null): Shown => {
    const own = id(part);
    const shown = { id: own, part, parent };
    if (part.kind === 'layer') return { ...shown, inside: undefined };
    if (part.kind === 'block') {
      const inside = open.has(own) ? siblings(part.children, own) : undefined;
      return { ...shown, inside };
    }
    const isOpen = open.has(own) || part.members.some((member) => open.has(id(member)));
    return { ...shown, inside: isOpen ? part.members.map((m) => show(m, own)) : undefined };
  };
  const siblings = (children: readonly Part[], parent: string | null): Shown[] =>
    aroundOpenStacks(children, ranges)
      .flatMap((run) => ('kind' in run ? [run] : stacked(run, structures.current)))
      .map((part) => show(part, parent));
  return siblings(tree.children, null);
}

/** Siblings cut at the stacks that were opened: those as they were, the rest in between. */
function aroundOpenStacks(
  children: readonly Part[],
  ranges: readonly (readonly string[])[],
): (Stack | readonly Part[])[] {
  const position = new Map<string, number>();
  children.forEach((part, i) => {
    if (part.kind === 'block') position.set(part.path, i);
  });
  const spans = ranges
    .map(
      ([first = '', last = '']) => [position.get(first) ?? -1, position.get(last) ?? -1] as const,
    )
    .filter(([first, last]) => first >= 0 && first < last)
    .sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const out: (Stack | readonly Part[])[] = [];
  let next = 0;
  for (const [first, last] of spans) {
    const members = children.slice(first, last + 1).filter((part) => part.kind === 'block');
    if (first < next || members.length <= last - first) continue;
    out.push(children.slice(next, first), { kind: 'stack', members });
    next = last + 1;
  }
  return [...out, children.slice(next)];
}

/** A block's path, marked where the exporter gave a node the same name. */
function idOf(part: Layer | Block | Stack, graph: Graph): string {
  if (part.kind === 'layer') return part.node.id;
  if (part.kind === 'stack') return `${part.members[0]!.path}${RANGE}${part.members.at(-1)!.path}`;
  return graph.node(part.path) ? `${part.path}/` : part.path;
}

/**
 * The blocks to open at first: level by level, as long as no more cards are visible than can be taken in. Stacks stay
 * closed, and so do blocks that hold little of the model.
 */
export function comfortable(tree: Block, structures: Structures, graph: Graph): Set<string> {
  const open = new Set<string>();
  let level = stacked(tree.children, structures.current);
  let cards = level.length;
  while (level.length > 0) {
    const blocks = level
      .filter((part) => part.kind === 'block')
      .filter(({ layers }) => layers >= tree.layers * WORTH_OPENING);
    const next = blocks.flatMap((block) => stacked(block.children, structures.current));
    cards += next.length - blocks.length;
    if (blocks.length === 0 || cards > COMFORTABLE) break;
    for (const block of blocks) open.add(idOf(block, graph));
    level = next;
  }
  return open;
}

/** The blocks of the tree that a visible part stands for. */
export const membersOf = (part: Layer | Block | Stack): readonly Part[] =>
  part.kind === 'stack' ? part.members : [part];
