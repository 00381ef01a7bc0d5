/** `whittle evaluate`: the metric of a model on data, by itself or against another. */
import path from 'node:path';
import { runTask } from '../runtime/runtime';
import type { DataRequest, Task } from '../runtime/tasks';
import { print, readArguments, UsageError, withProgress, type Command } from './command';

const evaluate: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    data: { type: 'string' },
    against: { type: 'string' },
    metric: { type: 'string' },
    samples: { type: 'string' },
  });
  const model = path.resolve((positionals as [string])[0]);
  if (options.data === undefined) throw new UsageError('--data is missing');
  const samples = options.samples === undefined ? undefined : Number(options.samples);
  if (samples !== undefined && !(Number.isInteger(samples) && samples > 0))
    throw new UsageError(`--samples ${options.samples!}: a number is expected`);
  const data: DataRequest = {
    dataset: path.resolve(options.data),
    folder: process.cwd(),
    ...(samples !== undefined && { samples }),
  };
  const metric = options.metric === undefined ? {} : { metric: { id: options.metric } };
  const ask = <T extends Task>(task: T) =>
    withProgress(surroundings, options, (progress) =>
      runTask(task, {
        signal: surroundings.interruption(),
        entry: surroundings.runtimeEntry,
        onProgress: ({ stage, done, total }) => progress(stage, done / Math.max(1, total)),
      }),
    );
  if (options.against === undefined) {
    const result = await ask({ kind: 'evaluate', model, data, ...metric });
    const { value, more } = result;
    const document = {
      model,
      metric: result.metric,
      value,
      samples: result.samples,
      more,
      data: result.data,
    };
    print(surroundings, options, document, () => [
      `${document.metric} ${value.toFixed(5)} on ${result.samples} samples of ${result.data}`,
      ...Object.entries(more).map(([name, other]) => `  ${name} ${other.toFixed(5)}`),
    ]);
    return;
  }
  const reference = path.resolve(options.against);
  const {
    outputs,
    metric: both,
    ...basis
  } = await ask({ kind: 'compare', reference, candidate: model, data, ...metric });
  if (!both) throw new UsageError(`${options.data} names no metric; choose one with --metric`);
  const [first] = outputs;
  const document = {
    model,
    metric: both.id,
    value: both.candidate.value,
    samples: basis.samples,
    data: basis.data,
    against: {
      model: reference,
      value: both.reference.value,
      drop: both.drop,
      sqnrDb: first?.sqnrDb ?? null,
      cosine: first?.cosine ?? null,
    },
    outputs,
  };
  print(surroundings, options, document, () => [
    `${both.id} ${both.candidate.value.toFixed(5)}, the reference ${both.reference.value.toFixed(5)}: a loss of ${(100 * both.drop).toFixed(2)} % on ${basis.samples} samples of ${basis.data}`,
    ...outputs.map(
      ({ name, sqnrDb, cosine }) =>
        `  ${name}: SQNR ${sqnrDb?.toFixed(1) ?? '–'} dB, cosine ${cosine?.toFixed(5) ?? '–'}`,
    ),
  ]);
};
export default evaluate;
