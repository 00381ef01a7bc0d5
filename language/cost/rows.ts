/**
 * Pictures that stream through layers row after row: which rows of its input a layer waits for, and when its own are done.
 * Of a row the first and the last position are followed; between them time runs evenly.
 */
import { product } from './operators/operator';
import { madeOnce } from './placing';
import type { ConvLoops, PoolLoops } from './workload';

/** ns of one position of a picture: its first, the first of a row, the others of the first row, all others. */
export interface Pace {
  readonly firstNs: number;
  readonly rowNs: number;
  readonly firstRowNs: number;
  readonly otherNs: number;
}

/** Every position takes as long. */
export const evenPace = (ns: number): Pace => ({
  firstNs: ns,
  rowNs: ns,
  firstRowNs: ns,
  otherNs: ns,
});

/** Every position takes so much longer. */
export const slower = (pace: Pace, byNs: number): Pace => ({
  firstNs: pace.firstNs + byNs,
  rowNs: pace.rowNs + byNs,
  firstRowNs: pace.firstRowNs + byNs,
  otherNs: pace.otherNs + byNs,
});

const samePace = (a: Pace, b: Pace): boolean =>
  a.firstNs === b.firstNs &&
  a.rowNs === b.rowNs &&
  a.firstRowNs === b.firstRowNs &&
  a.otherNs === b.otherNs;

/** The positions of a layer's output: at least one row of at least one, those of all pictures one after another. */
export interface Picture {
  readonly pictures: number;
  readonly rows: number;
  readonly columns: number;
  readonly reading: Reading;
}

/** What a position of an output waits for, in rows and columns of the input. */
interface Reading {
  readonly rows: number;
  readonly columns: number;
  /** By row of the output, the last row that it needs; undefined: the row of its own number. */
  readonly needed: Int32Array | undefined;
  /** The last column that the first position of a row needs, and that its last one does. */
  readonly begin: number;
  readonly end: number;
  /** Positions of a row that are left to do when the column `end` has come. */
  readonly behind: number;
}

/** One result of all of the input. */
export const WHOLE: Picture = {
  pictures: 1,
  rows: 1,
  columns: 1,
  reading: { rows: 1, columns: 1, needed: undefined, begin: 0, end: 0, behind: 1 },
};

/** A row of positions, each of which needs its own share of the input. */
export const sequence = (positions: number): Picture =>
  madeOnce(sequences, positions, () => passedOn({ ...WHOLE, columns: positions }));

const sequences = new Map<number, Picture>();

/** Positions as those of another layer, each of which needs its own share of the input. */
export const passedOn = (from: Picture): Picture =>
  madeOnce(passed, from, () => {
    const { pictures, rows, columns } = from;
    const reading = { rows, columns, needed: undefined, begin: 0, end: columns - 1, behind: 1 };
    const picture = { pictures, rows, columns, reading };
    passed.set(picture, picture);
    return picture;
  });

const passed = new WeakMap<Picture, Picture>();

type Window = Omit<PoolLoops, 'channels'> & Partial<Pick<ConvLoops, 'dilations'>>;

const windowed = new WeakMap<Window, Picture>();

/** What a window makes as it slides along the rows of its input; where that is nothing, as if it were one result. */
export const windowPicture = (loops: Window): Picture =>
  madeOnce(windowed, loops, () => {
    if (product(loops.output) * loops.batch === 0) return WHOLE;
    const axes = loops.input.map((_, axis) => axisOf(loops, axis));
    const across = axes.pop()!;
    const rows = product([loops.batch, ...axes.map(({ outputs }) => outputs)]);
    const columns = across.outputs;
    return {
      pictures: loops.batch,
      rows,
      columns,
      reading: {
        rows: product([loops.batch, ...axes.map(({ size }) => size)]),
        columns: across.size,
        needed: Int32Array.from({ length: rows }, (_, row) => neededRow(row, axes)),
        begin: across.needed(0),
        end: across.needed(columns - 1),
        behind: columns - Math.min(columns - 1, across.fullAt),
      },
    };
  });

type Axis = ReturnType<typeof axisOf>;

/** The last position under the window along one axis, padding left out. */
function axisOf(loops: Window, axis: number) {
  const size = loops.input[axis] ?? 1;
  const stride = loops.strides[axis] ?? 1;
  const dilation = loops.dilations?.[axis] ?? 1;
  const extent = ((loops.kernel[axis] ?? 1) - 1) * dilation + 1;
  const before = Math.floor(Math.max(0, (loops.paddedInput[axis] ?? size) - size) / 2);
  const first = Math.max(extent - before, 1);
  return {
    size,
    outputs: loops.output[axis] ?? 1,
    needed: (output: number) => Math.min(first + stride * output, size) - 1,
    /** The first output that waits for the last position. */
    fullAt: Math.max(0, Math.ceil((size - first) / stride)),
  };
}

function neededRow(row: number, axes: readonly Axis[]): number {
  let [rest, needed, scale] = [row, 0, 1];
  for (let i = axes.length - 1; i >= 0; i--) {
    const axis = axes[i]!;
    needed += scale * axis.needed(rest % axis.outputs);
    scale *= axis.size;
    rest = Math.floor(rest / axis.outputs);
  }
  return needed + scale * rest;
}

// ---- time

/** What a layer is at work for one input, in ns. */
export function busyNs({ pictures, rows, columns }: Picture, pace: Pace): number {
  const others = columns - 1;
  return (
    pictures * (pace.firstNs + others * pace.firstRowNs) +
    (rows - pictures) * (pace.rowNs + others * pace.otherNs)
  );
}

/** When the first and the last position of every row are done, in ns. */
export interface RowEnds {
  readonly columns: number;
  readonly first: Float64Array;
  readonly last: Float64Array;
}

/** When a layer is through with its rows, its inputs coming as those that it reads from are. */
export function rowEnds(picture: Picture, pace: Pace, from: readonly RowEnds[]): RowEnds {
  const { rows, columns, reading } = picture;
  const { needed, begin, end, behind } = reading;
  const perPicture = rows / picture.pictures;
  const first = new Float64Array(rows);
  const last = new Float64Array(rows);
  let done = 0;
  for (let row = 0; row < rows; row++) {
    const isTop = row % perPicture === 0;
    const read = needed ? needed[row]! : row;
    done = Math.max(done, readyAt(from, read, begin, reading));
    done += isTop ? pace.firstNs : pace.rowNs;
    first[row] = done;
    if (columns > 1) {
      const otherNs = isTop ? pace.firstRowNs : pace.otherNs;
      const caughtUp = readyAt(from, read, end, reading) + behind * otherNs;
      done = Math.max(done + (columns - 1) * otherNs, caughtUp);
    }
    last[row] = done;
  }
  return { columns, first, last };
}

/** When all that is read from has finished a position, found by its share where pictures differ in size. */
function readyAt(from: readonly RowEnds[], row: number, column: number, reading: Reading): number {
  const { rows, columns } = reading;
  let ready = 0;
  for (const source of from) {
    let [r, c] = [row, column];
    if (source.columns !== columns || source.first.length !== rows) {
      const positions = source.first.length * source.columns;
      const at = Math.ceil(((row * columns + column + 1) * positions) / (rows * columns)) - 1;
      r = Math.floor(at / source.columns);
      c = at - r * source.columns;
    }
    const share = source.columns > 1 ? c / (source.columns - 1) : 1;
    const begun = source.first[r]!;
    ready = Math.max(ready, begun + share * (source.last[r]! - begun));
  }
  return ready;
}

// ---- again

/** A layer's rows, and all that they rest on. */
export interface Known {
  readonly picture: Picture;
  readonly pace: Pace;
  readonly from: readonly RowEnds[];
  readonly ends: RowEnds;
}

/** As `rowEnds`, told from what was known of a layer before where nothing changed; equal ends are the same object. */
export function rowEndsAgain(
  before: Known | undefined,
  { picture, pace, from }: Omit<Known, 'ends'>,
): Known {
  if (
    before?.picture === picture &&
    samePace(before.pace, pace) &&
    before.from.length === from.length &&
    before.from.every((ends, i) => ends === from[i])
  )
    return before;
  const fresh = rowEnds(picture, pace, from);
  const ends = before && sameEnds(before.ends, fresh) ? before.ends : fresh;
  return { picture, pace, from, ends };
}

const sameEnds = (a: RowEnds, b: RowEnds): boolean =>
  a.columns === b.columns && sameTimes(a.first, b.first) && sameTimes(a.last, b.last);

function sameTimes(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
