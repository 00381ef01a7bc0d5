import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { bestClass, choicesOf, classAt } from './logits';
import { answerAndTarget, chooseOutput, misfit, oneOutput, type Metric } from './metric';
import { tallyPerplexity } from './perplexity';

export const answerAccuracy: Metric<z.infer<typeof oneOutput>> = {
  id: 'answer-accuracy',
  title: 'Answer accuracy',
  definition:
    'Share of answer tokens, which the mask of the target marks, that the highest logit predicts with the true text before ' +
    'them given; beside it the perplexity over all target tokens.',
  higherIsBetter: true,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    const allTokens = tallyPerplexity(() => undefined);
    let right = 0;
    let answers = 0;
    return {
      add(batch) {
        allTokens.add(batch);
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        if (!mask)
          throw new WhittleError('answer-accuracy needs to know which tokens are answers', {
            hint: 'Name the array that marks them: target: { array: ids, mask: { array: ans } }',
          });
        if (mask.values.length !== target.values.length) throw misfit(answer, mask);
        const choices = choicesOf(answer, target);
        for (let i = 0; i < choices.positions; i++) {
          if (mask.values[i] === 0) continue;
          const truth = classAt(target, i, choices.classes, batch.samples);
          if (bestClass(choices, i) === truth) right++;
          answers++;
        }
      },
      score() {
        if (answers === 0) throw new WhittleError('there are no answer tokens to judge');
        return { value: right / answers, more: { perplexity: allTokens.score().value } };
      },
    };
  },
};
