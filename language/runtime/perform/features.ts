/** What a model of features sees in answers and targets, for metrics that compare those. */
import path from 'node:path';
import type { ChosenMetric } from '../../data/metrics';
import type { Answer, MetricBatch } from '../../data/metrics/metric';
import { packNumbers, stagingFor } from '../../data/feed';
import { WhittleError } from '../../errors';
import { openSession } from '../session';

/** What has to happen to a batch before its metric sees it. */
export type Preparation = (batch: MetricBatch) => Promise<MetricBatch>;

const asItIs: Preparation = (batch) => Promise.resolve(batch);

/** @param folder where the path of the model starts from */
export async function preparationFor(
  { features }: ChosenMetric,
  folder: string,
  threads: number | undefined,
): Promise<Preparation> {
  if (!features) return asItIs;
  const file = path.resolve(folder, features.model);
  const session = await openSession(file, { threads });
  const [input, ...others] = session.inputs;
  const output = features.output ?? session.outputs[0]?.name;
  if (!input || others.length > 0 || input.elementType !== 'float32')
    throw new WhittleError('a model of features takes one input, of float32', { where: file });
  if (output === undefined || !session.outputs.some(({ name }) => name === output))
    throw new WhittleError(`the model of features has no output ${output ?? ''}`, { where: file });
  const see = async ({ dims, values }: Pick<Answer, 'dims' | 'values'>): Promise<Answer> => {
    const numbers = stagingFor('float32', values.length);
    numbers.set(values);
    const data = packNumbers('float32', numbers, () => `input ${input.name}`);
    const found = await session.run(new Map([[input.name, { type: 'float32', dims, data }]]), [
      output,
    ]);
    const { dims: sizes, values: seen } = found.get(output)!;
    if (seen) return { name: output, dims: sizes, values: seen };
    throw new WhittleError(`output ${output} holds strings`, { where: file });
  };
  return async (batch) => {
    const answers = new Map<string, Answer>();
    for (const [name, answer] of batch.answers) answers.set(name, await see(answer));
    if (!batch.target) return { ...batch, answers };
    const { dims, values } = await see(batch.target);
    return { ...batch, answers, target: { dims, values: Float64Array.from(values) } };
  };
}
