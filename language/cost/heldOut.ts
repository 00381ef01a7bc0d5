/** How well a fitted profile predicts what it was not fitted to. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { familyOf } from './confidence';
import type { Precision } from './precision';
import { FAMILIES, type Family, type MobileProfile } from './profile';
import { workloads } from './workloads';

export interface HeldOut {
  readonly name: string;
  readonly measuredMs: number;
  /** By the profile fitted to the others. */
  readonly predictedMs: number;
  /** By the profile fitted to all. */
  readonly fittedMs: number;
}

type StatedError = Extract<MobileProfile['basis'], { status: 'calibrated' }>['errors'][number];

export function errorOf(
  heldOut: readonly HeldOut[],
  of: string,
  precision?: Precision,
): StatedError {
  const errors = heldOut.map(({ predictedMs, measuredMs }) => predictedMs / measuredMs - 1);
  const sizes = errors.map(Math.abs);
  return {
    of,
    rows: heldOut.length,
    ...(precision && { precision }),
    meanError: rounded(sizes.reduce((a, b) => a + b, 0) / sizes.length),
    medianError: rounded(quantile(sizes, 0.5)),
    lowError: rounded(quantile(errors, 0.1)),
    highError: rounded(quantile(errors, 0.9)),
    rankCorrelation: rounded(
      rankCorrelation(
        heldOut.map(({ predictedMs }) => predictedMs),
        heldOut.map(({ measuredMs }) => measuredMs),
      ),
    ),
  };
}

/** On a line between the two nearest. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - below);
}

/** Spearman's; without any order on one side, none. */
function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]) =>
    values.map((value) => {
      const below = values.filter((other) => other < value).length;
      return below + (values.filter((other) => other === value).length - 1) / 2;
    });
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const along = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, value, i) => sum + (value - mean) * (q[i]! - mean), 0);
  const spread = along(x, x) * along(y, y);
  return spread > 0 ? along(x, y) / Math.sqrt(spread) : 0;
}

/** Five digits say more than any measurement does. */
export const rounded = (value: number): number => Number(value.toPrecision(5));

interface Situation {
  readonly graph: Graph;
  readonly facts: Facts;
}

/** Kinds of layers in networks. */
export function seenIn(networks: readonly Situation[]): Family[] {
  const found = new Set<Family>();
  for (const { graph, facts } of networks) {
    const work = workloads(graph, facts);
    for (const { id } of graph.order) {
      const family = familyOf(work.of(id));
      if (family) found.add(family);
    }
  }
  return FAMILIES.filter((family) => found.has(family));
}
