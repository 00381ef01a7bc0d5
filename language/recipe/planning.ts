/** Plans steps with what their recipe calibrates on. */
import { WhittleError } from '../errors';
import { withRuntime } from '../runtime/runtime';
import { generatedData, type DataRequest } from '../runtime/tasks';
import { gatherEvidence, type EvidenceOptions } from './evidence';
import { resolveFrom } from './files';
import { needsCalibration } from './recipe';
import type { DatasetReference } from './schema';
import type { Prepared } from './steps';

export interface PlanningOptions extends Omit<EvidenceOptions, 'data'> {
  readonly data: DataRequest | undefined;
}

/** @throws WhittleError when the step needs calibration data and there is none */
export async function planStep(prepared: Prepared, options: PlanningOptions): Promise<unknown> {
  requireData(prepared, options.data);
  const { step, request } = prepared;
  const { signal, runtimeEntry: entry } = options;
  return withRuntime({ signal, entry }, (run) =>
    step.pass.plan(request, gatherEvidence(request, evidenceOptions(options), run)),
  );
}

export const evidenceOptions = (options: PlanningOptions): EvidenceOptions => ({
  ...options,
  data: options.data ?? generatedData(),
});

export function requireData({ step }: Prepared, data: DataRequest | undefined): void {
  if (!needsCalibration(step) || data) return;
  throw new WhittleError(`${step.pass.id} needs calibration data`, {
    hint: 'Add `calibration: { dataset: NAME.dataset.yaml }` to the recipe, or `dataset: { source: { generated: {} } }` for made-up inputs',
  });
}

export interface DatasetChoice {
  readonly dataset: DatasetReference;
  readonly samples?: number | undefined;
}

/** A data set of a recipe as the runtime's tasks want it. */
export function dataRequest(
  chosen: DatasetChoice | undefined,
  { folder, recipeFile }: { readonly folder: string; readonly recipeFile: string | undefined },
): DataRequest | undefined {
  if (!chosen) return undefined;
  const { dataset, samples } = chosen;
  return {
    dataset:
      typeof dataset === 'string'
        ? resolveFrom(folder, dataset)
        : (dataset as DataRequest['dataset'] & object),
    folder,
    ...(samples !== undefined && { samples }),
    ...(recipeFile && { inlineIn: recipeFile }),
  };
}
