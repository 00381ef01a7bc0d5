import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { bestClass, choicesOf, classAt } from './logits';
import { answerAndTarget, chooseOutput, oneOutput, Share, type Metric } from './metric';

export const top1: Metric<z.infer<typeof oneOutput>> = {
  id: 'top1',
  title: 'Top-1 accuracy',
  definition: 'Share of samples whose class with the highest score is the target.',
  higherIsBetter: true,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    const right = new Share();
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const choices = choicesOf(answer, target);
        for (let i = 0; i < choices.positions; i++) {
          const truth = classAt(target, i, choices.classes, batch.samples);
          right.add(bestClass(choices, i) === truth);
        }
      },
      score() {
        if (right.count === 0) throw new WhittleError('there are no samples to judge');
        return { value: right.value, more: {} };
      },
    };
  },
};
