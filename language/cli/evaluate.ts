/** `whittle evaluate`: the metric of a model on data, by itself or against another. */
import path from 'node:path';
import {
  generatedData,
  type MetricComparison,
  type OutputComparison,
  type Task,
} from '../runtime/tasks';
import { count, print, readArguments, UsageError, type Command } from './command';
import { dataAt, runShown } from './running';

const evaluate: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    data: { type: 'string' },
    against: { type: 'string' },
    metric: { type: 'string' },
    samples: { type: 'string' },
    interval: { type: 'boolean', default: false },
  });
  const model = path.resolve((positionals as [string])[0]);
  if (options.data === undefined && options.against === undefined)
    throw new UsageError('--data is missing');
  const { interval } = options;
  if (interval && options.against === undefined)
    throw new UsageError('--interval goes with --against: it is of the difference');
  const samples = count('samples', options.samples);
  // Without data two models can still be compared, on made-up inputs; the answer says so.
  const data = options.data === undefined ? generatedData(samples) : dataAt(options.data, samples);
  const metric = options.metric === undefined ? {} : { metric: { id: options.metric } };
  const ask = <T extends Task>(task: T) => runShown(surroundings, options, task);
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
  } = await ask({ kind: 'compare', reference, candidate: model, data, interval, ...metric });
  const [first] = outputs;
  const document = {
    model,
    metric: both?.id ?? null,
    value: both?.candidate.value ?? null,
    samples: basis.samples,
    data: basis.data,
    more: both?.candidate.more ?? {},
    against: {
      model: reference,
      value: both?.reference.value ?? null,
      drop: both?.drop ?? null,
      ...(interval && { interval: both?.interval ?? null }),
      more: both?.reference.more ?? {},
      sqnrDb: first?.sqnrDb ?? null,
      cosine: first?.cosine ?? null,
    },
    outputs,
  };
  const on = `on ${basis.samples} samples of ${basis.data}`;
  print(surroundings, options, document, () => [
    both
      ? `${both.id} ${both.candidate.value.toFixed(5)}, the reference ${both.reference.value.toFixed(5)}: a loss of ${percent(both.drop)}${intervalText(both)} ${on}`
      : `no metric is named; compared ${on}`,
    ...outputs.map(describeOutput),
  ]);
};

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const intervalText = ({ interval }: MetricComparison): string =>
  interval ? ` (95 %: ${percent(interval.low)} to ${percent(interval.high)}, paired)` : '';

function describeOutput({ name, problem, ...numbers }: OutputComparison): string {
  if (problem !== undefined) return `  ${name}: ${problem}`;
  const { sqnrDb, cosine, maxAbs, klNats, top1Agreement } = numbers;
  const parts = [
    `SQNR ${sqnrDb?.toFixed(1) ?? '–'} dB`,
    `cosine ${cosine?.toFixed(5) ?? '–'}`,
    `largest difference ${maxAbs?.toPrecision(4) ?? '–'}`,
    ...(klNats === null ? [] : [`KL ${klNats.toPrecision(4)} nats`]),
    ...(top1Agreement === null ? [] : [`same choice ${(100 * top1Agreement).toFixed(2)} %`]),
  ];
  return `  ${name}: ${parts.join(', ')}`;
}

export default evaluate;
