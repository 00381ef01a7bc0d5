/** Runs the steps of a recipe, one after the other. */
import { throwIfCancelled } from '../errors';
import { enabledSteps } from './decisions';
import type { Step } from './recipe';
import { applyDecisions, prepareStep, type Base, type Outcome, type Prepared } from './steps';

export interface Run {
  readonly outcomes: readonly Outcome[];
  /** Of the steps that ran, in order. */
  readonly decisions: readonly unknown[];
}

/** Decides every step by planning it, or as `given` says. */
export async function runSteps(
  base: Base,
  steps: readonly Step[],
  plan: (prepared: Prepared, position: number) => Promise<unknown>,
  signal: AbortSignal,
): Promise<Run> {
  const outcomes: Outcome[] = [];
  const decisions: unknown[] = [];
  for (const [position, step] of enabledSteps(steps).entries()) {
    throwIfCancelled(signal);
    const now = outcomes.at(-1)?.situation ?? base;
    const prepared = prepareStep(base, now, step);
    const decided = await plan(prepared, position);
    outcomes.push(applyDecisions(base, prepared, decided, false));
    decisions.push(decided);
  }
  return { outcomes, decisions };
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
