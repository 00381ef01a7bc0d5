/** The first step of a layered drawing: which row each item lies in, so that every link points down. */
import { adjacency, degree, type Adjacency } from './adjacency';

export type Pin = 'top' | 'bottom';

/** Links by index; `reversed` tells those that lie on a cycle and are drawn upwards. */
export interface Directed {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly reversed: Uint8Array;
}

export interface Ranks {
  readonly row: Int32Array;
  readonly rows: number;
  /** Items on the longest way from the top to an item, and from an item to the bottom, itself included. */
  readonly depth: Int32Array;
  readonly height: Int32Array;
}

/**
 * Turns links so that none is left on a cycle: those that lead back to an item from which they were reached, starting at
 * items that nothing leads to and then in the order given.
 */
export function directed(count: number, from: Int32Array, to: Int32Array): Directed {
  const out = adjacency(count, from);
  const into = adjacency(count, to);
  const reversed = new Uint8Array(from.length);
  const state = new Uint8Array(count); // 0 unseen, 1 open, 2 done
  const next = out.start.slice(0, count);
  const stack: number[] = [];
  const visit = (start: number) => {
    if (state[start]) return;
    state[start] = 1;
    stack.push(start);
    for (let item = stack.at(-1); item !== undefined; item = stack.at(-1)) {
      if (next[item] === out.start[item + 1]) {
        state[item] = 2;
        stack.pop();
        continue;
      }
      const link = out.edges[next[item]!++]!;
      const target = to[link]!;
      if (state[target] === 1) reversed[link] = 1;
      else if (state[target] === 0) {
        state[target] = 1;
        stack.push(target);
      }
    }
  };
  for (let item = 0; item < count; item++) if (degree(into, item) === 0) visit(item);
  for (let item = 0; item < count; item++) visit(item);
  return {
    from: from.map((item, link) => (reversed[link] ? to[link]! : item)),
    to: to.map((item, link) => (reversed[link] ? from[link]! : item)),
    reversed,
  };
}

/**
 * Rows by the longest way from the top. What does not hang on the top (a table that only a late item reads, and what is
 * made of it) is pulled down to where it is first needed.
 */
export function ranks(count: number, links: Directed, pins: readonly (Pin | undefined)[]): Ranks {
  const { from, to } = links;
  const out = adjacency(count, from);
  const into = adjacency(count, to);
  const order = topological(out, into, to);
  const depth = new Int32Array(count).fill(1);
  const height = new Int32Array(count).fill(1);
  for (const item of order)
    for (const target of ends(out, item, to))
      depth[target] = Math.max(depth[target]!, depth[item]! + 1);
  for (const item of order.toReversed())
    for (const target of ends(out, item, to))
      height[item] = Math.max(height[item]!, height[target]! + 1);

  const rows = depth.reduce((most, items) => Math.max(most, items), 0);
  const row = depth.map((items) => items - 1);
  const floats = new Uint8Array(count);
  for (const item of order) {
    const sources = ends(into, item, from);
    if (pins[item] === 'top' || depth[item]! + height[item]! > rows) continue;
    if (sources.every((source) => floats[source])) floats[item] = 1;
  }
  for (const item of order.toReversed()) {
    const targets = ends(out, item, to);
    if (floats[item] && targets.length > 0)
      row[item] = targets.reduce((first, target) => Math.min(first, row[target]!), rows) - 1;
  }
  sinkAlongTrunks(order.toReversed(), row, { out, into, from, to }, pins);
  for (let item = 0; item < count; item++)
    if (pins[item] === 'bottom' && degree(out, item) === 0) row[item] = rows - 1;
  return { row, rows, depth, height };
}

/** From so many targets on, a source's line is taken to run down the drawing anyway. */
const FAR_READ = 8;

/**
 * Moves items down to their targets where that shortens lines: where the lines of all that they read go further down
 * anyway, for other readers.
 */
function sinkAlongTrunks(
  upwards: Int32Array,
  row: Int32Array,
  { out, into, from, to }: { out: Adjacency; into: Adjacency; from: Int32Array; to: Int32Array },
  pins: readonly (Pin | undefined)[],
): void {
  for (const item of upwards) {
    const targets = ends(out, item, to);
    const sources = ends(into, item, from);
    if (pins[item] !== undefined || targets.length === 0 || sources.length === 0) continue;
    const lowest = targets.reduce((first, target) => Math.min(first, row[target]!), Infinity) - 1;
    const gain = lowest - row[item]!;
    if (gain <= 0) continue;
    const loss = sources.reduce((sum, source) => {
      const readers = ends(out, source, to);
      if (readers.length >= FAR_READ) return sum;
      const reached = readers.reduce(
        (last, reader) => (reader === item ? last : Math.max(last, row[reader]!)),
        row[item]!,
      );
      return sum + Math.max(0, lowest - reached);
    }, 0);
    if (loss < gain) row[item] = lowest;
  }
}

/** The items at the other end of an item's links. */
const ends = ({ start, edges }: Adjacency, item: number, other: Int32Array): Int32Array =>
  edges.subarray(start[item], start[item + 1]).map((link) => other[link]!);

/** Items with every source before its targets; the links must not make a cycle. */
function topological(out: Adjacency, into: Adjacency, to: Int32Array): Int32Array {
  const count = out.start.length - 1;
  const waits = Int32Array.from({ length: count }, (_, item) => degree(into, item));
  const order = new Int32Array(count);
  let filled = 0;
  for (let item = 0; item < count; item++) if (waits[item] === 0) order[filled++] = item;
  for (let i = 0; i < filled; i++)
    for (const target of ends(out, order[i]!, to))
      if ((waits[target]! -= 1) === 0) order[filled++] = target;
  return order;
}
