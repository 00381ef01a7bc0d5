/**
 * A job in a process of its own: applying a recipe, planning one for a preview, measuring. The server stays quick
 * meanwhile, and a job that is cancelled, or whose server is gone, takes its temporary files with it.
 */
import { CancelledError, describeError } from './errors';
import type { About, JobAnswer, JobRequest } from './server/jobs';
import { nodeActivations } from './recipe/activations';
import { applyRecipe } from './recipe/apply';
import { targetInfo, vocabulary } from './recipe/bundled';
import { calibrateDevice, calibrateThisMachine } from './recipe/calibrating';
import { gatherEvidence } from './recipe/evidence';
import { bindModel, inputSizes, openModel } from './recipe/opened';
import { needsCalibration, parseRecipe, requireRecipe, type Recipe } from './recipe/recipe';
import { runSteps } from './recipe/run';
import { stepSensitivity } from './recipe/sensitivity';
import { generatedData } from './runtime/tasks';

const stop = new AbortController();
process.once('disconnect', () => stop.abort());
process.on('message', (message: JobRequest | 'cancel') => {
  if (message === 'cancel') stop.abort();
  else void perform(message).then(answer);
});

function answer(message: JobAnswer): void {
  if (!process.connected) process.exit(0);
  process.send!(message, () => process.exit(0));
}

const tell = (phase: string, detail: string, fraction: number): void => {
  process.send?.({ kind: 'progress', phase, detail, fraction } satisfies JobAnswer);
};

async function perform(request: JobRequest): Promise<JobAnswer> {
  try {
    switch (request.kind) {
      case 'apply':
        return await apply(request);
      case 'sensitivity':
        return await analyse(request);
      case 'activations':
        return await activations(request);
      case 'plan':
        return await plan(request);
      case 'calibrate':
        return await calibrateTarget(request);
    }
  } catch (error) {
    if (error instanceof CancelledError) return { kind: 'cancelled' };
    return { kind: 'failure', message: describeError(error) };
  }
}

const recipeOf = ({ recipeText, folder, recipeFile }: About): Recipe =>
  requireRecipe(parseRecipe(recipeText, vocabulary(folder)), recipeFile ?? 'the recipe');

async function apply(request: Extract<JobRequest, { kind: 'apply' }>): Promise<JobAnswer> {
  const { calibration } = request;
  const own = recipeOf(request);
  const recipe = calibration ? { ...own, calibration: { dataset: calibration } } : own;
  const { output, report } = await applyRecipe(
    { ...request, recipe, shapes: {} },
    {
      signal: stop.signal,
      onProgress: tell,
    },
  );
  return { kind: 'applied', output, report };
}

async function analyse(request: Extract<JobRequest, { kind: 'sensitivity' }>): Promise<JobAnswer> {
  const sensitivity = await stepSensitivity(
    { ...request, recipe: recipeOf(request), shapes: {} },
    {
      signal: stop.signal,
      onProgress: (detail, fraction) => tell('sensitivity', detail, fraction),
    },
  );
  return { kind: 'analysed', sensitivity };
}

async function activations(
  request: Extract<JobRequest, { kind: 'activations' }>,
): Promise<JobAnswer> {
  const found = await nodeActivations(
    { ...request, recipe: recipeOf(request) },
    {
      signal: stop.signal,
      onProgress: (detail, fraction) => tell('activations', detail, fraction),
    },
  );
  return { kind: 'captured', activations: found };
}

/** Plans the steps from the first on for which weights are enough; the rest waits for apply. */
async function plan(request: Extract<JobRequest, { kind: 'plan' }>): Promise<JobAnswer> {
  const recipe = recipeOf(request);
  const base = bindModel(openModel(request.model), recipe.shapes);
  const firstUnplanned = recipe.steps.findIndex((step) => step.enabled && needsCalibration(step));
  const steps = firstUnplanned < 0 ? recipe.steps : recipe.steps.slice(0, firstUnplanned);
  const { decisions } = await runSteps(
    base,
    steps,
    ({ step, request: situation }) =>
      step.pass.plan(
        situation,
        gatherEvidence(situation, {
          data: generatedData(),
          sizes: inputSizes(base),
          signal: stop.signal,
          onProgress: () => undefined,
        }),
      ),
    stop.signal,
  );
  return { kind: 'planned', decisions };
}

async function calibrateTarget({
  device,
}: Extract<JobRequest, { kind: 'calibrate' }>): Promise<JobAnswer> {
  if (!device) {
    const { profile, file } = await calibrateThisMachine({
      signal: stop.signal,
      onProgress: (detail, fraction) => tell('measuring', detail, fraction),
    });
    return { kind: 'calibrated', target: targetInfo(profile), file };
  }
  const { profile } = calibrateDevice({ ...device, shapes: {} });
  const target = targetInfo({ ...profile, id: device.output });
  return { kind: 'calibrated', target, file: device.output };
}
