/** What layers cost, summed over blocks, before and after. */
import type { ElementType } from '../onnx/schema';
import { METRICS, type Change, type Metric, type NodeCost } from '../protocol';

/** The numbers of one node of a graph, whatever model of cost they come from. */
export interface LayerNumbers {
  readonly macs: number | null;
  readonly parameters: number | null;
  readonly latencyMs: number | null;
  readonly energyMj: number | null;
  /** Bytes of activations read and written. */
  readonly activationBytes: number | null;
  /** Rests on a decision that is not taken yet. */
  readonly estimated: boolean;
  readonly bound: string;
  /** Why a number is missing. */
  readonly unknown?: string;
  /** What the arithmetic runs in: codes behind a DequantizeLinear count as they are stored. */
  readonly weightType?: ElementType | undefined;
  readonly inputType?: ElementType | undefined;
  /** Share of weights that are not zero, 0 to 1, where that is known without reading them. */
  readonly density?: number | undefined;
}

/** Sums over layers. */
export interface Tally {
  readonly sums: Record<Metric, Sum>;
  estimated: boolean;
  /** Latency by what bounds it. */
  readonly bounds: Map<string, number>;
  /** How many layers are unknown, by the reason. */
  readonly unknown: Map<string, number>;
}

interface Sum {
  total: number;
  known: number;
  missing: number;
}

const FIELDS = {
  latency: 'latencyMs',
  energy: 'energyMj',
  macs: 'macs',
  parameters: 'parameters',
  activations: 'activationBytes',
} as const satisfies Record<Metric, keyof LayerNumbers>;

export function emptyTally(): Tally {
  const sum = (): Sum => ({ total: 0, known: 0, missing: 0 });
  return {
    sums: { latency: sum(), energy: sum(), macs: sum(), parameters: sum(), activations: sum() },
    estimated: false,
    bounds: new Map(),
    unknown: new Map(),
  };
}

export function addLayer(tally: Tally, numbers: LayerNumbers | undefined): void {
  for (const metric of METRICS) {
    const sum = tally.sums[metric];
    const value = numbers?.[FIELDS[metric]] ?? null;
    if (value === null) sum.missing++;
    else {
      sum.total += value;
      sum.known++;
    }
  }
  if (!numbers) return;
  tally.estimated ||= numbers.estimated;
  add(tally.bounds, numbers.bound, numbers.latencyMs ?? 0);
  if (numbers.unknown !== undefined) add(tally.unknown, numbers.unknown, 1);
}

export function addTally(tally: Tally, part: Tally): void {
  for (const metric of METRICS) {
    const [sum, more] = [tally.sums[metric], part.sums[metric]];
    sum.total += more.total;
    sum.known += more.known;
    sum.missing += more.missing;
  }
  tally.estimated ||= part.estimated;
  for (const [bound, ms] of part.bounds) add(tally.bounds, bound, ms);
  for (const [reason, count] of part.unknown) add(tally.unknown, reason, count);
}

function add(sums: Map<string, number>, key: string, amount: number): void {
  sums.set(key, (sums.get(key) ?? 0) + amount);
}

/** The sum of what is known; null where nothing is, and nothing is missing from the sum of no layers. */
export function totalOf({ sums }: Tally, metric: Metric): number | null {
  const { total, known, missing } = sums[metric];
  return known === 0 && missing > 0 ? null : total;
}

/** The tallies of one part, and of the whole model for its shares. */
export function nodeCost(before: Tally, after: Tally, wholeAfter: Tally, layers: number): NodeCost {
  const change = (metric: Metric) => changeOf(before, after, metric);
  const share = Object.fromEntries(
    METRICS.map((metric) => [metric, shareOf(after, wholeAfter, metric)]),
  ) as Record<Metric, number | null>;
  return {
    macs: change('macs'),
    parameters: change('parameters'),
    latencyMs: change('latency'),
    energyMj: change('energy'),
    activationBytes: change('activations'),
    share,
    bound: largest(after.bounds) ?? largest(before.bounds) ?? '',
    unknown: unknownText(after, layers),
  };
}

/** A part's share of a whole, 0 to 1; null where it is unknown. */
export function shareOf(part: Tally, whole: Tally, metric: Metric): number | null {
  const [value, total] = [totalOf(part, metric), totalOf(whole, metric)];
  if (value === null || total === null) return null;
  return total === 0 ? 0 : value / total;
}

/** What is modelled rests on every decision; a count that has not changed rests on none. */
function changeOf(before: Tally, after: Tally, metric: Metric): Change {
  const [was, is] = [totalOf(before, metric), totalOf(after, metric)];
  const modelled = metric === 'latency' || metric === 'energy';
  const partial = [before, after].some(
    ({ sums }) => sums[metric].missing > 0 && sums[metric].known > 0,
  );
  return {
    before: was,
    after: is,
    ...(after.estimated && (modelled || was !== is) && { estimated: true }),
    ...(partial && { partial: true }),
  };
}

const largest = (sums: ReadonlyMap<string, number>): string | undefined =>
  [...sums].reduce<[string, number] | undefined>(
    (most, entry) => (most && most[1] >= entry[1] ? most : entry),
    undefined,
  )?.[0];

function unknownText({ unknown }: Tally, layers: number): string | null {
  const [reason] = unknown.keys();
  if (reason === undefined) return null;
  const count = [...unknown.values()].reduce((sum, n) => sum + n, 0);
  if (layers === 1) return reason;
  return `${count} of ${layers} layers unknown: ${reason}${unknown.size > 1 ? ', and others' : ''}`;
}
