/** The contract of a metric: it is shown a model's answers batch by batch, and says at the end how good they were. */
import { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Labels } from '../column';

/** An output of a model, as numbers. */
export interface Answer {
  readonly name: string;
  /** Samples first. */
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
}

export interface MetricBatch {
  /** Positions of the samples in the data set, for messages. */
  readonly samples: readonly number[];
  /** The outputs that the metric asked for, by name. */
  readonly answers: ReadonlyMap<string, Answer>;
  readonly target: Labels | undefined;
  readonly mask: Labels | undefined;
  readonly extra: ReadonlyMap<string, Labels>;
}

export interface Score {
  /** Infinity where the model's answers leave nothing else to say: a probability of 0 for what is true. */
  readonly value: number;
  /** Further numbers that come with it, by name. */
  readonly more: Readonly<Record<string, number>>;
}

export interface Tally {
  /** @throws WhittleError when answers and targets do not fit each other */
  add(batch: MetricBatch): void;
  /** @throws WhittleError when there was nothing to judge */
  score(): Score;
}

export interface Metric<Parameters = unknown> {
  /** One file per metric: `metrics/<id>.ts`. */
  readonly id: string;
  readonly title: string;
  /** How it is computed, exactly. */
  readonly definition: string;
  readonly higherIsBetter: boolean;
  /** What stands beside the id in a description. */
  readonly parameters: z.ZodType<Parameters>;
  /** The outputs that it judges, of those that a model has. @throws WhittleError when that is not clear */
  outputs(parameters: Parameters, available: readonly string[]): readonly string[];
  start(parameters: Parameters): Tally;
  /** A model that answers and targets go through first: what it sees in them is what is judged. */
  features?(parameters: Parameters): FeatureModel | undefined;
}

export interface FeatureModel {
  /** Relative to the description of the data set. */
  readonly model: string;
  readonly output?: string | undefined;
}

/** How many of some were right. */
export class Share {
  count = 0;
  #right = 0;
  add(right: boolean): void {
    this.count++;
    if (right) this.#right++;
  }
  get value(): number {
    return this.#right / this.count;
  }
}

/** Parameters of a metric that judges a single output. */
export const oneOutput = z.strictObject({
  output: z.string().optional().describe('The output to judge; needed when the model has several'),
});

/** The output that a metric of a single output judges. */
export function chooseOutput(
  { output }: z.infer<typeof oneOutput>,
  available: readonly string[],
): readonly string[] {
  const chosen = output ?? (available.length === 1 ? available[0] : undefined);
  if (chosen !== undefined && available.includes(chosen)) return [chosen];
  const names = available.slice(0, 8).join(', ');
  throw new WhittleError(
    chosen === undefined
      ? `the metric judges one output and the model has ${available.length}`
      : `the model has no output ${chosen}`,
    { hint: `Name one of them in the metric, as output: ${names}` },
  );
}

/** The answer and the target of a metric of a single output. @throws WhittleError where there is no target */
export function answerAndTarget(batch: MetricBatch): { answer: Answer; target: Labels } {
  const answer = [...batch.answers.values()][0]!;
  if (batch.target) return { answer, target: batch.target };
  throw new WhittleError('the data set has no target to hold the answers against', {
    hint: 'Name the array of true answers: target: { array: y }',
  });
}

/** An answer that does not fit its target. */
export function misfit(answer: Answer, target: Labels): WhittleError {
  return new WhittleError(
    `output ${answer.name} of ${answer.dims.join(' × ')} does not fit a target of ${target.dims.join(' × ')}`,
  );
}
