import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { choicesOf, classAt, rankOf } from './logits';
import { answerAndTarget, chooseOutput, oneOutput, Share, type Metric } from './metric';

export const top5: Metric<z.infer<typeof oneOutput>> = {
  id: 'top5',
  title: 'Top-5 accuracy',
  definition:
    'Share of samples whose target is among the five classes with the highest scores; beside it top1.',
  higherIsBetter: true,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    const first = new Share();
    const among = new Share();
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const choices = choicesOf(answer, target);
        for (let i = 0; i < choices.positions; i++) {
          const truth = classAt(target, i, choices.classes, batch.samples);
          const rank = rankOf(choices, i, truth);
          first.add(rank === 0);
          among.add(rank < Math.min(5, choices.classes));
        }
      },
      score() {
        if (among.count === 0) throw new WhittleError('there are no samples to judge');
        return { value: among.value, more: { top1: first.value } };
      },
    };
  },
};
