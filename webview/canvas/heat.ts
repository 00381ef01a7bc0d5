/** Shares as steps of the heat palette. */
import type { Change, Metric, NodeCost, ViewNode } from '../../language/protocol';
import type { Unit } from '../format';

/** Steps of the palette, `--heat-0` to `--heat-6`. */
export const HEAT_STEPS = 7;

/** A step of the palette, or null where the share is unknown. */
export type Heat = number | null;

/** Where a part of the largest stands in the palette, evenly. */
export function heat(value: number | null, largest: number): Heat {
  if (value === null) return null;
  if (largest <= 0) return 0;
  const step = Math.floor((value / largest) * HEAT_STEPS);
  return Math.min(HEAT_STEPS - 1, Math.max(0, step));
}

/** The largest share among what can be told apart: an open block only frames its parts. */
export function largestShare(nodes: readonly ViewNode[], metric: Metric): number {
  let largest = 0;
  for (const node of nodes)
    if (!node.open) largest = Math.max(largest, node.cost.share[metric] ?? 0);
  return largest;
}

export function heatColour(step: Heat): string {
  return step === null ? 'var(--heat-unknown)' : `var(--heat-${step})`;
}

export function heatInk(step: Heat): string {
  return step === null ? 'var(--ink)' : `var(--heat-ink-${step})`;
}

const COSTS: Readonly<Record<Metric, { of: (cost: NodeCost) => Change; unit: Unit }>> = {
  latency: { of: (cost) => cost.latencyMs, unit: 'time' },
  energy: { of: (cost) => cost.energyMj, unit: 'energy' },
  macs: { of: (cost) => cost.macs, unit: 'macs' },
  parameters: { of: (cost) => cost.parameters, unit: 'count' },
  activations: { of: (cost) => cost.activationBytes, unit: 'bytes' },
};

export function metricOf(cost: NodeCost, metric: Metric): { change: Change; unit: Unit } {
  const { of, unit } = COSTS[metric];
  return { change: of(cost), unit };
}
