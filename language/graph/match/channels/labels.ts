/**
 * What an axis is made of. An atom is a run of units that only go together with themselves: single channels, or blocks of
 * them once something treats those alike (the heads of an attention, the groups of a convolution). A label covers an axis
 * with atoms in a row. Axes that must be cut alike are unified: their atoms become one, after both are cut at each other's
 * borders and coarsened to each other's blocks.
 */
export class Atom {
  #parent: Atom | undefined;
  /** What it was refined to: parts in a row, each unit of them `inner` units of this one. */
  #parts: Label | undefined;
  #blocked: Block | undefined;

  constructor(readonly length: number) {}

  get root(): Atom {
    return Atom.#rootOf(this);
  }
  static #rootOf(atom: Atom): Atom {
    let at = atom;
    while (at.#parent) at = at.#parent;
    if (atom !== at) atom.#parent = at;
    return at;
  }
  get parts(): Label | undefined {
    return this.#parts;
  }
  get blocked(): Block | undefined {
    return this.#blocked;
  }

  block(reason: Block): void {
    this.#blocked ??= reason;
  }
  refine(parts: Label): void {
    this.#parts = parts;
    if (this.#blocked) for (const { atom } of parts) atom.block(this.#blocked);
  }
  join(other: Atom): void {
    if (this === other) return;
    this.#parent = other;
    if (this.#blocked) other.block(this.#blocked);
  }
}

/** Why channels have to stay. */
export interface Block {
  readonly node: string;
  readonly reason: string;
}

export interface Entry {
  readonly atom: Atom;
  /** Elements of the axis in a row that are one unit of the atom. */
  readonly inner: number;
}
export type Label = readonly Entry[];
/** An axis of one element fits any other; of a free one not even the size is known. */
export type Axis = Label | 'one' | 'free';

export const isLabel = (axis: Axis | undefined): axis is Label =>
  axis !== undefined && axis !== 'one' && axis !== 'free';

export const fresh = (length: number): Label => [{ atom: new Atom(length), inner: 1 }];

export const size = (label: Label): number =>
  label.reduce((sum, { atom, inner }) => sum + atom.length * inner, 0);

/** The label by the atoms that nothing was refined or joined from. */
export function resolve(label: Label): Entry[] {
  return label.flatMap(({ atom, inner }) => {
    const { root } = atom;
    if (!root.parts) return [{ atom: root, inner }];
    return resolve(root.parts.map((part) => ({ atom: part.atom, inner: part.inner * inner })));
  });
}

export function block(axis: Axis | undefined, reason: Block): void {
  for (const { atom } of isLabel(axis) ? resolve(axis) : []) atom.block(reason);
}

/** Whether some of it may still go. */
export const isLive = (axis: Axis): boolean =>
  isLabel(axis) && resolve(axis).some(({ atom }) => !atom.blocked);

/** The rest of a label, read from its start; what lies ahead may be refined while it is read. */
class Cursor {
  readonly #ahead: Entry[];
  constructor(label: Label) {
    this.#ahead = [...label].reverse();
  }
  get head(): Entry | undefined {
    const next = this.#ahead.pop();
    if (!next) return undefined;
    this.#ahead.push(...resolve([next]).reverse());
    return this.#ahead.at(-1);
  }
  skip(): void {
    this.#ahead.pop();
  }
  block(reason: Block): void {
    block(this.#ahead, reason);
  }
}

/** Makes two labels one; what cannot be brought together is blocked. */
export function unify(a: Label, b: Label, node: string): void {
  const reason = 'it brings channels together in different parts';
  const [left, right] = [new Cursor(a), new Cursor(b)];
  for (;;) {
    const [x, y] = [left.head, right.head];
    if (!x && !y) return;
    if (!x || !y || !align(x, y)) {
      left.block({ node, reason });
      right.block({ node, reason });
      return;
    }
    if (x.inner !== y.inner || x.atom.length !== y.atom.length) continue;
    x.atom.join(y.atom);
    left.skip();
    right.skip();
  }
}

/** Refines one of two entries towards the other; false where that cannot be. */
function align(x: Entry, y: Entry): boolean {
  if (x.inner !== y.inner) {
    if (x.atom === y.atom) return false;
    const [fine, coarse] = x.inner < y.inner ? [x, y] : [y, x];
    return coarsen(fine.atom, coarse.inner / fine.inner);
  }
  if (x.atom.length === y.atom.length) return true;
  const [short, long] = x.atom.length < y.atom.length ? [x, y] : [y, x];
  cut(long.atom, short.atom.length);
  return true;
}

/** Makes blocks of `by` units one unit each, as far as they go. */
function coarsen(atom: Atom, by: number): boolean {
  if (!Number.isInteger(by) || atom.length < by) return false;
  const whole = atom.length - (atom.length % by);
  if (whole < atom.length) cut(atom, whole);
  else atom.refine([{ atom: new Atom(atom.length / by), inner: by }]);
  return true;
}

function cut(atom: Atom, at: number): void {
  atom.refine([
    { atom: new Atom(at), inner: 1 },
    { atom: new Atom(atom.length - at), inner: 1 },
  ]);
}

/** The part of a label between two positions; undefined where a border is inside a unit. */
export function slice(label: Label, from: number, to: number): Label | undefined {
  const out: Entry[] = [];
  const rest = new Cursor(label);
  let position = 0;
  for (let head = rest.head; head; head = rest.head) {
    const { atom, inner } = head;
    const end = position + atom.length * inner;
    const border = [from, to].find((at) => at > position && at < end);
    if (border !== undefined) {
      if ((border - position) % inner !== 0) return undefined;
      cut(atom, (border - position) / inner);
      continue;
    }
    if (position >= from && end <= to) out.push(head);
    position = end;
    rest.skip();
  }
  return out;
}

/** Every unit `times` as wide. */
export const stretched = (label: Label, times: number): Label =>
  label.map(({ atom, inner }) => ({ atom, inner: inner * times }));
/** The whole label one time after another. */
export const repeated = (label: Label, times: number): Label =>
  Array.from({ length: times }, () => label).flat();
