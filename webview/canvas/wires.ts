/**
 * Edges as lines to draw, from the bottom of one node to the top of the next, along the route that the layout gives. One
 * without a route that would run behind cards is led around them.
 */
import type { GraphView, ViewEdge, ViewNode } from '../../language/protocol';

export interface Wire {
  readonly id: string;
  readonly path: string;
  readonly status: ViewEdge['status'];
  readonly label: { readonly text: string; readonly x: number; readonly y: number } | null;
  /** What the line covers. */
  readonly box: Box;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const GAP = 10;
const LANE = 5;
/** Shortest line that has room for a label. */
const LABEL_ROOM = 30;
/** Beyond this the search for obstacles would cost more than it shows. */
const MOST_NODES = 3000;

export function wiresOf(view: GraphView): readonly Wire[] {
  const byId = new Map(view.nodes.map((node) => [node.id, node]));
  const solid = view.nodes.length > MOST_NODES ? [] : view.nodes.filter(({ open }) => !open);
  let lane = 0;
  return view.edges.flatMap((edge) => {
    const from = byId.get(edge.from);
    const to = byId.get(edge.to);
    if (!from || !to) return [];
    if (edge.route && edge.route.length >= 2) return [routed(edge, edge.route)];
    const start = { x: from.x + from.width / 2, y: from.y + from.height };
    const end = { x: to.x + to.width / 2, y: to.y };
    const between = obstacles(start, end, solid);
    const aside = between.length > 0 ? lineBeside(start, end, between, lane++ % 3) : null;
    return [wire(edge, start, end, aside)];
  });
}

export function meets(a: Box, b: Box): boolean {
  return a.left <= b.right && b.left <= a.right && a.top <= b.bottom && b.top <= a.bottom;
}

function routed(edge: ViewEdge, route: readonly Point[]): Wire {
  const start = route[0]!;
  const end = route.at(-1)!;
  const path = route.slice(1).map((point, index) => joint(route[index]!, point));
  const next = route[1]!;
  // The first stretch leaves its node: what it carries stands there, unless the line only passes by.
  const straight = start.x === next.x && Math.abs(next.y - start.y) >= LABEL_ROOM;
  const y = start.y + Math.min(LABEL_ROOM * 0.6, (next.y - start.y) / 2);
  return {
    id: edge.id,
    status: edge.status,
    path: `M${start.x},${start.y} ${path.join(' ')} ${tip(end)}`,
    label: edge.label !== '' && straight ? { text: edge.label, x: start.x, y } : null,
    box: boxAround(route),
  };
}

/** A curve with vertical ends. */
function joint(from: Point, to: Point): string {
  if (from.x === to.x) return `V${to.y}`;
  const middle = (from.y + to.y) / 2;
  return `C${from.x},${middle} ${to.x},${middle} ${to.x},${to.y}`;
}

function boxAround(points: readonly Point[]): Box {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  return {
    left: Math.min(...xs),
    right: Math.max(...xs),
    top: Math.min(...ys),
    bottom: Math.max(...ys),
  };
}

function wire(edge: ViewEdge, start: Point, end: Point, aside: number | null): Wire {
  const x = aside ?? (start.x + end.x) / 2;
  // Beside cards there is no room for text.
  const roomy = aside === null && edge.label !== '' && end.y - start.y >= LABEL_ROOM;
  return {
    id: edge.id,
    status: edge.status,
    path: `${aside === null ? direct(start, end) : around(start, end, aside)} ${tip(end)}`,
    label: roomy
      ? { text: edge.label, x, y: start.y + Math.min(LABEL_ROOM * 0.6, (end.y - start.y) / 2) }
      : null,
    box: boxAround([start, end, { x, y: start.y }]),
  };
}

function direct(start: Point, end: Point): string {
  return `M${start.x},${start.y} ${joint(start, end)}`;
}

/** Down beside what stands between, with soft bends. */
function around(start: Point, end: Point, x: number): string {
  const bend = Math.min(36, (end.y - start.y) / 4);
  return [
    `M${start.x},${start.y}`,
    `C${start.x},${start.y + bend * 0.8} ${x},${start.y + bend * 0.2} ${x},${start.y + bend}`,
    `V${end.y - bend}`,
    `C${x},${end.y - bend * 0.2} ${end.x},${end.y - bend * 0.8} ${end.x},${end.y}`,
  ].join(' ');
}

function tip({ x, y }: Point): string {
  return `M${x - 3.5},${y - 5} L${x},${y} L${x + 3.5},${y - 5}`;
}

/** Nodes that stand across the straight line from one point down to another. */
function obstacles(start: Point, end: Point, nodes: readonly ViewNode[]): ViewNode[] {
  const drop = end.y - start.y;
  if (drop < 2 * GAP) return [];
  return nodes.filter((node) => {
    const middle = node.y + node.height / 2;
    if (middle <= start.y || middle >= end.y) return false;
    const x = start.x + ((end.x - start.x) * (middle - start.y)) / drop;
    return x > node.x - 2 && x < node.x + node.width + 2;
  });
}

/** To the right, unless the left is nearer to both ends; neighbouring lanes keep lines apart. */
function lineBeside(start: Point, end: Point, between: readonly ViewNode[], lane: number): number {
  const right = Math.max(...between.map((node) => node.x + node.width)) + GAP;
  const left = Math.min(...between.map((node) => node.x)) - GAP;
  const way = (x: number) => Math.abs(start.x - x) + Math.abs(end.x - x);
  return way(left) < way(right) ? left - LANE * lane : right + LANE * lane;
}
