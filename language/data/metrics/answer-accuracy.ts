import { z } from 'zod';
import { WhittleError } from '../../errors';
import { bestClass, choicesOf, classAt } from './logits';
import { answerAndTarget, chooseOutput, misfit, oneOutput, Share, type Metric } from './metric';
import { TokenTally } from './perplexity';

const parameters = oneOutput.extend({
  groups: z
    .array(z.string())
    .optional()
    .describe('Names of the kinds that `extra: { group }` numbers, told apart beside the value'),
});

export const answerAccuracy: Metric<z.infer<typeof parameters>> = {
  id: 'answer-accuracy',
  title: 'Answer accuracy',
  definition:
    'Share of answer tokens, which the mask of the target marks, that the highest logit predicts with the true text before ' +
    'them given; beside it the perplexity over all target tokens, and the share by kind where `extra: { group }` numbers them.',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ groups = [] }) {
    const allTokens = new TokenTally();
    const all = new Share();
    const byGroup = new Map<string, Share>();
    return {
      add(batch) {
        allTokens.add(batch, () => true);
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        const group = batch.extra.get('group');
        if (!mask)
          throw new WhittleError('answer-accuracy needs to know which tokens are answers', {
            hint: 'Name the array that marks them: target: { array: ids, mask: { array: ans } }',
          });
        if (group && group.values.length !== target.values.length) throw misfit(answer, group);
        const choices = choicesOf(answer, target);
        for (let i = 0; i < choices.positions; i++) {
          if (mask.values[i] === 0) continue;
          const truth = classAt(target, i, choices.classes, batch.samples);
          const right = bestClass(choices, i) === truth;
          all.add(right);
          if (group) shareOf(byGroup, groups, group.values[i]!).add(right);
        }
      },
      score() {
        if (all.count === 0) throw new WhittleError('there are no answer tokens to judge');
        const kinds = [...byGroup].sort().map(([name, share]) => [name, share.value] as const);
        return {
          value: all.value,
          more: { perplexity: allTokens.perplexity, ...Object.fromEntries(kinds) },
        };
      },
    };
  },
};

function shareOf(byGroup: Map<string, Share>, names: readonly string[], group: number): Share {
  const name = names[group] ?? `group ${group}`;
  const known = byGroup.get(name) ?? new Share();
  byGroup.set(name, known);
  return known;
}
