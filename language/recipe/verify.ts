/** Has ONNX Runtime load the result, looks at the kernels it runs on, compares it with the original, and times both. */
import { describeError, CancelledError, WhittleError } from '../errors';
import type { Fidelity, Measured, ResultChecks } from '../protocol';
import { runTask } from '../runtime/runtime';
import { generatedData, type Comparison, type DataRequest } from '../runtime/tasks';
import type { ApplyControl } from './apply';
import {
  beyondTolerance,
  unfusedLayers,
  type Blame,
  type Check,
  type Tolerance,
} from './postconditions';

export interface VerifyRequest {
  readonly reference: string;
  readonly candidate: string;
  readonly evaluation: DataRequest | undefined;
  readonly calibration: DataRequest | undefined;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly tolerance: Tolerance | undefined;
  /** Layers that should run on integers. */
  readonly quantised: readonly string[];
  readonly quantisedBy: (layer: string) => Blame | undefined;
  /** Finds the step after which something is wrong. */
  readonly blame: (isWrong: Check) => Promise<Blame | undefined>;
}

export interface Checks {
  /** Version of ONNX Runtime; undefined where it did not run. */
  readonly runtime: string | undefined;
  readonly fidelity: Fidelity;
  readonly measured: Measured;
  readonly checks: ResultChecks;
}

/** Enough for a steady median of small models; large ones run a few times in any case. */
const MEASURE_MS = 600;

/**
 * What the original cannot do is said of both and failed on neither.
 * @throws WhittleError naming step and layer when ONNX Runtime loads the original and not the result, and when outputs are
 *   beyond the declared tolerance
 */
export async function verify(request: VerifyRequest, control: ApplyControl): Promise<Checks> {
  const { reference, candidate } = request;
  const options = { signal: control.signal, entry: control.runtimeEntry };
  control.onProgress('check', 'loading the result', 0);
  let runtime: string | undefined;
  const unloadable = await failure(async () => {
    ({ version: runtime } = await runTask({ kind: 'load', model: reference }, options));
  });
  if (unloadable) return unavailable(`ONNX Runtime does not run the original: ${unloadable}`);
  const loads = loading(control);
  const broken = await loads(candidate);
  if (broken)
    throw refusal(`ONNX Runtime refuses the result: ${broken}`, await request.blame(loads));
  const checks = await kernelChecks(request, control);
  requireIntegers(request, checks);
  const fidelity = await compare(request, control);
  await requireTolerance(request, fidelity, control);
  return { runtime, checks, fidelity, measured: await measure(request, control) };
}

/** Whether ONNX Runtime loads a model. */
export const loading =
  ({ signal, runtimeEntry }: ApplyControl): Check =>
  (model) =>
    failure(() => runTask({ kind: 'load', model }, { signal, entry: runtimeEntry }));

export function refusal(what: string, found: Blame | undefined): WhittleError {
  if (!found) return new WhittleError(what, { hint: 'Nothing was written' });
  const { step, pass, node } = found;
  return new WhittleError(what, {
    where: `step ${step}, ${pass}${node === undefined ? '' : `, layer ${node}`}`,
    hint: `Nothing was written. ${node === undefined ? 'Leave the step out' : `Leave the layer out: except: "${node}"`}`,
  });
}

export async function kernelChecks(
  { candidate, quantised }: Pick<VerifyRequest, 'candidate' | 'quantised'>,
  { signal, runtimeEntry }: ApplyControl,
): Promise<ResultChecks> {
  let checks: ResultChecks = { loads: true, kernels: {}, unfused: [] };
  // What ONNX Runtime loads and cannot write down again is no fault of the result.
  await failure(async () => {
    const { kernels, executed } = await runTask(
      { kind: 'kernels', model: candidate },
      { signal, entry: runtimeEntry },
    );
    const unfused = unfusedLayers(quantised, executed);
    checks = { loads: true, kernels: Object.fromEntries(kernels), unfused };
  });
  return checks;
}

function requireIntegers(
  { tolerance, quantisedBy }: VerifyRequest,
  { unfused }: ResultChecks,
): void {
  const wrong = tooManyUnfused(tolerance, unfused);
  if (wrong !== undefined) throw refusal(wrong, quantisedBy(unfused[0]!.node));
}

export function tooManyUnfused(
  tolerance: Tolerance | undefined,
  unfused: ResultChecks['unfused'],
): string | undefined {
  const [first] = unfused;
  if (!first || tolerance?.unfused === undefined || unfused.length <= tolerance.unfused)
    return undefined;
  const { node, kernel } = first;
  return `ONNX Runtime computes ${unfused.length} of the quantised layers in floating point, ${tolerance.unfused} are tolerated: ${node} runs as ${kernel}`;
}

async function requireTolerance(
  request: VerifyRequest,
  fidelity: Fidelity,
  control: ApplyControl,
): Promise<void> {
  const { tolerance } = request;
  const wrong = tolerance && beyond(tolerance, fidelity);
  if (wrong === undefined) return;
  const blame = await request.blame((candidate) =>
    compareOutputs({ ...request, candidate }, control),
  );
  throw refusal(wrong, blame);
}

/** What of the declared tolerance a model breaks. */
export async function compareOutputs(
  request: Compared & Pick<VerifyRequest, 'tolerance'>,
  control: ApplyControl,
): Promise<string | undefined> {
  const { tolerance } = request;
  return tolerance && beyond(tolerance, await compare(request, control));
}

function beyond(tolerance: Tolerance, { unavailable, outputs }: Fidelity): string | undefined {
  const wrong = unavailable ?? beyondTolerance(tolerance, outputs);
  return wrong === undefined ? undefined : `the result is beyond its tolerance: ${wrong}`;
}

/** The message of what went wrong, or undefined. */
async function failure(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    return describeError(error);
  }
}

const unavailable = (reason: string): Checks => ({
  runtime: undefined,
  fidelity: { data: '', samples: 0, outputs: [], unavailable: reason },
  measured: { beforeMs: null, afterMs: null, conditions: '', verdict: '', unavailable: reason },
  checks: { loads: null, kernels: {}, unfused: [] },
});

type Compared = Pick<
  VerifyRequest,
  'reference' | 'candidate' | 'evaluation' | 'calibration' | 'sizes'
>;

async function compare(
  { reference, candidate, evaluation, calibration, sizes }: Compared,
  control: ApplyControl,
): Promise<Fidelity> {
  const data = evaluation ?? calibration ?? generatedData();
  let comparison: Comparison | undefined;
  const reason = await failure(async () => {
    comparison = await runTask(
      { kind: 'compare', reference, candidate, data, shapes: sizes },
      {
        signal: control.signal,
        entry: control.runtimeEntry,
        onProgress: ({ stage, done, total }) =>
          control.onProgress(
            'check',
            `${stage} ${done} of ${total}`,
            (0.7 * done) / Math.max(1, total),
          ),
      },
    );
  });
  if (!comparison) return { data: '', samples: 0, outputs: [], unavailable: reason ?? '' };
  const { outputs, metric, samples } = comparison;
  return {
    data: comparison.data,
    samples,
    outputs: outputs.map(({ name, sqnrDb, cosine, maxAbs }) => ({ name, sqnrDb, cosine, maxAbs })),
    ...(metric && {
      metric: {
        id: metric.id,
        before: metric.reference.value,
        after: metric.candidate.value,
        samples,
      },
      drop: metric.drop,
    }),
  };
}

async function measure(
  { reference, candidate, sizes }: VerifyRequest,
  control: ApplyControl,
): Promise<Measured> {
  control.onProgress('measure', 'timing both models', 0.7);
  let measured: Measured | undefined;
  const reason = await failure(async () => {
    const { models, conditions } = await runTask(
      { kind: 'measure', models: [reference, candidate], shapes: sizes, budgetMs: MEASURE_MS },
      { signal: control.signal, entry: control.runtimeEntry },
    );
    const [before, after] = models as [(typeof models)[number], (typeof models)[number]];
    const verdict = verdictOn(before, after);
    measured = { beforeMs: before.medianMs, afterMs: after.medianMs, conditions, verdict };
  });
  return (
    measured ?? {
      beforeMs: null,
      afterMs: null,
      conditions: '',
      verdict: '',
      unavailable: reason ?? '',
    }
  );
}

interface Timed {
  readonly medianMs: number;
  readonly spreadMs: number;
}

/** Faster or slower only where the difference stands out from the spread of the runs. */
function verdictOn(before: Timed, after: Timed): string {
  const ratio = before.medianMs / after.medianMs;
  const spread = (before.spreadMs + after.spreadMs) / 2;
  if (Math.abs(before.medianMs - after.medianMs) <= spread)
    return 'no measurable difference on this machine';
  return ratio > 1
    ? `${ratio.toFixed(2)}× as fast as the original on this machine`
    : `slower than the original on this machine: it takes ${(1 / ratio).toFixed(2)}× the time`;
}
