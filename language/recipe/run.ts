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
  /** It broke what has to hold, and was left out. */
  readonly rolledBack: RolledBack | undefined;
}

/** Why a step was left out after it had run. */
export interface RolledBack {
  readonly reason: string;
  /** A layer that is wrong already when the step changes it alone. */
  readonly node?: string;
}

/** Says what a step broke. @throws WhittleError where the recipe does not ask for it to be rolled back */
export type StepCheck = (
  before: Situation,
  outcome: Outcome,
  position: number,
) => Promise<RolledBack | undefined>;

/** Says whether a step pays. */
export type Guard = (
  before: Situation,
  outcome: Outcome,
  position: number,
) => Promise<GuardReport | undefined>;

const nothing = () => Promise.resolve(undefined);

export interface Watch {
  readonly check?: StepCheck | undefined;
  readonly guard?: Guard | undefined;
}

/** Plans and runs every step. What is rolled back, or what the guard drops, is as if it had not run. */
export async function runSteps(
  base: Base,
  steps: readonly Step[],
  plan: (prepared: Prepared, position: number) => Promise<unknown>,
  signal: AbortSignal,
  { check = nothing, guard = nothing }: Watch = {},
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
    const rolledBack = await check(now, outcome, position);
    const verdict = rolledBack ? undefined : await guard(now, outcome, position);
    if (!rolledBack && !verdict?.dropped) outcomes.push(outcome);
    attempts.push({ before: now, outcome, guard: verdict, rolledBack });
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
  /** What an earlier preview of the same model came to at this step, whatever was different then. */
  earlier?(position: number): Outcome | undefined;
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
      const earlier = source.earlier?.(position)?.situation;
      outcomes.push(applyDecisions(base, prepared, decisions, estimated, earlier));
    } catch (error) {
      return { outcomes, failure: { step, error } };
    }
  }
  return { outcomes, failure: undefined };
}
