/**
 * The fourth step of a layered drawing: the horizontal positions. Segments are made vertical in order of their worth (the
 * longest way through the drawing first, so that it becomes a straight spine; then the trunks of long links), as long as
 * no two of them cross. What is joined by vertical segments moves as one column. Columns start as far left as the gaps
 * allow and are then drawn to the median of their neighbours, as in the priority method of Sugiyama et al. (1981).
 */
import { adjacency, type Adjacency } from './adjacency';
import type { Ranks } from './rank';
import type { Proper } from './trunks';

const SWEEPS = 8;

export interface Gaps {
  readonly items: number;
  readonly bends: number;
}

interface Columns {
  readonly count: number;
  /** Column of each node, and where its middle lies from the column's line. */
  readonly of: Int32Array;
  readonly offset: Float64Array;
}

/** The middle of every node; the leftmost edge is at 0. */
export function placeColumns(
  proper: Proper,
  ranks: Ranks,
  order: readonly Int32Array[],
  widths: Float64Array,
  gaps: Gaps,
): Float64Array {
  const columns = joinColumns(proper, verticals(proper, ranks, order));
  const sides = spacing(proper, order, columns, widths, gaps);
  const x = packLeft(columns.count, sides);
  drawTogether(proper, columns, sides, x);
  const middle = columns.offset.map((offset, node) => x[columns.of[node]!]! + offset);
  const left = middle.reduce(
    (least, at, node) => Math.min(least, at - widths[node]! / 2),
    Infinity,
  );
  return middle.map((at) => at - left);
}

// ---- which segments are vertical

/** The segments that are drawn vertically: no node has two of them on one side, and no two cross. */
function verticals(proper: Proper, ranks: Ranks, order: readonly Int32Array[]): number[] {
  const position = new Int32Array(proper.nodes);
  for (const row of order) row.forEach((node, k) => (position[node] = k));
  const down = adjacency(proper.nodes, proper.from);
  const up = adjacency(proper.nodes, proper.to);
  const aside = segmentsAside(proper, up, down, position);
  const worth = segmentWorth(proper, ranks, down, aside);
  const chosen: number[] = [];
  for (const row of order) {
    const segments = [...row].flatMap((node) => [
      ...down.edges.subarray(down.start[node], down.start[node + 1]),
    ]);
    segments.sort((a, b) => worth[b]! - worth[a]! || aside[a]! - aside[b]! || a - b);
    const kept: number[] = []; // by position, from left to right
    for (const segment of segments) {
      const [above, below] = [position[proper.from[segment]!]!, position[proper.to[segment]!]!];
      const at = lowerBound(kept, above, (other) => position[proper.from[other]!]!);
      const left = kept[at - 1];
      const right = kept[at];
      if (left !== undefined && position[proper.to[left]!]! >= below) continue;
      if (right !== undefined && position[proper.to[right]!]! <= below) continue;
      if (right !== undefined && position[proper.from[right]!] === above) continue;
      kept.splice(at, 0, segment);
    }
    chosen.push(...kept);
  }
  return chosen;
}

/**
 * One longest way through the drawing, then other segments of such ways, then trunks, then segments between items by the
 * longest way that passes them, then branches of trunks.
 */
function segmentWorth(
  { from, to, items }: Proper,
  { depth, height, rows }: Ranks,
  down: Adjacency,
  aside: Float64Array,
): Float64Array {
  const way = (segment: number) => depth[from[segment]!]! + height[to[segment]!]!;
  const worth = Float64Array.from(from, (above, segment) => {
    const bends = Number(above >= items) + Number(to[segment]! >= items);
    if (bends > 0) return bends === 2 ? 2 * rows : 0;
    return way(segment) < rows ? way(segment) : 3 * rows;
  });
  let item = depth.findLastIndex((items, k) => items === 1 && height[k] === rows);
  while (item >= 0) {
    let best = -1;
    for (let k = down.start[item]!; k < down.start[item + 1]!; k++) {
      const segment = down.edges[k]!;
      const onWay = to[segment]! < items && way(segment) >= rows;
      if (onWay && (best < 0 || aside[segment]! < aside[best]!)) best = segment;
    }
    if (best < 0) break;
    worth[best] = 4 * rows;
    item = to[best]!;
  }
  return worth;
}

/** How far a segment is from the middle one of its nodes' segments, on both sides. */
function segmentsAside(
  proper: Proper,
  up: Adjacency,
  down: Adjacency,
  position: Int32Array,
): Float64Array {
  const aside = new Float64Array(proper.from.length);
  const add = (side: Adjacency, other: Int32Array) => {
    for (let node = 0; node < proper.nodes; node++) {
      const segments = side.edges.slice(side.start[node], side.start[node + 1]);
      segments.sort((a, b) => position[other[a]!]! - position[other[b]!]!);
      const middle = (segments.length - 1) / 2;
      segments.forEach((segment, k) => (aside[segment]! += Math.abs(k - middle)));
    }
  };
  add(up, proper.from);
  add(down, proper.to);
  return aside;
}

function lowerBound(
  sorted: readonly number[],
  key: number,
  keyOf: (entry: number) => number,
): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(sorted[middle]!) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

// ---- columns

function joinColumns(proper: Proper, vertical: readonly number[]): Columns {
  const below = new Int32Array(proper.nodes).fill(-1);
  const joined = new Uint8Array(proper.nodes);
  for (const segment of vertical) {
    below[proper.from[segment]!] = segment;
    joined[proper.to[segment]!] = 1;
  }
  const of = new Int32Array(proper.nodes);
  const offset = new Float64Array(proper.nodes);
  let count = 0;
  for (let top = 0; top < proper.nodes; top++) {
    if (joined[top]) continue;
    let node = top;
    let at = 0;
    for (;;) {
      of[node] = count;
      offset[node] = at;
      const segment = below[node]!;
      if (segment < 0) break;
      at += proper.fromX[segment]! - proper.toX[segment]!;
      node = proper.to[segment]!;
    }
    count++;
  }
  return { count, of, offset };
}

/** `x[right] - x[left] >= gap` for neighbours in any row, by either column. */
interface Spacing {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly gap: Float64Array;
  readonly byLeft: Adjacency;
  readonly byRight: Adjacency;
  /** Columns with every left neighbour before. */
  readonly order: Int32Array;
}

function spacing(
  proper: Proper,
  order: readonly Int32Array[],
  columns: Columns,
  widths: Float64Array,
  gaps: Gaps,
): Spacing {
  const left: number[] = [];
  const right: number[] = [];
  const gap: number[] = [];
  for (const row of order)
    for (let k = 0; k + 1 < row.length; k++) {
      const [a, b] = [row[k]!, row[k + 1]!];
      const apart = a < proper.items && b < proper.items ? gaps.items : gaps.bends;
      left.push(columns.of[a]!);
      right.push(columns.of[b]!);
      gap.push((widths[a]! + widths[b]!) / 2 + apart + columns.offset[a]! - columns.offset[b]!);
    }
  const lefts = Int32Array.from(left);
  const rights = Int32Array.from(right);
  const byLeft = adjacency(columns.count, lefts);
  const byRight = adjacency(columns.count, rights);
  const waits = Int32Array.from(
    { length: columns.count },
    (_, column) => byRight.start[column + 1]! - byRight.start[column]!,
  );
  const sorted = new Int32Array(columns.count);
  let filled = 0;
  waits.forEach((count, column) => {
    if (count === 0) sorted[filled++] = column;
  });
  for (let i = 0; i < filled; i++) {
    const column = sorted[i]!;
    for (let k = byLeft.start[column]!; k < byLeft.start[column + 1]!; k++)
      if ((waits[rights[byLeft.edges[k]!]!]! -= 1) === 0)
        sorted[filled++] = rights[byLeft.edges[k]!]!;
  }
  return {
    left: lefts,
    right: rights,
    gap: Float64Array.from(gap),
    byLeft,
    byRight,
    order: sorted,
  };
}

function packLeft(count: number, sides: Spacing): Float64Array {
  const x = new Float64Array(count);
  for (const column of sides.order) x[column] = Math.max(0, leftLimit(column, sides, x));
  return x;
}

function leftLimit(column: number, { byRight, left, gap }: Spacing, x: Float64Array): number {
  let limit = -Infinity;
  for (let k = byRight.start[column]!; k < byRight.start[column + 1]!; k++) {
    const pair = byRight.edges[k]!;
    limit = Math.max(limit, x[left[pair]!]! + gap[pair]!);
  }
  return limit;
}

function rightLimit(column: number, { byLeft, right, gap }: Spacing, x: Float64Array): number {
  let limit = Infinity;
  for (let k = byLeft.start[column]!; k < byLeft.start[column + 1]!; k++) {
    const pair = byLeft.edges[k]!;
    limit = Math.min(limit, x[right[pair]!]! - gap[pair]!);
  }
  return limit;
}

/** Moves each column to the median of what it is joined to, within its gaps; from the right and from the left in turn. */
function drawTogether(proper: Proper, columns: Columns, sides: Spacing, x: Float64Array): void {
  const pulls = pullsOf(proper, columns);
  const byColumn = adjacency(columns.count, pulls.column);
  const rightFirst = sides.order.toReversed();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let moved = false;
    for (const column of sweep % 2 === 0 ? rightFirst : sides.order) {
      const first = byColumn.start[column]!;
      const last = byColumn.start[column + 1]!;
      if (first === last) continue;
      const wanted = Float64Array.from({ length: last - first }, (_, k) => {
        const pull = byColumn.edges[first + k]!;
        return x[pulls.other[pull]!]! + pulls.shift[pull]!;
      }).sort();
      const low = wanted[(wanted.length - 1) >> 1]!;
      const high = wanted[wanted.length >> 1]!;
      const best = Math.min(Math.max(x[column]!, low), high);
      const to = Math.min(
        Math.max(best, leftLimit(column, sides, x)),
        rightLimit(column, sides, x),
      );
      if (to === x[column]) continue;
      x[column] = to;
      moved = true;
    }
    if (!moved) return;
  }
}

/** Segments between two columns, once for each of them: the column would like to be at the other's `x + shift`. */
function pullsOf(
  proper: Proper,
  columns: Columns,
): { column: Int32Array; other: Int32Array; shift: Float64Array } {
  const column: number[] = [];
  const other: number[] = [];
  const shift: number[] = [];
  for (let segment = 0; segment < proper.from.length; segment++) {
    const [a, b] = [proper.from[segment]!, proper.to[segment]!];
    const [above, below] = [columns.of[a]!, columns.of[b]!];
    if (above === below) continue;
    const apart =
      columns.offset[b]! + proper.toX[segment]! - columns.offset[a]! - proper.fromX[segment]!;
    column.push(above, below);
    other.push(below, above);
    shift.push(apart, -apart);
  }
  return {
    column: Int32Array.from(column),
    other: Int32Array.from(other),
    shift: Float64Array.from(shift),
  };
}
