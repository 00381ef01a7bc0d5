/** The guard of a recipe: does a step gain what is asked of it? */
import { estimate } from '../cost/estimate';
import type { Situation } from '../passes/pass';
import type { GuardReport } from '../protocol';
import { DEFAULT_TARGET, targetProfile } from './bundled';
import { gatherEvidence } from './evidence';
import { generatedData } from '../runtime/tasks';
import { MEASURED, type Recipe } from './recipe';
import type { Guard } from './run';

export interface GuardOptions {
  /** By position: what an earlier run found, to repeat it. */
  readonly dropped: readonly boolean[] | undefined;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal;
  readonly runtimeEntry?: string | undefined;
}

export const THIS_MACHINE = 'this machine';

/** @param folder of the recipe, from which paths of profiles start */
export function guardOf(
  { guard, budget, targets }: Recipe,
  folder: string,
  options: GuardOptions,
): Guard | undefined {
  if (!guard) return undefined;
  const { minGain, drop } = guard;
  const chosen = guard.on ?? budget?.latency?.target ?? targets[0] ?? DEFAULT_TARGET;
  const isMeasured = chosen === MEASURED;
  const about = {
    minGain,
    kind: isMeasured ? 'measured' : 'modelled',
    on: isMeasured ? THIS_MACHINE : chosen,
  } as const;
  return async (before, { situation }, position): Promise<GuardReport> => {
    const repeated = options.dropped?.[position];
    if (repeated !== undefined) return { ...about, gain: null, pays: !repeated, dropped: repeated };
    const [old, fresh] = isMeasured
      ? await measured(before, situation, options)
      : modelled(before, situation, chosen, folder);
    const gain = old > 0 ? 1 - fresh / old : null;
    const pays = gain !== null && gain >= minGain;
    return { ...about, gain, pays, dropped: drop && !pays };
  };
}

type Latencies = readonly [before: number, after: number];

function modelled(before: Situation, after: Situation, target: string, folder: string): Latencies {
  const profile = targetProfile(target, folder);
  const resolve = (id: string) => targetProfile(id, folder);
  const of = ({ graph, facts }: Situation) =>
    estimate(graph, facts, profile, { resolve }).total.latencyMs;
  return [of(before), of(after)];
}

async function measured(
  before: Situation,
  after: Situation,
  { sizes, signal, runtimeEntry }: GuardOptions,
): Promise<Latencies> {
  const evidence = gatherEvidence(before, {
    data: generatedData(),
    sizes,
    signal,
    runtimeEntry,
    onProgress: () => undefined,
  });
  const [old, fresh] = await evidence.latencies([before.graph, after.graph]);
  return [old!, fresh!];
}
