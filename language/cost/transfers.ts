/** Values that cross from one target to another. */
import type { TargetEstimate } from './cost';
import type { PlacedKernel } from './estimate';
import type { Flows } from './flow';
import type { TargetProfile } from './profile';

/**
 * Each value crosses once to each target that needs it, over the slower of the two links. Inputs and outputs of the
 * graph live on the target being estimated. A value of unknown size costs its fixed time only.
 */
export function transfersBetween(
  { flows, inputs, outputs }: Flows<PlacedKernel>,
  target: TargetProfile,
  bytesOn: (value: number, profile: TargetProfile) => number | undefined,
): TargetEstimate['transfers'] {
  const arrived = new Map<TargetProfile, Set<number>>();
  const total = { count: 0, bytes: 0, latencyMs: 0 };
  if (flows.every(({ kernel }) => kernel.profile === target)) return total;
  const home = new Map(inputs.map((value) => [value, target]));
  const bring = (value: number, to: TargetProfile): void => {
    const from = home.get(value);
    if (!from || from === to) return;
    let here = arrived.get(to);
    if (!here) arrived.set(to, (here = new Set<number>()));
    if (here.has(value)) return;
    here.add(value);
    const bytes = bytesOn(value, from) ?? 0;
    const gbPerS = Math.min(from.link.gbPerS, to.link.gbPerS);
    total.count++;
    total.bytes += bytes;
    total.latencyMs += bytes / (gbPerS * 1e6) + Math.max(from.link.fixedUs, to.link.fixedUs) / 1e3;
  };
  for (const { kernel, writes } of flows)
    for (const value of writes) home.set(value, kernel.profile);
  for (const { kernel, reads } of flows) for (const value of reads) bring(value, kernel.profile);
  for (const value of outputs) bring(value, target);
  return total;
}
