/**
 * The process that ONNX Runtime runs in: takes one task from its parent, answers, and ends. Started with the parent's process
 * number and a folder for temporary files. Bundled as dist/runtime.js.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { describeError, WhittleError } from '../errors';
import { perform, type Report } from './perform';
import type { HostMessage, Task } from './tasks';
import { watchParent, type Watch } from './watch';

if (isMainThread) serve({ parent: Number(process.argv[2]), scratch: process.argv[3] ?? '' });
else watchParent(workerData as Watch);

function serve(watch: Watch): void {
  new Worker(__filename, { workerData: watch });
  // Ctrl-C in a terminal reaches every process of the group; what it means is for the parent to decide.
  process.on('SIGINT', () => undefined);
  process.once('message', (task: Task) => {
    void answer(task, watch.scratch).then((message) => {
      process.send?.(message, () => process.exit());
    });
  });
}

async function answer(task: Task, scratch: string): Promise<HostMessage> {
  try {
    return { kind: 'result', result: await perform(task, { scratch, report: throttled() }) };
  } catch (error) {
    return failure(error);
  }
}

const REPORT_EVERY_MS = 50;

/** A new stage is reported at once, because a crash is explained by it; progress within one, now and then. */
function throttled(): Report {
  let lastMs = 0;
  let lastStage = '';
  return (stage, done, total) => {
    const now = performance.now();
    if (stage === lastStage && done < total && now - lastMs < REPORT_EVERY_MS) return;
    lastMs = now;
    lastStage = stage;
    const message: HostMessage = { kind: 'progress', progress: { stage, done, total } };
    process.send?.(message);
  };
}

function failure(error: unknown): HostMessage {
  if (!(error instanceof WhittleError)) return { kind: 'failure', what: describeError(error) };
  const { where, hint } = error;
  const suffix = (where ? ` (${where})` : '') + (hint ? `. ${hint}` : '');
  return {
    kind: 'failure',
    what: error.message.slice(0, error.message.length - suffix.length),
    ...(where && { where }),
    ...(hint && { hint }),
  };
}
