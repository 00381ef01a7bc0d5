/** Noise schedules of diffusion models. */
import type { Schedule } from './description';

/**
 * ᾱ of each step: how much of the clean signal's power is left. Linear betas are those of Ho et al. 2020 (DDPM), the cosine
 * is Nichol & Dhariwal 2021, eq. 17, with their bound on beta of 0.999.
 */
export function cleanShares(schedule: Schedule): Float64Array {
  if ('values' in schedule) return Float64Array.from(schedule.values);
  const { steps } = schedule;
  const beta =
    'linear' in schedule ? linearBeta(schedule.linear, steps) : cosineBeta(schedule.cosine, steps);
  const shares = new Float64Array(steps);
  let share = 1;
  for (let t = 0; t < steps; t++) shares[t] = share *= 1 - beta(t);
  return shares;
}

const linearBeta =
  ([first, last]: readonly [number, number], steps: number) =>
  (t: number): number =>
    first + ((last - first) * t) / Math.max(1, steps - 1);

function cosineBeta(offset: number, steps: number): (t: number) => number {
  const f = (t: number) => Math.cos((((t / steps + offset) / (1 + offset)) * Math.PI) / 2) ** 2;
  return (t) => Math.min(0.999, 1 - f(t + 1) / f(t));
}
