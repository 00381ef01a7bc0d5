import type { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Labels } from '../column';
import { choicesOf, classAt, crossEntropy } from './logits';
import {
  answerAndTarget,
  chooseOutput,
  misfit,
  oneOutput,
  type Metric,
  type MetricBatch,
  type Tally,
} from './metric';

export const perplexity: Metric<z.infer<typeof oneOutput>> = {
  id: 'perplexity',
  title: 'Perplexity',
  definition:
    'exp of the mean cross-entropy over all target tokens, or over those that the mask of the target marks.',
  higherIsBetter: false,
  parameters: oneOutput,
  outputs: chooseOutput,
  start: () => tallyPerplexity((batch) => batch.mask),
};

/** Sums cross-entropy over the positions that `maskOf` marks; over all where it gives no mask. */
export function tallyPerplexity(maskOf: (batch: MetricBatch) => Labels | undefined): Tally {
  let loss = 0;
  let tokens = 0;
  return {
    add(batch) {
      const { answer, target } = answerAndTarget(batch);
      const mask = maskOf(batch);
      if (mask && mask.values.length !== target.values.length) throw misfit(answer, mask);
      const choices = choicesOf(answer, target);
      for (let i = 0; i < choices.positions; i++) {
        if (mask?.values[i] === 0) continue;
        loss += crossEntropy(choices, i, classAt(target, i, choices.classes, batch.samples));
        tokens++;
      }
    },
    score() {
      if (tokens === 0) throw new WhittleError('there are no target tokens to judge');
      return { value: Math.exp(loss / tokens), more: {} };
    },
  };
}
