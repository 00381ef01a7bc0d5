/**
 * The process that ONNX Runtime runs in: takes one task after the other from its parent and answers, until the parent ends it.
 * Started with the parent's process number and a folder for temporary files. Bundled as dist/runtime.js.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describeError, WhittleError } from '../errors';
import { perform, type Report } from './perform';
import { withScratch } from './scratch';
import type { HostMessage, Task } from './tasks';
import type { Watch } from './watch';

serve({ parent: Number(process.argv[2]), scratch: process.argv[3] ?? '' });

function serve(watch: Watch): void {
  new Worker(path.join(__dirname, 'watch.js'), { workerData: watch });
  // Ctrl-C in a terminal reaches every process of the group; what it means is for the parent to decide.
  process.on('SIGINT', () => undefined);
  process.on('message', (task: Task) => {
    void answer(task, watch.scratch).then((message) => process.send?.(message));
  });
}

async function answer(task: Task, folder: string): Promise<HostMessage> {
  try {
    const report = throttled();
    const result = await withScratch((scratch) => perform(task, { scratch, report }), folder);
    return { kind: 'result', result, heldBytes: process.memoryUsage.rss() };
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
