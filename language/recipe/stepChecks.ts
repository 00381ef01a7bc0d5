/**
 * What has to hold after each step before the next one starts: ONNX Runtime loads the model. Where the recipe asks for steps to
 * be rolled back, its kernels and outputs are checked then too, else once at the end: what is beyond the tolerance there is
 * traced back to the first step after which it is (`blameStep`).
 */
import { statSync } from 'node:fs';
import { Graph } from '../graph/graph';
import { readModelFile } from '../onnx/read';
import { blameLayer, checkGraphFile } from './postconditions';
import type { PlanningOptions } from './planning';
import type { RolledBack, StepCheck } from './run';
import {
  kernelChecks,
  compareOutputs,
  loading,
  refusal,
  tooManyUnfused,
  type VerifyRequest,
} from './verify';
import type { ApplyControl } from './apply';

export interface StepCheckOptions extends Pick<
  VerifyRequest,
  'reference' | 'evaluation' | 'calibration' | 'sizes' | 'tolerance'
> {
  readonly planning: PlanningOptions;
  /** Layers of a model that should run on integers. */
  readonly quantised: (model: Graph) => readonly string[];
  readonly steps: number;
  /** By position: what an earlier run rolled back, to repeat it. */
  readonly repeated: readonly (RolledBack | undefined)[] | undefined;
}

/** Larger models are loaded at the end alone: writing one takes longer than most steps. */
const MOST_BYTES = 2 ** 29;

/** @returns undefined where there is nothing to check */
export function stepChecks(
  options: StepCheckOptions,
  control: ApplyControl,
): StepCheck | undefined {
  const { repeated, reference, tolerance, steps } = options;
  if (repeated) return (_, __, position) => Promise.resolve(repeated[position]);
  const rollsBack = tolerance?.rollback ?? false;
  if (!rollsBack && (steps < 2 || sizeOnDisk(reference) > MOST_BYTES)) return undefined;
  let original: Promise<string | undefined> | undefined;
  return async (before, outcome, position) => {
    // The last one is checked with the result.
    if (!rollsBack && position === steps - 1) return undefined;
    const { step, situation } = outcome;
    control.onProgress('check', `loading the model after ${step.pass.id}`, 0);
    const loads = loading(control);
    if ((await (original ??= loads(reference))) !== undefined) return undefined;
    const isWrong = rollsBack ? wrongWith : loads;
    const reason = await checkGraphFile(situation.graph, isWrong);
    if (reason === undefined) return undefined;
    const node = await blameLayer(outcome, before, isWrong, options.planning);
    if (rollsBack) return { reason, ...(node !== undefined && { node }) };
    const blame = { step: step.index + 1, pass: step.pass.id, node };
    throw refusal(`ONNX Runtime refuses the result: ${reason}`, blame);
  };

  async function wrongWith(candidate: string): Promise<string | undefined> {
    const unloadable = await loading(control)(candidate);
    if (unloadable !== undefined) return `ONNX Runtime refuses the result: ${unloadable}`;
    const request = { ...options, candidate };
    return (await unfusedIn(candidate)) ?? (await compareOutputs(request, control));
  }

  async function unfusedIn(candidate: string): Promise<string | undefined> {
    if (tolerance?.unfused === undefined) return undefined;
    const quantised = options.quantised(Graph.of(readModelFile(candidate)));
    const { unfused } = await kernelChecks({ candidate, quantised }, control);
    return tooManyUnfused(tolerance, unfused);
  }
}

const sizeOnDisk = (model: string): number =>
  statSync(model).size + (statSync(`${model}.data`, { throwIfNoEntry: false })?.size ?? 0);
