/** Which step of the recipe says in how many bits the weights of a layer are. */
import type { TargetProfile } from '../cost/profile';
import type { Situation } from '../passes/pass';
import type { Rounding } from '../protocol';
import { sideOf } from './costing';
import type { Subject } from './design';
import { codeBits } from './looks';

export interface Roundings {
  /** @param at what a step names to mean some layers; @param layers their names in the original model */
  of(at: readonly string[], layers: readonly string[]): Rounding | null;
}

export const NO_ROUNDINGS: Roundings = { of: () => null };

export function roundingsOf(
  { bound, preview, resolve }: Subject,
  target: TargetProfile,
): Roundings {
  const steps = new Map<string, number>();
  const exceptions = new Map<string, number>();
  let before: Situation = bound;
  for (const { step, sites, situation } of preview.outcomes) {
    const [was, is] = [sideOf(before, target, resolve), sideOf(situation, target, resolve)];
    const rounded = sites.filter(
      ({ node }) => codeBits(is.costs(node)?.weightType) !== codeBits(was.costs(node)?.weightType),
    );
    for (const { node } of rounded) steps.set(was.graph.node(node)?.origin ?? node, step.index);
    if (rounded.length > 0) for (const name of step.except) exceptions.set(name, step.index);
    before = situation;
  }
  return {
    of(at, layers) {
      const step = layers.map((layer) => steps.get(layer)).find((index) => index !== undefined);
      if (step !== undefined) return { step, leftOut: false };
      for (const [name, index] of exceptions)
        if (at.some((one) => name === one || name.startsWith(`${one}/`)))
          return { step: index, leftOut: true };
      return null;
    },
  };
}
