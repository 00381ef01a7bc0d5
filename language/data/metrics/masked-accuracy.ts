import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { bestClass, choicesOf, classAt } from './logits';
import { answerAndTarget, chooseOutput, misfit, oneOutput, Share, type Metric } from './metric';

export const maskedAccuracy: Metric<z.infer<typeof oneOutput>> = {
  id: 'masked-accuracy',
  title: 'Masked accuracy',
  definition:
    'Share of the positions that were hidden from the model, those whose target is not negative, that the highest logit predicts.',
  higherIsBetter: true,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    const right = new Share();
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        if (mask && mask.values.length !== target.values.length) throw misfit(answer, mask);
        const choices = choicesOf(answer, target);
        for (let i = 0; i < choices.positions; i++) {
          if (target.values[i]! < 0 || mask?.values[i] === 0) continue;
          const truth = classAt(target, i, choices.classes, batch.samples);
          right.add(bestClass(choices, i) === truth);
        }
      },
      score() {
        if (right.count === 0) throw new WhittleError('there are no masked positions to judge');
        return { value: right.value, more: {} };
      },
    };
  },
};
