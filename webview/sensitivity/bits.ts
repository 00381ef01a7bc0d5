/** Passes whose parameter `bits` says how finely they round: a fragile layer can have more. */
import type { PassInfo, StepSummary } from '../../language/protocol';

/** The next finer choice of a step; null where its pass has none, or the step is at the finest. */
export function moreBits(pass: PassInfo | undefined, step: StepSummary): number | null {
  const now = step.parameters.bits;
  if (typeof now !== 'number') return null;
  const finer = bitsOf(pass).filter((bits) => bits > now);
  return finer.length > 0 ? Math.min(...finer) : null;
}

/** What the pass can round to, in ascending order; nothing where it has no choice. */
export function bitsOf(pass: PassInfo | undefined): number[] {
  const choices = pass?.parameters.properties.bits?.enum ?? [];
  return choices.filter((bits) => typeof bits === 'number').sort((a, b) => a - b);
}

/** The bits that another step of the same pass gives a layer that this one leaves out. */
export function bitsElsewhere(
  steps: readonly StepSummary[],
  index: number,
  layer: string,
): number | null {
  const own = steps[index];
  const other = steps.find(
    (step, place) =>
      place !== index && step.enabled && step.pass === own?.pass && step.at?.includes(layer),
  );
  return typeof other?.parameters.bits === 'number' ? other.parameters.bits : null;
}
