/**
 * Structure for long lists without names. A list is cut at its waists, where one value alone goes on; pieces that come
 * several times in a row are repeats; what remains is taken together to sections of a readable length.
 */

/** One of a list, each after what it reads. */
export interface Listed {
  /** Equal for entries that are the same, weights and all. */
  readonly same: string;
  /** Equal for entries of the same kind. */
  readonly kind: string;
  /** Positions of the entries that it reads. */
  readonly reads: readonly number[];
  /** Has a structure of its own and is not put into sections. */
  readonly closed: boolean;
}

/** An entry by its position, or a section of entries. */
export type Sectioned = number | readonly Sectioned[];

/** Lists up to this length are read as they are. */
export const READABLE = 40;
/** Lengths of the sections that are made of what does not repeat. */
const SECTION = 16;
/** A value that is read so far away (a tap of a pyramid, a mask) does not hold together what lies between. */
const FAR = 48;
/** Of the unit of a repeat: pieces at most, entries at least and at most. */
const LONGEST_PERIOD = 12;
const SHORTEST_UNIT = 3;
const LONGEST_UNIT = 40;

export function sections(list: readonly Listed[]): readonly Sectioned[] {
  if (list.length <= READABLE) return list.map((_, i) => i);
  const pieces = piecesOf(list);
  const same = pieces.map((piece) => pieceKey(piece, list, (entry) => entry.same));
  const kind = pieces.map((piece) => pieceKey(piece, list, (entry) => entry.kind));
  const sizes = pieces.map((piece) => piece.length);
  const exact = repeatsIn(same, sizes, 0, pieces.length);
  const repeats = between(exact, pieces.length).flatMap((part) =>
    part.count > 1 ? [part] : repeatsIn(kind, sizes, part.start, part.start + part.period),
  );
  return between(repeats, pieces.length).flatMap(({ start, period, count }) => {
    if (count === 1) return gathered(pieces.slice(start, start + period), list);
    return [
      Array.from({ length: count }, (_, k) =>
        pieces.slice(start + k * period, start + (k + 1) * period).flat(),
      ),
    ];
  });
}

/** Pieces between positions after which at most one value goes on, beside those that are read far away. */
function piecesOf(list: readonly Listed[]): number[][] {
  const last = list.map((_, i) => i);
  list.forEach(({ reads }, reader) => {
    for (const source of reads) last[source] = Math.max(last[source]!, reader);
  });
  const change = new Int32Array(list.length);
  last.forEach((reader, i) => {
    if (reader === i || reader - i > FAR) return;
    change[i]!++;
    change[reader]!--;
  });
  const pieces: number[][] = [];
  let piece: number[] = [];
  let alive = 0;
  list.forEach((_, i) => {
    piece.push(i);
    alive += change[i]!;
    if (alive > 1) return;
    pieces.push(piece);
    piece = [];
  });
  return piece.length > 0 ? [...pieces, piece] : pieces;
}

/** What a piece does: its entries in order, and how they read each other. */
const pieceKey = (
  piece: readonly number[],
  list: readonly Listed[],
  keyOf: (entry: Listed) => string,
): string =>
  piece
    .map((i) => {
      const entry = list[i]!;
      const steps = entry.reads.map((source) => (source < piece[0]! ? '' : source - i));
      return `${keyOf(entry)}(${steps.join()})`;
    })
    .join('\n');

/** `count` units of `period` pieces each. */
interface Run {
  readonly start: number;
  readonly period: number;
  readonly count: number;
}

/** Repeats that do not overlap, those that save most first; in order. */
function repeatsIn(
  keys: readonly string[],
  sizes: readonly number[],
  from: number,
  to: number,
): Run[] {
  let best: Run | undefined;
  let most = 0;
  for (let period = 1; period <= LONGEST_PERIOD && from + 2 * period <= to; period++)
    for (let start = from, i = from; i <= to - period; i++) {
      if (i < to - period && keys[i] === keys[i + period]) continue;
      // Pieces from `start` on equal those one period later, up to `i`.
      const count = Math.floor((i - start) / period) + 1;
      const unit = sum(sizes, start, start + period);
      const saved = (count - 1) * unit;
      if (saved > most && unit >= SHORTEST_UNIT && unit <= LONGEST_UNIT) {
        most = saved;
        best = { start, period, count };
      }
      start = i + 1;
    }
  if (!best) return [];
  const end = best.start + best.period * best.count;
  return [...repeatsIn(keys, sizes, from, best.start), best, ...repeatsIn(keys, sizes, end, to)];
}

function sum(numbers: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += numbers[i]!;
  return total;
}

/** Runs with what lies between them, which is a run of one unit. */
function between(runs: readonly Run[], end: number): Run[] {
  const out: Run[] = [];
  let next = 0;
  const fill = (to: number) => {
    if (to > next) out.push({ start: next, period: to - next, count: 1 });
  };
  for (const run of runs) {
    fill(run.start);
    out.push(run);
    next = run.start + run.period * run.count;
  }
  fill(end);
  return out;
}

/** Pieces in sections of a readable length. Few entries join the section before them, or stay as they are. */
function gathered(pieces: readonly (readonly number[])[], list: readonly Listed[]): Sectioned[] {
  const out: Sectioned[] = [];
  let before: number[] | undefined;
  let open: number[] = [];
  const close = () => {
    if (open.length > SECTION / 2) {
      const size = Math.ceil(open.length / Math.max(1, Math.round(open.length / SECTION)));
      for (let k = 0; k < open.length; k += size) out.push((before = open.slice(k, k + size)));
    } else if (before) before.push(...open);
    else out.push(...open);
    open = [];
  };
  for (const piece of pieces) {
    const closed = piece.length === 1 && list[piece[0]!]!.closed;
    if (closed || open.length + piece.length > 1.5 * SECTION) close();
    if (closed) {
      out.push(piece[0]!);
      before = undefined;
    } else open.push(...piece);
  }
  close();
  return out;
}
