/** What commands share that have ONNX Runtime run a model. */
import path from 'node:path';
import { runTask } from '../runtime/runtime';
import type { DataRequest, ResultOf, Task } from '../runtime/tasks';
import { withProgress, type Surroundings, type Voice } from './command';

/** Has ONNX Runtime do something, with a bar for how far it is. */
export const runShown = <T extends Task>(
  surroundings: Surroundings,
  voice: Voice,
  task: T,
): Promise<ResultOf<T>> =>
  withProgress(surroundings, voice, (progress) =>
    runTask(task, {
      signal: surroundings.interruption(),
      entry: surroundings.runtimeEntry,
      onProgress: ({ stage, done, total }) => progress(stage, done / Math.max(1, total)),
    }),
  );

/** A data set as it is named on the command line. */
export const dataAt = (file: string, samples?: number): DataRequest => ({
  dataset: path.resolve(file),
  folder: process.cwd(),
  ...(samples !== undefined && { samples }),
});
