/**
 * The second step of a layered drawing: links that skip rows become chains of bends, so that every segment joins two
 * neighbouring rows. Links that leave an item in one bundle share a chain, a trunk from which each branches off at its
 * row; that keeps a value which many later items read to one line, and the number of bends near the number of items.
 */
import type { Link } from './layered';
import type { Directed, Ranks } from './rank';

/** Items first, bends after them, joined by segments from a row to the next. */
export interface Proper {
  readonly items: number;
  readonly nodes: number;
  readonly row: Int32Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Where a segment leaves and enters, from the middle of the node. */
  readonly fromX: Float64Array;
  readonly toX: Float64Array;
  /** The bends that each link passes; undefined: it goes straight, whatever lies between. */
  readonly bends: readonly (Bends | undefined)[];
}

/** The first bends of a trunk, which has one in each row. */
interface Bends {
  readonly first: number;
  readonly count: number;
}

/**
 * Bends per item that are worth their time. Only graphs in which most values skip most rows need more; their longest
 * links are drawn straight.
 */
const BENDS_PER_ITEM = 8;
const BENDS_ALWAYS = 2000;

interface Trunk {
  readonly from: number;
  readonly links: number[];
  last: number;
}

export function properRows(links: readonly Link[], directed: Directed, ranks: Ranks): Proper {
  const items = ranks.row.length;
  const row = [...ranks.row];
  const from: number[] = [];
  const to: number[] = [];
  const fromX: number[] = [];
  const toX: number[] = [];
  const join = (a: number, b: number, aX: number, bX: number) => {
    from.push(a);
    to.push(b);
    fromX.push(aX);
    toX.push(bX);
  };
  const bends: (Bends | undefined)[] = links.map(() => undefined);
  let budget = BENDS_ALWAYS + BENDS_PER_ITEM * items;

  for (const trunk of trunksOf(links, directed, ranks.row)) {
    const top = ranks.row[trunk.from]!;
    const length = trunk.last - top - 1;
    if (length > budget) continue;
    budget -= length;
    const first = row.length;
    for (let k = 0; k < length; k++) row.push(top + 1 + k);
    const leaves = sourceX(links, directed, trunk.links[0]!);
    const joined = new Set<string>();
    for (const link of trunk.links) {
      const target = directed.to[link]!;
      const count = ranks.row[target]! - top - 1;
      const enters = targetX(links, directed, link);
      bends[link] = { first, count };
      const key = `${target} ${enters}`;
      if (joined.has(key)) continue;
      joined.add(key);
      if (count === 0) join(trunk.from, target, leaves, enters);
      else join(first + count - 1, target, 0, enters);
    }
    if (length > 0) join(trunk.from, first, leaves, 0);
    for (let bend = first + 1; bend < first + length; bend++) join(bend - 1, bend, 0, 0);
  }
  return {
    items,
    nodes: row.length,
    row: Int32Array.from(row),
    from: Int32Array.from(from),
    to: Int32Array.from(to),
    fromX: Float64Array.from(fromX),
    toX: Float64Array.from(toX),
    bends,
  };
}

/** Trunks in the order of their items, unless the budget is short: then the shortest first. */
function trunksOf(links: readonly Link[], directed: Directed, row: Int32Array): Trunk[] {
  const trunks = new Map<string, Trunk>();
  links.forEach((link, i) => {
    const from = directed.from[i]!;
    const last = row[directed.to[i]!]!;
    // A link that is drawn upwards shares nothing: its bundle belongs to the other end.
    const key = directed.reversed[i]
      ? `${from} reversed ${i}`
      : `${from} ${link.bundle} ${link.fromX}`;
    const trunk = trunks.get(key);
    if (!trunk) trunks.set(key, { from, links: [i], last });
    else {
      trunk.links.push(i);
      trunk.last = Math.max(trunk.last, last);
    }
  });
  const all = [...trunks.values()];
  const length = (trunk: Trunk) => trunk.last - row[trunk.from]! - 1;
  const needed = all.reduce((sum, trunk) => sum + length(trunk), 0);
  if (needed <= BENDS_ALWAYS + BENDS_PER_ITEM * row.length) return all;
  return all.sort((a, b) => length(a) - length(b));
}

const sourceX = (links: readonly Link[], { reversed }: Directed, link: number): number =>
  reversed[link] ? links[link]!.toX : links[link]!.fromX;

const targetX = (links: readonly Link[], { reversed }: Directed, link: number): number =>
  reversed[link] ? links[link]!.fromX : links[link]!.toX;
