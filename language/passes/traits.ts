/** Targets, as passes that are about them ask for them. */
import { WhittleError } from '../errors';
import type { StepRequest, TargetTraits } from './pass';

/** @throws WhittleError for a target that cannot be found, or where nobody knows of targets */
export function traitsOf({ traits }: StepRequest<unknown>, target: string): TargetTraits {
  if (!traits) throw new WhittleError(`what ${target} runs is not known here`);
  return traits(target);
}
