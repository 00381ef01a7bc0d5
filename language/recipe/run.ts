/** Runs the steps of a recipe, one after the other. */
import { throwIfCancelled } from '../errors';
import { checkGraph } from '../graph/check';
import { enabledSteps } from './decisions';
import { requireValid } from './postconditions';
import type { Step } from './recipe';
import type { Situation } from '../passes/pass';
import type { GuardReport } from '../protocol';
import { applyDecisions, prepareStep, type Base, type Outcome, type Prepared } from './steps';

export interface Run {
  /** Of the steps that were kept. */
  readonly outcomes: readonly Outcome[];
  /** Every step that ran, in order. */
  readonly attempts: readonly Attempt[];
  readonly decisions: readonly unknown[];
}

/** A step that ran, and whether it was kept. */
export interface Attempt {
  readonly before: Situation;
  readonly outcome: Outcome;
  /** Undefined: nobody asked. */
  readonly guard: GuardReport | undefined;
}

/** Says whether a step pays. */
export type Guard = (
  before: Situation,
  outcome: Outcome,
  position: number,
) => Promise<GuardReport | undefined>;

const unguarded: Guard = () => Promise.resolve(undefined);

/** Decides every step by planning it, or as `given` says. What the guard drops is as if it had not run. */
export async function runSteps(
  base: Base,
  steps: readonly Step[],
  plan: (prepared: Prepared, position: number) => Promise<unknown>,
  signal: AbortSignal,
  guard = unguarded,
): Promise<Run> {
  const known = new Set(checkGraph(base.graph));
  const outcomes: Outcome[] = [];
  const attempts: Attempt[] = [];
  const decisions: unknown[] = [];
  for (const [position, step] of enabledSteps(steps).entries()) {
    throwIfCancelled(signal);
    const now = outcomes.at(-1)?.situation ?? base;
    const prepared = prepareStep(base, now, step);
    const decided = await plan(prepared, position);
    const outcome = applyDecisions(base, prepared, decided, false);
    requireValid(outcome, known);
    const verdict = await guard(now, outcome, position);
    if (!verdict?.dropped) outcomes.push(outcome);
    attempts.push({ before: now, outcome, guard: verdict });
    decisions.push(decided);
  }
  return { outcomes, attempts, decisions };
}

export interface Preview {
  readonly outcomes: readonly Outcome[];
  /** The first step that cannot run; those after it were left out. */
  readonly failure: { readonly step: Step; readonly error: unknown } | undefined;
}

export interface PreviewSource {
  /** Decisions that were taken before; undefined where the pass has to stand in for them. */
  remembered(prepared: Prepared, position: number): { readonly decisions: unknown } | undefined;
  /** The outcome of an earlier preview, if everything up to this step is as it was. */
  known?(position: number): Outcome | undefined;
}

/** The steps on shapes alone. */
export function previewSteps(base: Base, steps: readonly Step[], source: PreviewSource): Preview {
  const outcomes: Outcome[] = [];
  for (const [position, step] of enabledSteps(steps).entries()) {
    const known = source.known?.(position);
    if (known) {
      outcomes.push({ ...known, step });
      continue;
    }
    try {
      const now = outcomes.at(-1)?.situation ?? base;
      const prepared = prepareStep(base, now, step);
      const { pass } = step;
      const remembered = source.remembered(prepared, position);
      const decisions = remembered ? remembered.decisions : pass.standIn(prepared.request);
      const estimated = !remembered && pass.needs(step.parameters).length > 0;
      outcomes.push(applyDecisions(base, prepared, decisions, estimated));
    } catch (error) {
      return { outcomes, failure: { step, error } };
    }
  }
  return { outcomes, failure: undefined };
}
