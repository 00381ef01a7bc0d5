/** What is measured: ranges of activations, and how much each site costs in accuracy. */
import { intAttribute, type Graph } from '../../../graph/graph';
import { narrowedRange, type RangeMethod } from '../../calibration';
import type { Evidence, Range } from '../../pass';
import type { Arrangement } from './arrangement';

export interface RangeRequest {
  readonly method: 'minmax' | RangeMethod;
  readonly percentile: number;
}

/** Samples that a search for a range looks at, and how many values are held in memory at once. */
const SAMPLES = 16;
const VALUES_AT_ONCE = 8;

export async function measureRanges(
  graph: Graph,
  values: readonly string[],
  { method, percentile }: RangeRequest,
  evidence: Evidence,
): Promise<Record<string, Range>> {
  const ranges = new Map(await evidence.ranges(values, graph));
  if (method === 'minmax') return Object.fromEntries(ranges);
  const narrowed = values.filter((value) => graph.producer(value)?.op !== 'Softmax');
  for (let i = 0; i < narrowed.length; i += VALUES_AT_ONCE) {
    const some = narrowed.slice(i, i + VALUES_AT_ONCE);
    evidence.progress(some[0]!);
    for (const [value, activations] of await evidence.activations(some, SAMPLES, graph))
      ranges.set(value, narrowedRange(ranges.get(value)!, activations, method, percentile));
  }
  return Object.fromEntries(ranges);
}

/** Means of the input channels of layers whose biases can be corrected; a value without channels is left out. */
export async function measureMeans(
  { graph, arrangement }: { readonly graph: Graph; readonly arrangement: Arrangement },
  evidence: Evidence,
): Promise<Record<string, readonly number[]>> {
  const layers = arrangement.layers.filter(({ kind }) => kind !== 'matmul');
  const moments = await evidence.moments([...new Set(layers.map((l) => l.activation))], graph);
  return Object.fromEntries(
    layers.flatMap(({ activation, kind, node, weight }) => {
      const mean = moments.get(activation)?.mean;
      const channels =
        kind === 'conv'
          ? weight.tensor.dims[1]! * intAttribute(graph.node(node)!, 'group', 1)
          : weight.tensor.dims[intAttribute(graph.node(node)!, 'transB', 0)];
      return mean && mean.length === channels
        ? [[activation, Array.from(mean, shortened)] as const]
        : [];
    }),
  );
}

/** Short in a recipe's decisions. */
const shortened = (number: number): number => Number(number.toPrecision(5));

/** Limits on what measurement may leave float beside what the form's rules do. */
export interface Exclusion {
  /** So many of the most sensitive sites. */
  readonly count: number;
  /** Deviation of the outputs, Σ(a − b)² / Σa², above which sites are left float, the most sensitive first. */
  readonly maxDeviation: number | undefined;
}

/**
 * The sites to leave float: measured by how much nearer the outputs come when one site alone is left float.
 * @param quantisedBut the graph with all but some sites quantised
 */
export async function mostSensitive(
  sites: readonly string[],
  { count, maxDeviation }: Exclusion,
  quantisedBut: (float: readonly string[]) => Graph,
  evidence: Evidence,
): Promise<string[]> {
  if (count === 0 && maxDeviation === undefined) return [];
  const candidates = [quantisedBut([]), ...sites.map((site) => quantisedBut([site]))];
  const [all, ...without] = await evidence.deviations(candidates);
  const order = sites
    .map((site, i) => ({ site, deviation: without[i]! }))
    .sort((a, b) => a.deviation - b.deviation)
    .map(({ site }) => site);
  if (maxDeviation === undefined) return order.slice(0, count);
  return fewestWithin(order, count, maxDeviation, all!, quantisedBut, evidence);
}

/** More sites left float never deviate more, so that halving finds how many are needed. */
async function fewestWithin(
  order: readonly string[],
  count: number,
  maxDeviation: number,
  all: number,
  quantisedBut: (float: readonly string[]) => Graph,
  evidence: Evidence,
): Promise<string[]> {
  if (count === 0 && all <= maxDeviation) return [];
  let [low, high] = [count, order.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [deviation] = await evidence.deviations([quantisedBut(order.slice(0, middle))]);
    if (deviation! <= maxDeviation) high = middle;
    else low = middle + 1;
  }
  return order.slice(0, low);
}
