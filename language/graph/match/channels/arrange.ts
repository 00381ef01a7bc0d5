/** Operators that give the elements another arrangement: reshapes, transposes, cuts, joins. */
import { Untold } from '../../../errors';
import { intsAttribute, type Node } from '../../graph';
import { product, type View } from '../view';
import {
  fresh,
  isLabel,
  isLive,
  repeated,
  size,
  slice,
  stretched,
  type Axis,
  type Label,
} from './labels';
import type { Site } from './marks';

type Dim = number | string | null;
type Rule = (site: Site) => void;

/** A label of more runs than this is not followed. */
const MAX_RUNS = 4096;

interface Piece {
  readonly from: number;
  readonly fromEnd: number;
  readonly to: number;
  readonly toEnd: number;
  /** Whether both sides hold the same elements in known sizes. */
  readonly matches: boolean;
}

/** Ranges of axes before and after a reshape that hold the same elements: read from the front, then from the back. */
export function piecesOf(from: readonly Dim[], to: readonly Dim[]): Piece[] {
  const front: Piece[] = [];
  let [a, b] = [0, 0];
  for (let step = stepOf(from, to); step; step = stepOf(from.slice(a), to.slice(b))) {
    front.push({ from: a, fromEnd: a + step[0], to: b, toEnd: b + step[1], matches: true });
    [a, b] = [a + step[0], b + step[1]];
  }
  const back: Piece[] = [];
  const rest = { from: from.slice(a).reverse(), to: to.slice(b).reverse() };
  let [c, d] = [0, 0];
  for (
    let step = stepOf(rest.from, rest.to);
    step;
    step = stepOf(rest.from.slice(c), rest.to.slice(d))
  ) {
    const [fromEnd, toEnd] = [from.length - c, to.length - d];
    back.push({ from: fromEnd - step[0], fromEnd, to: toEnd - step[1], toEnd, matches: true });
    [c, d] = [c + step[0], d + step[1]];
  }
  const middle = { from: a, fromEnd: from.length - c, to: b, toEnd: to.length - d, matches: false };
  return [...front, middle, ...back.reverse()];
}

/** How many axes of each side, from the start, hold the same elements; undefined where that cannot be told. */
function stepOf(from: readonly Dim[], to: readonly Dim[]): [number, number] | undefined {
  if (from.length === 0 || to.length === 0) return undefined;
  if (from[0] !== null && from[0] === to[0] && from[0] !== 0) return [1, 1];
  let [i, j] = [1, 1];
  let [left, right] = [from[0], to[0]];
  while (typeof left === 'number' && typeof right === 'number' && left * right > 0) {
    if (left === right) return [i, j];
    const next = left < right ? from[i++] : to[j++];
    if (typeof next !== 'number') return undefined;
    if (left < right) left *= next;
    else right *= next;
  }
  return undefined;
}

/** Gives each axis after a reshape its label. */
function regroup(site: Site, to: readonly Dim[]): Axis[] {
  const axes = site.axes(0);
  const from = site.view.shape(site.node.inputs[0]!)!;
  return piecesOf(from, to).flatMap((piece) => {
    const before = axes.slice(piece.from, piece.fromEnd);
    const after = to.slice(piece.to, piece.toEnd);
    const [only] = before;
    if (before.length === 1 && after.length === 1 && piece.matches) return [only!];
    const wide = before.filter((axis) => axis !== 'one');
    const kept = after.flatMap((dim, i) => (dim === 1 ? [] : [i]));
    if (piece.matches && wide.length === 1 && kept.length === 1)
      return after.map((_, i): Axis => (i === kept[0] ? wide[0]! : 'one'));
    if (piece.matches && kept.length === 1) {
      const merged = merge(site, wide);
      return after.map((_, i): Axis => (i === kept[0] ? merged : 'one'));
    }
    if (piece.matches && wide.length === 1)
      return divide(site, wide[0]!, after as readonly number[], piece.to);
    for (const axis of before) site.block(axis, 'it gives its elements a shape across channels');
    return after.map((dim) => site.opaque(dim, 'it has elements of several channels'));
  });
}

/** Axes that become one: one of them keeps its units, each as wide as what lies inside and as often as what lies outside. */
function merge(site: Site, axes: readonly Axis[]): Axis {
  const labels = axes.filter(isLabel);
  const at = Math.max(0, labels.findIndex(isLive));
  labels.forEach((label, i) => {
    if (i !== at) site.block(label, 'it folds this axis into another');
  });
  const sizes = labels.map(size);
  return spread(site, labels[at]!, product(sizes.slice(0, at)), product(sizes.slice(at + 1)));
}

function spread(site: Site, carrier: Label, outer: number, inner: number): Axis {
  if (outer * carrier.length > MAX_RUNS) {
    site.block(carrier, 'it strews channels over too many places');
    return site.opaque(outer * inner * size(carrier), 'its channels lie in too many places');
  }
  return repeated(stretched(carrier, inner), outer);
}

/** An axis that becomes several: one of those has units that can go, and is all of each in the others. */
function divide(site: Site, axis: Axis, dims: readonly number[], first: number): Axis[] {
  const wide = dims.flatMap((dim, i) => (dim === 1 ? [] : [i]));
  const output = site.node.outputs[0] ?? '';
  const at = wide.find((i) => !isTakenApart(site.view, output, first + i)) ?? wide[0]!;
  const carrier = fresh(dims[at]!);
  const inner = product(dims.slice(at + 1));
  site.bring(axis, spread(site, carrier, product(dims.slice(0, at)), inner));
  return dims.map((dim, i) =>
    i === at ? carrier : site.opaque(dim, 'it is part of every channel of another axis'),
  );
}

/** Whether the elements along an axis go separate ways, as query, key and value of one product do. */
function isTakenApart(view: View, value: string, axis: number, depth = 0): boolean {
  return view.readers(value).some((reader) => {
    if (reader.op === 'Transpose') {
      const to = permutation(reader, view.rank(value) ?? 0).indexOf(axis);
      return depth < 3 && isTakenApart(view, reader.outputs[0] ?? '', to, depth + 1);
    }
    if (reader.op === 'Split' || reader.op === 'Gather') return view.axis(reader, 0) === axis;
    return reader.op === 'Slice' && sliceAxes(view, reader)?.includes(axis) === true;
  });
}

const permutation = (node: Node, rank: number): readonly number[] =>
  intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);

const reshape: Rule = (site) => {
  const to = site.shapeOfOutput();
  const axes = regroup(site, to);
  const from = site.view.shape(site.node.inputs[0]!)!;
  const open = to.filter((dim) => typeof dim !== 'number').length;
  const elements = to.map((dim, i) => {
    if (typeof dim === 'number') return dim;
    if (open === 1) return -1;
    return dim !== null && dim === from[i] && site.int('allowzero', 0) === 0 ? 0 : undefined;
  });
  const measured = axes.flatMap((label, element) => (isLabel(label) ? [{ element, label }] : []));
  site.measure({ input: 1 }, elements, measured);
  site.useAlong(0);
  site.set(0, axes);
};

const rearrange: Rule = (site) => {
  site.useAlong(0);
  site.set(0, regroup(site, site.shapeOfOutput()));
};

const transpose: Rule = (site) => {
  const axes = site.axes(0);
  const order = permutation(site.node, axes.length);
  site.handOn(order);
  site.set(
    0,
    order.map((axis) => axes[axis] ?? 'free'),
  );
};

const expand: Rule = (site) => {
  const axes = site.axes(0);
  const from = site.view.shape(site.node.inputs[0]!)!;
  const to = site.shapeOfOutput();
  const shift = to.length - axes.length;
  const same = (axis: number) => to[axis] !== null && from[axis - shift] === to[axis];
  const elements = to.map((dim, i) => (same(i) ? 1 : typeof dim === 'number' ? dim : undefined));
  const told = axes.filter((axis, i): axis is Label => isLabel(axis) && same(i + shift));
  site.measure({ input: 1 }, elements, [], told);
  site.useAlong(0);
  site.set(
    0,
    to.map((dim, i) => {
      if (same(i)) return axes[i - shift]!;
      site.block(axes[i - shift], 'it gives this axis a size that is not known');
      return site.opaque(dim, 'it is copies of one element');
    }),
  );
};

const concat: Rule = (site) => {
  const inputs = site.node.inputs.map((_, input) => site.axes(input));
  const axis = site.axis(1);
  site.useAlong(...inputs.keys());
  const others = site.broadcast(inputs.map((axes) => axes.map((a, i) => (i === axis ? 'one' : a))));
  const parts = inputs.map((axes) => axes[axis]!);
  const isKnown = parts.every((part) => part !== 'free');
  if (!isKnown)
    for (const part of parts) site.block(part, 'it joins this with an axis of unknown size');
  const joined = isKnown
    ? parts.flatMap((part) => (isLabel(part) ? part : single(site)))
    : site.opaque(site.shapeOfOutput()[axis], 'part of it is of unknown size');
  site.set(
    0,
    others.map((other, i) => (i === axis ? (parts.length === 1 ? parts[0]! : joined) : other)),
  );
};

function single(site: Site): Label {
  const label = fresh(1);
  site.block(label, 'it joins a single element');
  return label;
}

/** The part of an axis between two positions. */
function part(site: Site, axis: Axis, from: number, to: number): Axis {
  if (!isLabel(axis)) return site.opaque(to - from, 'it is cut from an axis of unknown size');
  const cut = slice(axis, from, to);
  if (!cut || to - from <= 1) {
    site.block(cut ?? axis, 'it cuts inside of a channel or takes a single one');
    return site.opaque(to - from, 'it is cut from inside of channels');
  }
  return cut;
}

const split: Rule = (site) => {
  const axes = site.axes(0);
  const axis = site.axis(0);
  site.useAlong(0);
  const sizes = site.node.outputs.map((_, output) => site.shapeOfOutput(output)[axis]);
  if (!sizes.every((dim) => typeof dim === 'number')) {
    throw new Untold('it cuts parts of unknown size');
  }
  let at = 0;
  const parts = sizes.map((dim) => part(site, axes[axis]!, at, (at += dim)));
  const measured = parts.flatMap((label, element) => (isLabel(label) ? [{ element, label }] : []));
  const byAttribute = site.view.graph.opset < 13;
  site.measure(byAttribute ? { attribute: 'split' } : { input: 1 }, sizes, measured);
  parts.forEach((label, output) => site.set(output, replaced(axes, axis, label)));
};

const replaced = (axes: readonly Axis[], at: number, by: Axis): Axis[] =>
  axes.map((axis, i) => (i === at ? by : axis));

function sliceAxes(view: View, node: Node): readonly number[] | undefined {
  const rank = view.rank(node.inputs[0] ?? '') ?? 0;
  const given = node.inputs[3] ? view.numbers(node.inputs[3]) : intsAttribute(node, 'axes');
  const starts = view.shape(node.inputs[1] ?? '')?.[0] ?? intsAttribute(node, 'starts')?.length;
  if (!given && (node.inputs[3] || typeof starts !== 'number')) return undefined;
  const axes = given ?? Array.from({ length: starts as number }, (_, i) => i);
  return axes.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Elements of a small value, those that are not known left out. */
const elementsOf = (site: Site, input: number, attribute: string) =>
  site.view.graph.opset < 10
    ? site.ints(attribute)
    : site.view.facts
        .value(site.node.inputs[input] ?? '')
        .elements?.elements.map((e) => (typeof e === 'number' ? e : undefined));

const sliceRule: Rule = (site) => {
  const axes = [...site.axes(0)];
  const shape = site.view.shape(site.node.inputs[0]!)!;
  const cut = sliceAxes(site.view, site.node);
  if (!cut) throw new Untold('the axes that it cuts are not known');
  site.useAlong(0);
  const given = { starts: elementsOf(site, 1, 'starts'), ends: elementsOf(site, 2, 'ends') };
  const steps = site.has(4) ? site.view.numbers(site.node.inputs[4]) : cut.map(() => 1);
  const starts = [...(given.starts ?? cut.map(() => undefined))];
  const ends = [...(given.ends ?? cut.map(() => undefined))];
  const before: { element: number; label: Label }[] = [];
  const upTo: typeof before = [];
  cut.forEach((axis, i) => {
    const [label, length] = [axes[axis], shape[axis]];
    const [start, end] = [starts[i], ends[i]];
    const isSimple = typeof length === 'number' && steps?.[i] === 1;
    if (!isSimple || start === undefined || end === undefined) {
      site.block(label, 'it takes elements that are not known or not in a row');
      axes[axis] = site.opaque(site.shapeOfOutput()[axis], 'it is cut from an axis');
      return;
    }
    const [from, to] = [start, end].map((at) => clamp(at, length)) as [number, number];
    [starts[i], ends[i]] = [from, to];
    if (from === 0 && to === length) {
      if (isLabel(label)) upTo.push({ element: i, label });
      return;
    }
    axes[axis] = part(site, label!, from, Math.max(from, to));
    if (!isLabel(label)) return;
    const [head, taken] = [slice(label, 0, from), slice(label, 0, to)];
    if (head && head.length > 0) before.push({ element: i, label: head });
    if (taken) upTo.push({ element: i, label: taken });
  });
  const byAttribute = site.view.graph.opset < 10;
  site.measure(byAttribute ? { attribute: 'starts' } : { input: 1 }, starts, before);
  site.measure(byAttribute ? { attribute: 'ends' } : { input: 2 }, ends, upTo);
  site.set(0, axes);
};

const clamp = (at: number, length: number): number =>
  Math.min(length, Math.max(0, at < 0 ? at + length : at));

const gather: Rule = (site) => {
  const axes = site.axes(0);
  const axis = site.axis(0);
  const indices = site.axes(1);
  site.block(axes[axis], 'it takes elements by their number');
  for (const index of indices) site.block(index, 'it is numbers of elements');
  site.use(0, (at) => (at === axis ? undefined : 'makes'));
  site.set(0, [...axes.slice(0, axis), ...indices, ...axes.slice(axis + 1)]);
};

const pad: Rule = (site) => {
  const axes = site.axes(0);
  const pads = site.has(1) ? site.view.numbers(site.node.inputs[1]) : site.ints('pads');
  if (!pads || site.has(3) || pads.length !== 2 * axes.length)
    throw new Untold('how it pads is not known');
  site.useAlong(0);
  site.set(
    0,
    keptWhere(site, (axis) => pads[axis] === 0 && pads[axis + axes.length] === 0),
  );
};

const tile: Rule = (site) => {
  const repeats = site.view.numbers(site.node.inputs[1]);
  if (!repeats) throw new Untold('how often it repeats is not known');
  site.useAlong(0);
  site.set(
    0,
    keptWhere(site, (axis) => repeats[axis] === 1),
  );
};

/** The axes that an operator leaves as they are, others blocked. */
export function keptWhere(site: Site, isKept: (axis: number) => boolean): Axis[] {
  const to = site.shapeOfOutput();
  return site.axes(0).map((label, axis) => {
    if (isKept(axis)) return label;
    site.block(label, 'it changes this axis');
    return site.opaque(to[axis], 'its elements are made of several');
  });
}

export const ARRANGEMENTS: Readonly<Record<string, Rule>> = {
  Reshape: reshape,
  Flatten: rearrange,
  Squeeze: rearrange,
  Unsqueeze: rearrange,
  Transpose: transpose,
  Expand: expand,
  Concat: concat,
  Split: split,
  Slice: sliceRule,
  Gather: gather,
  Pad: pad,
  Tile: tile,
};
