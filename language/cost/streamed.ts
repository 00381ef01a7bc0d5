/**
 * Layers of a ReRAM chip, all at work at once: a layer begins with an output position as soon as the layers before it have
 * finished what its window reads, which is the pipeline inside layers of MNSIM 2.0 (Zhu et al., TCAD 2023). Rows are
 * followed from their first position to their last, between which time runs evenly.
 */
import type { LayerCost, TargetEstimate } from './cost';
import type { PlacedKernel } from './estimate';
import type { Flow, Flows } from './flow';
import { gemmOf } from './gemm';
import { product } from './operators/operator';
import type { ReramProfile } from './profile';
import { paceOn } from './reram';
import { evenPace, type Pace } from './staged';
import type { ConvLoops, PoolLoops, Workload } from './workload';

/**
 * One input through the empty chip, and how soon the next may follow: when every layer, and what the layers share, has
 * done its part. Undefined where nothing takes time.
 * @param costs by the place of a node in the order
 * @param watched the workload whose weights may be asked for without harm where they cannot be read
 */
export function throughRows(
  { flows }: Pick<Flows<PlacedKernel>, 'flows'>,
  costs: readonly LayerCost[],
  target: ReramProfile,
  watched: (workload: Workload) => Workload,
): TargetEstimate['pipeline'] {
  const stages = stagesOf(flows, costs, target, watched);
  let [slowestNs, slowest] = [0, undefined as Stage | undefined];
  const sharedNs = { digital: 0, beside: 0 };
  for (const stage of stages) {
    const ns = busyNs(stage);
    if (stage.unit !== 'own') sharedNs[stage.unit] += ns;
    else if (ns > slowestNs) [slowestNs, slowest] = [ns, stage];
  }
  const intervalNs = Math.max(slowestNs, sharedNs.digital, sharedNs.beside);
  if (intervalNs === 0) return undefined;
  return {
    latencyMs: finishNs(stages) * 1e-6,
    intervalMs: intervalNs * 1e-6,
    perSecond: 1e9 / intervalNs,
    slowest: slowest && slowestNs === intervalNs ? slowest.flow.kernel.main.id : null,
  };
}

type Window = Omit<PoolLoops, 'channels'> & Partial<Pick<ConvLoops, 'dilations'>>;

/** The positions of a layer's output: rows of all pictures, one after another. */
interface Picture {
  readonly pictures: number;
  readonly rows: number;
  readonly columns: number;
  /** What a position waits for: its window, its share of the input, or all of it. */
  readonly waits: Window | 'share' | 'all';
}

interface Stage extends Picture {
  readonly flow: Flow<PlacedKernel>;
  readonly pace: Pace;
  /** Tiles of its own, the digital units of the chip, or another target. */
  readonly unit: 'own' | 'digital' | 'beside';
  /** Places of the stages that it reads from. */
  readonly from: readonly number[];
}

function stagesOf(
  flows: readonly Flow<PlacedKernel>[],
  costs: readonly LayerCost[],
  target: ReramProfile,
  watched: (workload: Workload) => Workload,
): Stage[] {
  const makers = new Map<number, number>();
  const stages: Stage[] = [];
  for (const flow of flows) {
    const { places, workload, profile } = flow.kernel;
    const cost = costs[places[0]!]!;
    const from: number[] = [];
    for (const value of flow.reads) {
      const maker = makers.get(value);
      if (maker !== undefined) from.push(maker);
    }
    for (const value of flow.writes) makers.set(value, stages.length);
    const isHere = profile === target;
    const picture = isHere ? pictureOf(workload, from, stages) : WHOLE;
    const ns = (cost.latencyMs ?? 0) * 1e6;
    const pace = isHere
      ? paceOn(watched(workload), target, ns, picture.rows * picture.columns)
      : evenPace(ns);
    const unit = !isHere ? 'beside' : (cost.tiles ?? 0) > 0 ? 'own' : 'digital';
    stages.push({ flow, ...picture, pace, unit, from });
  }
  return stages;
}

const WHOLE: Picture = { pictures: 1, rows: 1, columns: 1, waits: 'all' };

/** Products take a row of positions; what only passes values on keeps the rows that they come in. */
function pictureOf(workload: Workload, from: readonly number[], stages: readonly Stage[]): Picture {
  const { conv, window, matmul, kind, parts } = workload;
  if (parts || kind === 'reduction' || kind === 'unknown') return WHOLE;
  const loops = conv ?? window;
  if (loops && !conv?.transposed) {
    const rows = loops.batch * product(loops.output.slice(0, -1));
    return { pictures: loops.batch, rows, columns: loops.output.at(-1) ?? 1, waits: loops };
  }
  if (matmul) {
    if (matmul.constant === null) return WHOLE;
    return { pictures: 1, rows: 1, columns: gemmOf(workload)?.m ?? 1, waits: 'share' };
  }
  let most = WHOLE;
  for (const source of from) {
    const { pictures, rows, columns } = stages[source]!;
    if (rows * columns > most.rows * most.columns)
      most = { pictures, rows, columns, waits: 'share' };
  }
  return most;
}

// ---- time

/** What a stage is at work for one input. */
function busyNs({ pictures, rows, columns, pace }: Stage): number {
  const others = columns - 1;
  return (
    pictures * (pace.firstNs + others * pace.firstRowNs) +
    (rows - pictures) * (pace.rowNs + others * pace.otherNs)
  );
}

/** When the last position of all stages is done. */
function finishNs(stages: readonly Stage[]): number {
  let finish = 0;
  const ends: RowEnds[] = [];
  for (const stage of stages) {
    const own = rowEnds(
      stage,
      stage.from.map((source) => ends[source]!),
    );
    ends.push(own);
    finish = Math.max(finish, own.last.at(-1)!);
  }
  return finish;
}

/** When the first and the last position of every row are done, in ns. */
interface RowEnds {
  readonly columns: number;
  readonly first: Float64Array;
  readonly last: Float64Array;
}

function rowEnds(stage: Stage, from: readonly RowEnds[]): RowEnds {
  const { rows, columns, pace } = stage;
  const reading = readingOf(stage);
  const perPicture = rows / stage.pictures;
  const first = new Float64Array(rows);
  const last = new Float64Array(rows);
  let before = 0;
  for (let row = 0; row < rows; row++) {
    const isTop = row % perPicture === 0;
    const at = reading.rowFor(row) * reading.columns;
    first[row] =
      Math.max(before, readyAt(from, at + reading.begin, reading)) +
      (isTop ? pace.firstNs : pace.rowNs);
    before = first[row]!;
    if (columns > 1) {
      const otherNs = isTop ? pace.firstRowNs : pace.otherNs;
      const full = readyAt(from, at + reading.end, reading);
      before = Math.max(before + (columns - 1) * otherNs, full + reading.behind * otherNs);
    }
    last[row] = before;
  }
  return { columns, first, last };
}

/** Which positions of its input a stage waits for: the last of a row's first window, and of its last. */
interface Reading {
  readonly positions: number;
  readonly columns: number;
  readonly begin: number;
  readonly end: number;
  /** Positions of a row that are left to do when the last column of the input has come. */
  readonly behind: number;
  readonly rowFor: (row: number) => number;
}

function readingOf({ waits, rows, columns }: Stage): Reading {
  if (waits === 'all')
    return { positions: 1, columns: 1, begin: 0, end: 0, behind: 1, rowFor: () => 0 };
  if (waits === 'share')
    return {
      positions: rows * columns,
      columns,
      begin: 0,
      end: columns - 1,
      behind: 1,
      rowFor: (row) => row,
    };
  const axes = waits.input.map((_, axis) => axisOf(waits, axis));
  const across = axes.pop()!;
  const input = waits.batch * product(axes.map(({ size }) => size));
  return {
    positions: input * across.size,
    columns: across.size,
    begin: across.needed(0),
    end: across.needed(columns - 1),
    behind: columns - Math.min(columns - 1, across.fullAt),
    rowFor: (row) => {
      let [rest, needed, scale] = [row, 0, 1];
      for (let axis = axes.length - 1; axis >= 0; axis--) {
        const { outputs, size, needed: neededAt } = axes[axis]!;
        needed += scale * neededAt(rest % outputs);
        scale *= size;
        rest = Math.floor(rest / outputs);
      }
      return needed + scale * rest;
    },
  };
}

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

/** When all stages have finished a position, counted in positions of a picture of the size that is read. */
function readyAt(from: readonly RowEnds[], position: number, { positions }: Reading): number {
  let ready = 0;
  for (const { columns, first, last } of from) {
    const own = first.length * columns;
    const at = own === positions ? position : Math.ceil(((position + 1) * own) / positions) - 1;
    const row = Math.floor(at / columns);
    const share = columns > 1 ? (at % columns) / (columns - 1) : 1;
    ready = Math.max(ready, first[row]! + share * (last[row]! - first[row]!));
  }
  return ready;
}
