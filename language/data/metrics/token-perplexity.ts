import { z } from 'zod';
import { elementCount } from '../../onnx/tensor';
import { chooseOutput, oneOutput, type Metric } from './metric';
import { TokenTally } from './perplexity';

const parameters = oneOutput.extend({
  positions: z
    .union([z.tuple([z.int()]), z.tuple([z.int(), z.int()])])
    .optional()
    .describe('The positions of each sequence that count: [from, to], as in Python; default: all'),
});

export const tokenPerplexity: Metric<z.infer<typeof parameters>> = {
  id: 'token-perplexity',
  title: 'Token perplexity',
  definition:
    'exp of the mean cross-entropy of the target tokens at the chosen positions, the true earlier tokens given; beside it top1, ' +
    'the share of them that the highest logit predicts.',
  higherIsBetter: false,
  parameters,
  outputs: chooseOutput,
  start({ positions = [0] }) {
    const tokens = new TokenTally();
    return {
      add(batch) {
        const length = elementCount(batch.target?.dims.slice(1) ?? []);
        const at = (index: number) => (index < 0 ? index + length : index);
        const [from, to] = [at(positions[0]), at(positions[1] ?? length)];
        tokens.add(batch, (i) => {
          const position = i % length;
          return position >= from && position < to && batch.mask?.values[i] !== 0;
        });
      },
      score: () => ({ value: tokens.perplexity, more: { top1: tokens.accuracy } }),
    };
  },
};
