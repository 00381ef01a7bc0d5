import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { bestClass, choicesOf, classAt, crossEntropy } from './logits';
import {
  answerAndTarget,
  chooseOutput,
  misfit,
  oneOutput,
  type Metric,
  type MetricBatch,
} from './metric';

export const perplexity: Metric<z.infer<typeof oneOutput>> = {
  id: 'perplexity',
  title: 'Perplexity',
  definition:
    'exp of the mean cross-entropy over all target tokens, or over those that the mask of the target marks; beside it ' +
    'next_token_accuracy, the share of them that the highest logit predicts.',
  higherIsBetter: false,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    const tokens = new TokenTally();
    return {
      add: (batch) => tokens.add(batch, (i) => batch.mask?.values[i] !== 0),
      score: () => ({
        value: tokens.perplexity,
        more: { next_token_accuracy: tokens.accuracy },
      }),
    };
  },
};

/** Cross-entropy and hits of tokens, over those positions of the target that count. */
export class TokenTally {
  #loss = 0;
  #right = 0;
  #tokens = 0;

  /** @param counts of a position of the target */
  add(batch: MetricBatch, counts: (position: number) => boolean): void {
    const { answer, target } = answerAndTarget(batch);
    if (batch.mask && batch.mask.values.length !== target.values.length)
      throw misfit(answer, batch.mask);
    const choices = choicesOf(answer, target);
    for (let i = 0; i < choices.positions; i++) {
      if (!counts(i)) continue;
      const truth = classAt(target, i, choices.classes, batch.samples);
      this.#loss += crossEntropy(choices, i, truth);
      if (bestClass(choices, i) === truth) this.#right++;
      this.#tokens++;
    }
  }

  get perplexity(): number {
    return Math.exp(this.#loss / this.#judged);
  }

  get accuracy(): number {
    return this.#right / this.#judged;
  }

  get #judged(): number {
    if (this.#tokens > 0) return this.#tokens;
    throw new WhittleError('there are no target tokens to judge');
  }
}
