/** Starts jobs in processes of their own and passes on what they say. */
import { fork } from 'node:child_process';
import path from 'node:path';
import { CancelledError, WhittleError } from '../errors';
import type { AskedActivations } from '../recipe/activations';
import type {
  CalibrateRequest,
  DataReference,
  NodeActivations,
  Sensitivity,
  TargetInfo,
} from '../protocol';

/** A recipe over a model. */
export interface About {
  readonly recipeText: string;
  readonly recipeFile: string | undefined;
  /** Where paths of the recipe start from. */
  readonly folder: string;
  readonly model: string;
}

export type JobRequest =
  | ({
      readonly kind: 'apply';
      readonly output: string;
      readonly overwrite: boolean;
      /** In place of what the recipe names. */
      readonly calibration: DataReference | undefined;
    } & About)
  | ({ readonly kind: 'sensitivity'; readonly step: number; readonly byMetric: boolean } & About)
  | ({ readonly kind: 'activations'; readonly asked: AskedActivations } & About)
  | ({ readonly kind: 'plan' } & About)
  | ({ readonly kind: 'calibrate' } & Pick<CalibrateRequest, 'device'>);

export type JobAnswer =
  | {
      readonly kind: 'progress';
      readonly phase: string;
      readonly detail: string;
      readonly fraction: number;
    }
  | { readonly kind: 'applied'; readonly output: string; readonly report: string }
  | { readonly kind: 'analysed'; readonly sensitivity: Sensitivity }
  | { readonly kind: 'captured'; readonly activations: NodeActivations }
  | { readonly kind: 'planned'; readonly decisions: readonly unknown[] }
  | { readonly kind: 'calibrated'; readonly target: TargetInfo; readonly file: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failure'; readonly message: string };

/** Kind of a request → kind of its answer. */
interface Answers {
  apply: 'applied';
  sensitivity: 'analysed';
  activations: 'captured';
  plan: 'planned';
  calibrate: 'calibrated';
}
type Result<R extends JobRequest> = Extract<JobAnswer, { kind: Answers[R['kind']] }>;
type Told = Extract<JobAnswer, { kind: 'progress' }>;

/** A cancelled job has so long to tidy up before it is killed. */
const GRACE_MS = 2000;

/** @throws WhittleError with the reason of the failure, CancelledError once the job has stopped and tidied up */
export function runJob<R extends JobRequest>(
  request: R,
  signal: AbortSignal,
  onProgress: (progress: Told) => void = () => undefined,
): Promise<Result<R>> {
  return new Promise((resolve, reject) => {
    const child = fork(path.join(import.meta.dirname, 'job.js'), {
      execArgv: [],
      serialization: 'advanced',
    });
    const cancel = () => {
      child.send('cancel', () => undefined);
      setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
    };
    let last: JobAnswer | undefined;
    child.on('message', (answer: JobAnswer) => {
      if (answer.kind === 'progress') onProgress(answer);
      else last = answer;
    });
    child.on('error', reject);
    child.on('exit', (code, killedBy) => {
      signal.removeEventListener('abort', cancel);
      if (last && last.kind !== 'failure' && last.kind !== 'cancelled') resolve(last as Result<R>);
      else if (signal.aborted || last?.kind === 'cancelled') reject(new CancelledError());
      else if (last?.kind === 'failure') reject(new WhittleError(last.message));
      else
        reject(
          new WhittleError(`the job ended unexpectedly (${killedBy ?? `exit code ${code}`})`, {
            hint: 'Nothing was written; try again',
          }),
        );
    });
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
    child.send(request);
  });
}
