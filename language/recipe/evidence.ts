/** What plans look at: weights from the model, ranges from running it over calibration data. */
import path from 'node:path';
import { throwIfCancelled, WhittleError } from '../errors';
import { writeModel } from '../onnx/write';
import { tensorNumbers } from '../onnx/tensor';
import type { Evidence, Range, Situation } from '../passes/pass';
import { runTask } from '../runtime/runtime';
import { withScratch } from '../runtime/scratch';
import type { DataRequest } from '../runtime/tasks';

export interface EvidenceOptions {
  /** Calibration data; undefined where the recipe names none. */
  readonly data: DataRequest;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string) => void;
  readonly runtimeEntry?: string | undefined;
}

export function gatherEvidence(situation: Situation, options: EvidenceOptions): Evidence {
  return {
    signal: options.signal,
    progress: options.onProgress,
    numbers(tensor) {
      throwIfCancelled(options.signal);
      return tensorNumbers(tensor);
    },
    ranges: (values) =>
      withModelFile(situation, options.signal, (file) => measureRanges(file, values, options)),
    moments: unavailable,
    grams: unavailable,
    activations: unavailable,
    deviations: unavailable,
    latencies: unavailable,
  };
}

const unavailable = () => Promise.reject(new WhittleError('this cannot be measured yet'));

async function measureRanges(
  model: string,
  values: readonly string[],
  { data, sizes, signal, onProgress, runtimeEntry }: EvidenceOptions,
): Promise<ReadonlyMap<string, Range>> {
  if (values.length === 0) return new Map();
  const { ranges, skipped } = await runTask(
    { kind: 'ranges', model, values, data, shapes: sizes },
    {
      signal,
      entry: runtimeEntry,
      onProgress: ({ stage, done, total }) => onProgress(`${stage} ${done} of ${total}`),
    },
  );
  for (const [value, reason] of skipped)
    throw new WhittleError(`${value} has no range to quantise with: ${reason}`, { where: model });
  return ranges;
}

/** The graph as a file that ONNX Runtime can load: the model itself while nothing was edited, else a temporary copy. */
async function withModelFile<T>(
  { graph }: Situation,
  signal: AbortSignal,
  work: (file: string) => Promise<T>,
): Promise<T> {
  if (!graph.edited && graph.model.path) return work(graph.model.path);
  return withScratch((folder) => {
    const file = path.join(folder, 'model.onnx');
    writeModel(graph.model, graph.toRecord(), graph.opsets, file, signal);
    return work(file);
  });
}
