/** An estimate told in other words: totals by kind of layer, and where each layer stands under the roof. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { familyOf } from './confidence';
import type { LayerCost, TargetEstimate } from './cost';
import type { PlacedKernel } from './estimate';
import type { Workload } from './workload';
import { workloads } from './workloads';

export interface FamilyTotal {
  readonly family: string;
  readonly layers: number;
  readonly latencyMs: number;
  /** Null where the profile has no energy data. */
  readonly energyMj: number | null;
  readonly macs: number;
}

/** By kind of layer, the dearest first; layers that are part of another's kernel count with it. */
export function familyTotals(graph: Graph, facts: Facts, cost: TargetEstimate): FamilyTotal[] {
  const work = workloads(graph, facts);
  const totals = new Map<string, FamilyTotal>();
  for (const { node, latencyMs, energyMj, bound } of cost.layers) {
    const workload = work.of(node);
    if (latencyMs === null || bound === 'free' || bound === 'fused') continue;
    const family = familyOf(workload) ?? workload.kind;
    const before = totals.get(family);
    totals.set(family, {
      family,
      layers: (before?.layers ?? 0) + 1,
      latencyMs: (before?.latencyMs ?? 0) + latencyMs,
      energyMj:
        energyMj === null || before?.energyMj === null ? null : (before?.energyMj ?? 0) + energyMj,
      macs: (before?.macs ?? 0) + (workload.macs ?? 0),
    });
  }
  return [...totals.values()].sort((a, b) => b.latencyMs - a.latencyMs);
}

/** A point of a roofline chart. */
export interface RooflinePoint {
  /** Arithmetic intensity: multiply-accumulates per byte that the layer reads and writes. */
  readonly macsPerByte: number;
  readonly gmacPerS: number;
  /** What the target's arithmetic achieves at best. */
  readonly peakGmacPerS: number;
}

/** By node, where the layers with products stand; others, and those of which something is not known, are left out. */
export function rooflinePoints(
  placed: readonly PlacedKernel[],
  { layers }: TargetEstimate,
): ReadonlyMap<string, RooflinePoint> {
  const costs = new Map(layers.map((layer) => [layer.node, layer]));
  const points = new Map<string, RooflinePoint>();
  for (const { main, workload } of placed) {
    const point = pointOf(workload, costs.get(main.id)!);
    if (point) points.set(main.id, point);
  }
  return points;
}

function pointOf(workload: Workload, layer: LayerCost): RooflinePoint | undefined {
  const { macs, inputBytes, outputBytes, weightReadBytes } = workload;
  const { latencyMs, utilisation } = layer;
  if (!macs || !latencyMs || !utilisation || inputBytes === null || outputBytes === null)
    return undefined;
  const gmacPerS = macs / (latencyMs * 1e6);
  const bytes = inputBytes + outputBytes + weightReadBytes;
  return {
    macsPerByte: macs / Math.max(1, bytes),
    gmacPerS,
    peakGmacPerS: gmacPerS / utilisation,
  };
}
