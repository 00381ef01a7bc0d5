/**
 * Boxes within boxes: the inside of an open box is laid out first and becomes one large item of the drawing around it.
 * Lines cross the border of an open box at ports, one for each outer end, so that a value which several inner boxes read
 * enters once and forks inside.
 */
import { layered, type Item, type Layered, type Link, type Point, type Rectangle } from './layered';
import { directed, type Pin } from './rank';

export interface Box {
  readonly id: string;
  /** Of an open box: the least that it takes. */
  readonly width: number;
  readonly height: number;
  readonly pin?: Pin;
  /** What an open box holds; absent: it is closed. */
  readonly inside?: readonly Box[];
}

/** A line between two closed boxes, wherever they lie. */
export interface Wire {
  readonly from: string;
  readonly to: string;
}

export interface Frame {
  /** Room for the title of an open box, above what it holds. */
  readonly header: number;
  readonly padding: number;
}

export interface Nested {
  readonly boxes: ReadonlyMap<string, Rectangle>;
  /** By wire: the points that it passes vertically, from end to end; empty for a wire between unknown boxes. */
  readonly routes: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
}

export function nestedLayout(boxes: readonly Box[], wires: readonly Wire[], frame: Frame): Nested {
  const places = new Map<string, Place>();
  const root = openSpace(boxes, undefined, places);
  const ends = wires.map(({ from, to }) => meet(places.get(from), places.get(to)));
  const upwards = upwardOnes(ends);
  const hops = ends.map((end, wire) =>
    !end
      ? []
      : upwards.has(wire)
        ? connect(reversed(end), places.size + wire)
        : connect(end, end.from.serial),
  );
  arrange(root, frame);
  const rectangles = new Map<string, Rectangle>();
  locate(root, { x: 0, y: 0 }, frame, rectangles);
  return {
    boxes: rectangles,
    routes: hops.map((parts, wire) => {
      const route = joined(parts.map(({ space, link }) => routeIn(space, link)));
      return upwards.has(wire) ? route.reverse() : route;
    }),
    width: root.drawn.width,
    height: root.drawn.height,
  };
}

/** The inside of an open box, or the whole drawing. */
interface Space {
  readonly boxes: readonly Box[];
  /** The open box itself; undefined for the whole drawing. */
  readonly outer: Place | undefined;
  readonly depth: number;
  /** By item: the space inside an open box. */
  readonly inner: Map<number, Space>;
  /** Items after the boxes, by side and bundle: where lines leave the space or enter it. */
  readonly ports: Map<string, { readonly item: number; readonly pin: Pin }>;
  readonly links: Map<string, Join & { readonly index: number }>;
  drawn: Layered;
  /** Where the drawing lies in the whole. */
  origin: Point;
}

/** An item of a space. */
interface Place {
  readonly space: Space;
  readonly item: number;
  /** Unique among all boxes; names the bundle of the lines that start here. */
  readonly serial: number;
}

/** A link between two items of one space. */
interface Join {
  readonly from: number;
  readonly to: number;
  readonly bundle: number;
}

/** One link of one space: a part of a wire. */
interface Hop {
  readonly space: Space;
  readonly link: number;
}

function openSpace(
  boxes: readonly Box[],
  outer: Place | undefined,
  places: Map<string, Place>,
): Space {
  const space: Space = {
    boxes,
    outer,
    depth: outer ? outer.space.depth + 1 : 0,
    inner: new Map(),
    ports: new Map(),
    links: new Map(),
    drawn: { items: [], routes: [], width: 0, height: 0 },
    origin: { x: 0, y: 0 },
  };
  boxes.forEach((box, item) => {
    const place = { space, item, serial: places.size };
    places.set(box.id, place);
    if (box.inside) space.inner.set(item, openSpace(box.inside, place, places));
  });
  return space;
}

/** The two ends of a wire, and the items that they lie in within the innermost space around both. */
interface Ends {
  readonly from: Place;
  readonly to: Place;
  readonly shared: { readonly space: Space; readonly from: number; readonly to: number };
}

function meet(from: Place | undefined, to: Place | undefined): Ends | undefined {
  if (!from || !to) return undefined;
  let [a, b] = [from, to];
  while (a.space !== b.space) {
    if (a.space.depth >= b.space.depth) a = a.space.outer!;
    else b = b.space.outer!;
  }
  if (a.item === b.item) return undefined;
  return { from, to, shared: { space: a.space, from: a.item, to: b.item } };
}

const reversed = ({ from, to, shared }: Ends): Ends => ({
  from: to,
  to: from,
  shared: { ...shared, from: shared.to, to: shared.from },
});

/** Wires that must be drawn upwards: those that close a circle among the items of a space. */
function upwardOnes(ends: readonly (Ends | undefined)[]): ReadonlySet<number> {
  const bySpace = new Map<Space, number[]>();
  ends.forEach((end, wire) => {
    if (!end) return;
    const wires = bySpace.get(end.shared.space);
    if (wires) wires.push(wire);
    else bySpace.set(end.shared.space, [wire]);
  });
  const upwards = new Set<number>();
  for (const [space, wires] of bySpace) {
    const turned = directed(
      space.boxes.length,
      Int32Array.from(wires, (wire) => ends[wire]!.shared.from),
      Int32Array.from(wires, (wire) => ends[wire]!.shared.to),
    ).reversed;
    wires.forEach((wire, k) => {
      if (turned[k]) upwards.add(wire);
    });
  }
  return upwards;
}

/** A wire as links: out of the boxes around its source, across the space that both ends share, and into the others. */
function connect({ from, to, shared }: Ends, bundle: number): Hop[] {
  const out: Hop[] = [];
  for (let at = from; at.space !== shared.space; at = at.space.outer!)
    out.push(hop(at.space, at.item, portOf(at.space, 'bottom', bundle), bundle));
  const into: Hop[] = [];
  for (let at = to; at.space !== shared.space; at = at.space.outer!)
    into.unshift(hop(at.space, portOf(at.space, 'top', bundle), at.item, bundle));
  return [...out, hop(shared.space, shared.from, shared.to, bundle), ...into];
}

function portOf(space: Space, pin: Pin, bundle: number): number {
  const key = `${pin} ${bundle}`;
  let port = space.ports.get(key);
  if (!port) {
    port = { item: space.boxes.length + space.ports.size, pin };
    space.ports.set(key, port);
  }
  return port.item;
}

function hop(space: Space, from: number, to: number, bundle: number): Hop {
  const key = `${from} ${to} ${bundle}`;
  let link = space.links.get(key);
  if (!link) {
    link = { from, to, bundle, index: space.links.size };
    space.links.set(key, link);
  }
  return { space, link: link.index };
}

/** Lays out the innermost spaces first, since they decide how large their boxes are and where their ports lie. */
function arrange(space: Space, frame: Frame): void {
  for (const inner of space.inner.values()) arrange(inner, frame);
  const items: Item[] = space.boxes.map((box, item) => {
    const inner = space.inner.get(item)?.drawn;
    const pinned = box.pin ? { pin: box.pin } : {};
    if (!inner) return { width: box.width, height: box.height, ...pinned };
    return {
      width: Math.max(box.width, inner.width + 2 * frame.padding),
      height: Math.max(box.height, inner.height + frame.header + frame.padding),
      ...pinned,
    };
  });
  for (const { pin } of space.ports.values()) items.push({ width: 0, height: 0, pin });
  const portX = (item: number, pin: Pin, bundle: number) => {
    const inner = space.inner.get(item);
    const port = inner?.ports.get(`${pin} ${bundle}`);
    // The inside of a box is centred in it.
    return inner && port ? inner.drawn.items[port.item]!.x - inner.drawn.width / 2 : 0;
  };
  const links: Link[] = [...space.links.values()].map(({ from, to, bundle }) => ({
    from,
    to,
    bundle,
    fromX: portX(from, 'bottom', bundle),
    toX: portX(to, 'top', bundle),
  }));
  space.drawn = layered(items, links);
}

function locate(
  space: Space,
  origin: Point,
  frame: Frame,
  rectangles: Map<string, Rectangle>,
): void {
  space.origin = origin;
  space.boxes.forEach((box, item) => {
    const drawn = space.drawn.items[item]!;
    const rectangle = { ...drawn, x: origin.x + drawn.x, y: origin.y + drawn.y };
    rectangles.set(box.id, rectangle);
    const inner = space.inner.get(item);
    if (!inner) return;
    const x = rectangle.x + (rectangle.width - inner.drawn.width) / 2;
    locate(inner, { x, y: rectangle.y + frame.header }, frame, rectangles);
  });
}

const routeIn = ({ drawn, origin }: Space, link: number): Point[] =>
  drawn.routes[link]!.map(({ x, y }) => ({ x: x + origin.x, y: y + origin.y }));

/** One line of several, without points that it passes anyway. */
function joined(parts: readonly (readonly Point[])[]): Point[] {
  const out: Point[] = [];
  for (const point of parts.flat()) {
    const last = out.at(-1);
    const before = out.at(-2);
    if (last && Math.abs(last.x - point.x) < 0.01) {
      if (last.y === point.y) continue;
      if (before && Math.abs(before.x - last.x) < 0.01) out.pop();
    }
    out.push(point);
  }
  return out;
}
