/**
 * A layered drawing from top to bottom, in time close to linear in what is drawn: rows, trunks for links that skip rows,
 * few crossings, straight columns. Deterministic.
 */
import { orderRows } from './order';
import { placeColumns } from './place';
import { directed, ranks, type Pin } from './rank';
import { properRows, type Proper } from './trunks';

export interface Item {
  readonly width: number;
  readonly height: number;
  /** Kept in the first or the last row, as far as its links allow. */
  readonly pin?: Pin;
}

export interface Link {
  /** Indices of items. */
  readonly from: number;
  readonly to: number;
  /** Where the line leaves and enters, from the middle of the item. */
  readonly fromX: number;
  readonly toX: number;
  /** Links of one item in one bundle share a line as far as they go together. */
  readonly bundle: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Rectangle extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Layered {
  readonly items: readonly Rectangle[];
  /** Points that each link passes vertically, from its source to its target. */
  readonly routes: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
}

const GAPS = { items: 32, bends: 22 };
const ROW_GAP = 36;
/** Beside a row of ports, whose lines go on straight. */
const PORT_GAP = 16;
const ROW_GAP_MOST = 96;
/** Rows between which lines go far sideways stand further apart, by this share of the distance. */
const ROW_GAP_SLOPE = 0.06;

/** Lays items out; links from an item to itself are not allowed. Links to earlier items are drawn upwards on a cycle. */
export function layered(items: readonly Item[], links: readonly Link[]): Layered {
  const arrows = directed(
    items.length,
    Int32Array.from(links, (link) => link.from),
    Int32Array.from(links, (link) => link.to),
  );
  const ranked = ranks(
    items.length,
    arrows,
    items.map((item) => item.pin),
  );
  const proper = properRows(links, arrows, ranked);
  const order = orderRows(proper, ranked.rows);
  const widths = Float64Array.from({ length: proper.nodes }, (_, k) => items[k]?.width ?? 0);
  const middle = placeColumns(proper, ranked, order, widths, GAPS);
  const rows = rowsOf(items, proper, order, middle);
  const placed = items.map(({ width, height }, k) => {
    const row = rows[proper.row[k]!]!;
    return { x: middle[k]! - width / 2, y: row.top + (row.height - height) / 2, width, height };
  });
  const routes = links.map((link, k) => {
    const upwards = arrows.reversed[k] === 1;
    const start = attach(placed, upwards ? link.to : link.from, upwards ? link.toX : link.fromX);
    const end = attach(placed, upwards ? link.from : link.to, upwards ? link.fromX : link.toX);
    const points = [
      { x: start.x, y: start.bottom },
      ...passed(k, start.x, end.x),
      { x: end.x, y: end.top },
    ];
    return upwards ? points.reverse() : points;
  });
  const bottom = rows.at(-1);
  return {
    items: placed,
    routes,
    width: middle.reduce((most, at, k) => Math.max(most, at + widths[k]! / 2), 0),
    height: bottom ? bottom.top + bottom.height : 0,
  };

  /** Between its ends a line keeps to the gaps between rows; it crosses rows at its bends. */
  function passed(link: number, startX: number, endX: number): Point[] {
    const bends = proper.bends[link];
    if (!bends) return [];
    const first = rows[proper.row[arrows.from[link]!]!]!;
    const last = rows[proper.row[arrows.to[link]!]!]!;
    const points = [{ x: startX, y: first.top + first.height }];
    for (let k = 0; k < bends.count; k++) {
      const bend = bends.first + k;
      const { top, height } = rows[proper.row[bend]!]!;
      const x = middle[bend]!;
      if (k === 0 || x !== middle[bend - 1]) points.push({ x, y: top });
      if (k + 1 === bends.count || x !== middle[bend + 1]) points.push({ x, y: top + height });
    }
    points.push({ x: endX, y: last.top });
    return points;
  }
}

const attach = (placed: readonly Rectangle[], item: number, offset: number) => {
  const { x, y, width, height } = placed[item]!;
  return { x: x + width / 2 + offset, top: y, bottom: y + height };
};

interface Row {
  readonly top: number;
  readonly height: number;
}

function rowsOf(
  items: readonly Item[],
  proper: Proper,
  order: readonly Int32Array[],
  middle: Float64Array,
): Row[] {
  const sideways = new Float64Array(order.length);
  proper.from.forEach((from, segment) => {
    const to = proper.to[segment]!;
    const distance = middle[to]! + proper.toX[segment]! - middle[from]! - proper.fromX[segment]!;
    const row = proper.row[from]!;
    sideways[row] = Math.max(sideways[row]!, Math.abs(distance));
  });
  const heights = order.map((row) =>
    row.reduce((most, node) => Math.max(most, items[node]?.height ?? 0), 0),
  );
  let top = 0;
  return heights.map((height, k) => {
    const at = top;
    const least = height === 0 || heights[k + 1] === 0 ? PORT_GAP : ROW_GAP;
    top += height + Math.min(ROW_GAP_MOST, least + ROW_GAP_SLOPE * sideways[k]!);
    return { top: at, height };
  });
}
