/** What every target model answers for a layer, and how answers for the parts of a layer add up. */
import type { Bound, LayerCost } from './cost';
import type { Workload } from './workload';

/** What a target model is asked about. */
export interface Layer {
  readonly op: string;
  readonly workload: Workload;
}

/** A term of a layer's latency, with what it means for the layer to be bound by it. */
export interface Phase {
  readonly name: string;
  readonly ms: number;
  readonly bound: Bound;
}

/** The cost of a layer, whichever node it belongs to. */
export interface Cost extends Pick<
  LayerCost,
  | 'energyMj'
  | 'energyPartsMj'
  | 'mapping'
  | 'unsupported'
  | 'cycles'
  | 'sramAccesses'
  | 'crossbars'
  | 'tiles'
> {
  readonly phases: readonly Phase[];
  /** Multiply-accumulates per ms at best, for the utilisation; undefined without arithmetic. */
  readonly peakMacsPerMs?: number;
  readonly estimated?: boolean;
}

export const phase = (name: string, ms: number, bound: Bound): Phase => ({ name, ms, bound });

/** Phases that run side by side: the longest hides the others. */
export const longest = (...phases: readonly Phase[]): Phase =>
  phases.reduce((a, b) => (b.ms > a.ms ? b : a));

export const totalMs = (phases: readonly Phase[]): number =>
  phases.reduce((sum, { ms }) => sum + ms, 0);

/** The layer's numbers: latency, what bounds it, and its share of the peak rate. */
export function concluded(
  cost: Cost,
  macs: number,
): Pick<LayerCost, 'latencyMs' | 'bound' | 'utilisation' | 'terms'> {
  const latencyMs = totalMs(cost.phases);
  const terms = cost.phases.filter(({ ms }) => ms > 0).map(({ name, ms }) => ({ name, ms }));
  const utilisation =
    macs > 0 && cost.peakMacsPerMs && latencyMs > 0
      ? Math.min(1, macs / (latencyMs * cost.peakMacsPerMs))
      : null;
  const bound = cost.phases.length > 0 ? longest(...cost.phases).bound : 'free';
  return { latencyMs, bound, utilisation, terms };
}

export interface CostedPart {
  readonly times: number;
  readonly cost: Cost;
}

/**
 * Parts one after another. Phases of the same name are added; each launch of a part counts where the parts are launched
 * one by one (the body of a loop), and once in all where they are one kernel (attention, a recurrent cell).
 */
export function combined(parts: readonly CostedPart[], launchedSeparately: boolean): Cost {
  const phases = new Map<string, Phase>();
  for (const { times, cost } of parts)
    for (const { name, ms, bound } of cost.phases) {
      const before = phases.get(name)?.ms ?? 0;
      const once = bound === 'overhead' && !launchedSeparately;
      phases.set(name, phase(name, once ? Math.max(before, ms) : before + times * ms, bound));
    }
  const sum = (of: (cost: Cost) => number | undefined) =>
    parts.reduce((total, { times, cost }) => total + times * (of(cost) ?? 0), 0);
  const most = (of: (cost: Cost) => number | undefined) =>
    parts.reduce((total, { cost }) => total + (of(cost) ?? 0), 0);
  const has = (key: keyof Cost) => parts.some(({ cost }) => cost[key] !== undefined);
  const energyUnknown = parts.some(({ cost }) => cost.energyMj === null);
  const peak = Math.max(0, ...parts.map(({ cost }) => cost.peakMacsPerMs ?? 0));
  return {
    phases: [...phases.values()],
    energyMj: energyUnknown ? null : sum(({ energyMj }) => energyMj ?? 0),
    ...(peak > 0 && { peakMacsPerMs: peak }),
    ...(has('cycles') && { cycles: sum(({ cycles }) => cycles) }),
    ...(has('sramAccesses') && {
      sramAccesses: {
        ifmap: sum(({ sramAccesses }) => sramAccesses?.ifmap),
        filter: sum(({ sramAccesses }) => sramAccesses?.filter),
        ofmap: sum(({ sramAccesses }) => sramAccesses?.ofmap),
      },
    }),
    // Crossbars stay programmed however often a part runs.
    ...(has('crossbars') && { crossbars: most(({ crossbars }) => crossbars) }),
    ...(has('tiles') && { tiles: most(({ tiles }) => tiles) }),
    ...(has('energyPartsMj') && {
      energyPartsMj: summedParts(
        parts.map(({ times, cost }) => ({ times, parts: cost.energyPartsMj })),
      ),
    }),
    ...(parts.some(({ cost }) => cost.estimated) && { estimated: true }),
  };
}

/** Energies by component of several costs, each counted so many times. */
export function summedParts(
  costs: readonly { readonly times: number; readonly parts: LayerCost['energyPartsMj'] }[],
): Record<string, number> {
  const total: Record<string, number> = {};
  for (const { times, parts } of costs)
    for (const name in parts) total[name] = (total[name] ?? 0) + times * parts[name]!;
  return total;
}
