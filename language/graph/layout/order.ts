/**
 * The third step of a layered drawing: the order within each row, so that few segments cross. Sweeps by the barycentre
 * of the neighbours (Sugiyama, Tagawa and Toda 1981), then exchanges of neighbours while they help; the best order seen
 * is kept.
 */
import { adjacency, degree, type Adjacency } from './adjacency';
import type { Proper } from './trunks';

const SWEEPS = 8;
/** Exchanging neighbours compares all their segments: for drawings that people read as a whole. */
const MOST_COMPARISONS = 200_000;

interface Sides {
  readonly up: Adjacency;
  readonly down: Adjacency;
}

/** Nodes of each row from left to right. */
export function orderRows(proper: Proper, rows: number): Int32Array[] {
  const sides = {
    up: adjacency(proper.nodes, proper.to),
    down: adjacency(proper.nodes, proper.from),
  };
  let order = firstOrder(proper, sides, rows);
  const position = new Int32Array(proper.nodes);
  order.forEach((row) => number(row, position));
  let best = order.map((row) => row.slice());
  let fewest = crossings(proper, order, sides.down, position);

  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const downwards = sweep % 2 === 0;
    const toFixed = downwards ? proper.from : proper.to;
    const fixed = downwards ? sides.up : sides.down;
    const turn = downwards ? order.keys() : [...order.keys()].reverse();
    for (const row of turn) sortRow(order[row]!, fixed, toFixed, position);
    const found = crossings(proper, order, sides.down, position);
    if (found >= fewest) continue;
    fewest = found;
    best = order.map((row) => row.slice());
  }

  order = best;
  order.forEach((row) => number(row, position));
  if (fewest > 0 && comparisons(order, sides) <= MOST_COMPARISONS)
    exchange(proper, order, sides, position);
  return order;
}

/** Depth first from the top, which lays trees and chains out without a crossing; bends come after items. */
function firstOrder(proper: Proper, { up, down }: Sides, rows: number): Int32Array[] {
  const order: number[][] = Array.from({ length: rows }, () => []);
  const seen = new Uint8Array(proper.nodes);
  const next = down.start.slice(0, proper.nodes);
  const stack: number[] = [];
  const visit = (node: number) => {
    if (seen[node]) return;
    seen[node] = 1;
    order[proper.row[node]!]!.push(node);
    stack.push(node);
  };
  for (let node = 0; node < proper.nodes; node++) {
    if (degree(up, node) > 0) continue;
    visit(node);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (next[top] === down.start[top + 1]) stack.pop();
      else visit(proper.to[down.edges[next[top]!++]!]!);
    }
  }
  return order.map((row) => Int32Array.from(row));
}

const number = (row: Int32Array, position: Int32Array): void =>
  row.forEach((node, k) => (position[node] = k));

/** Sorts by the mean position of the neighbours in the fixed row; nodes without any keep their places. */
function sortRow(row: Int32Array, fixed: Adjacency, other: Int32Array, position: Int32Array): void {
  const movable: { node: number; centre: number }[] = [];
  const places: number[] = [];
  row.forEach((node, place) => {
    const from = fixed.start[node]!;
    const to = fixed.start[node + 1]!;
    if (from === to) return;
    let sum = 0;
    for (let k = from; k < to; k++) sum += position[other[fixed.edges[k]!]!]!;
    movable.push({ node, centre: sum / (to - from) });
    places.push(place);
  });
  movable.sort((a, b) => a.centre - b.centre);
  movable.forEach(({ node }, k) => (row[places[k]!] = node));
  number(row, position);
}

/** Crossings of all segments: inversions between neighbouring rows, counted with a Fenwick tree (Barth et al. 2002). */
function crossings(
  proper: Proper,
  order: readonly Int32Array[],
  down: Adjacency,
  position: Int32Array,
): number {
  const widest = order.reduce((most, row) => Math.max(most, row.length), 0);
  const tree = new Int32Array(widest + 1);
  let total = 0;
  for (const row of order) {
    tree.fill(0);
    let seen = 0;
    for (const node of row) {
      const first = down.start[node]!;
      const last = down.start[node + 1]!;
      for (let k = first; k < last; k++) {
        let right = seen;
        for (let at = position[proper.to[down.edges[k]!]!]! + 1; at > 0; at -= at & -at)
          right -= tree[at]!;
        total += right;
      }
      for (let k = first; k < last; k++) {
        seen++;
        for (let at = position[proper.to[down.edges[k]!]!]! + 1; at <= widest; at += at & -at)
          tree[at]!++;
      }
    }
  }
  return total;
}

/** What one round of exchanges takes. */
function comparisons(order: readonly Int32Array[], { up, down }: Sides): number {
  let sum = 0;
  for (const row of order)
    for (let k = 0; k + 1 < row.length; k++) {
      const [a, b] = [row[k]!, row[k + 1]!];
      sum += degree(up, a) * degree(up, b) + degree(down, a) * degree(down, b);
    }
  return sum;
}

/** Exchanges neighbours in a row while that removes crossings. */
function exchange(
  proper: Proper,
  order: readonly Int32Array[],
  { up, down }: Sides,
  position: Int32Array,
): void {
  const between = (a: number, b: number) =>
    pairCrossings(a, b, up, proper.from, position) + pairCrossings(a, b, down, proper.to, position);
  let improved = true;
  for (let round = 0; improved && round < SWEEPS; round++) {
    improved = false;
    for (const row of order)
      for (let k = 0; k + 1 < row.length; k++) {
        const [a, b] = [row[k]!, row[k + 1]!];
        if (between(b, a) >= between(a, b)) continue;
        row[k] = b;
        row[k + 1] = a;
        position[b] = k;
        position[a] = k + 1;
        improved = true;
      }
  }
}

/** Crossings between the segments of two nodes on one side, `a` being the left one. */
function pairCrossings(
  a: number,
  b: number,
  side: Adjacency,
  other: Int32Array,
  position: Int32Array,
): number {
  let count = 0;
  for (let i = side.start[a]!; i < side.start[a + 1]!; i++)
    for (let j = side.start[b]!; j < side.start[b + 1]!; j++)
      if (position[other[side.edges[i]!]!]! > position[other[side.edges[j]!]!]!) count++;
  return count;
}
