/** Which step of the recipe says in how many bits the weights of a layer are. */
import type { Situation } from '../passes/pass';
import type { Rounding } from '../protocol';
import { workOf } from './costing';
import type { Subject } from './design';
import { codeBits } from './looks';

export interface Roundings {
  /** @param at what a step names to mean some layers; @param layers their names in the original model */
  of(at: readonly string[], layers: readonly string[]): Rounding | null;
}

export const NO_ROUNDINGS: Roundings = { of: () => null };

export function roundingsOf({ bound, preview }: Subject): Roundings {
  const steps = new Map<string, number>();
  const exceptions = new Map<string, number>();
  let before: Situation = bound;
  for (const { step, sites, situation } of preview.outcomes) {
    const was = before;
    const rounded = sites.filter(
      ({ node }) => weightBits(situation, node) !== weightBits(was, node),
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

function weightBits(situation: Situation, node: string): number | undefined {
  const isThere = situation.graph.node(node) !== undefined;
  return isThere ? codeBits(workOf(situation).of(node).weightType) : undefined;
}
