import { z } from 'zod';
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import { bestClass, choicesOf, classAt } from './logits';
import { answerAndTarget, chooseOutput, misfit, oneOutput, Share, type Metric } from './metric';

const parameters = oneOutput.extend({
  per: z
    .enum(['sample', 'answer'])
    .optional()
    .describe(
      'What has to match as a whole: all that a sample marks (default), or each run of marks',
    ),
});

/**
 * Greedy decoding writes the true answer exactly when the highest logit is the true token at each of its positions with the true
 * text before them (by induction: up to the first difference both have the same text before them). So one pass decides it.
 */
export const exactMatch: Metric<z.infer<typeof parameters>> = {
  id: 'exact-match',
  title: 'Exact match',
  definition:
    'Share of the marked texts that greedy decoding, started after what comes before them, writes token by token as they are; ' +
    'beside it token_accuracy, the share of their tokens predicted with the true text before them given.',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ per = 'sample' }) {
    const texts = new Share();
    const tokens = new Share();
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        if (!mask)
          throw new WhittleError('exact-match needs to know which tokens the model has to write', {
            hint: 'Name the array that marks them: target: { array: ids, mask: { array: ans } }',
          });
        if (mask.values.length !== target.values.length) throw misfit(answer, mask);
        const choices = choicesOf(answer, target);
        const length = elementCount(target.dims.slice(1));
        for (let from = 0; from < choices.positions; from += length) {
          let open: boolean | undefined; // whether the text that is being read matches so far
          for (let i = from; i < from + length; i++) {
            if (mask.values[i] === 0) {
              if (per === 'sample' || open === undefined) continue;
              texts.add(open);
              open = undefined;
              continue;
            }
            const right =
              bestClass(choices, i) === classAt(target, i, choices.classes, batch.samples);
            tokens.add(right);
            open = (open ?? true) && right;
          }
          if (open !== undefined) texts.add(open);
        }
      },
      score() {
        if (texts.count === 0) throw new WhittleError('there are no marked texts to judge');
        return { value: texts.value, more: { token_accuracy: tokens.value } };
      },
    };
  },
};
