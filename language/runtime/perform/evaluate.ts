/** The metric of one model over a data set. */
import type { Batch, Binding, Dataset } from '../../data/dataset';
import type { MetricChoice } from '../../data/description';
import { chooseMetric, type ChosenMetric } from '../../data/metrics';
import type { MetricBatch } from '../../data/metrics/metric';
import { WhittleError } from '../../errors';
import type { Context } from '../perform';
import { nameOf, openSession, type Output } from '../session';
import type { EvaluateRequest, Evaluation } from '../tasks';
import { answerOf, basisOf, batchSize, openData } from './data';
import { runBatch } from './decode';
import { preparationFor } from './features';

export async function evaluate(request: EvaluateRequest, { report }: Context): Promise<Evaluation> {
  const dataset = openData(request.data);
  const metric = metricOf(dataset, request.metric);
  report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const session = await openSession(request.model, { threads: request.threads });
  const binding = dataset.bind(session.inputs);
  const wanted = metric.outputs(session.outputs.map((output) => output.name));
  const size = await batchSize(binding, session);
  const prepared = await preparationFor(metric, dataset.folder, request.threads);
  const tally = metric.start();
  let done = 0;
  report(`running ${nameOf(request.model)}`, done, dataset.samples);
  for (const batch of binding.batches(size)) {
    const outputs = await runBatch(session, batch, wanted, dataset.step);
    tally.add(await prepared(judged(batch, binding, wanted, outputs)));
    report(`running ${nameOf(request.model)}`, (done += batch.samples.length), dataset.samples);
  }
  await session.release();
  const { higherIsBetter } = metric;
  return { metric: metric.id, higherIsBetter, ...tally.score(), ...basisOf(dataset) };
}

/** @throws WhittleError where there is nothing to judge by */
function metricOf(dataset: Dataset, instead: MetricChoice | undefined): ChosenMetric {
  if (dataset.generated)
    throw new WhittleError('made-up inputs have no true answers to judge by', {
      hint: 'Describe real data in a NAME.dataset.yaml',
    });
  const choice = instead ?? dataset.metric;
  if (choice) return chooseMetric(choice);
  throw new WhittleError('the data set names no metric', {
    where: dataset.name,
    hint: 'Add one: metric: { id: top1 }',
  });
}

/** A batch with the model's answers to it, as a metric wants them. */
export function judged(
  batch: Batch,
  binding: Binding,
  wanted: readonly string[],
  outputs: ReadonlyMap<string, Output>,
): MetricBatch {
  const { samples, target, mask, extra } = batch;
  const answers = wanted.map(
    (name) => [name, answerOf(name, outputs.get(name), batch, binding)] as const,
  );
  return { samples, target, mask, extra, answers: new Map(answers) };
}
