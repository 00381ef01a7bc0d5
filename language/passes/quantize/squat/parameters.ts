import { z } from 'zod';
import { head } from '../weights/parameters';

const bits = z.literal([8, 6, 4]);

export const parameters = z.strictObject({
  share: z.number().gt(0).max(1).default(0.5).meta({
    title: 'Important tokens',
    description: 'Share of the tokens, rounded up to a multiple of `align`',
    role: 'ratio',
    multipleOf: 0.001,
  }),
  important: bits.default(8).meta({ title: 'Their bits' }),
  others: bits.default(4).meta({ title: 'Other bits' }),
  ranking: z.enum(['probabilities', 'logits']).default('probabilities').meta({
    title: 'Ranking',
    description:
      'Tokens matter as they attend to the first one, by the mean over heads: after Softmax, or before it',
  }),
  align: z.literal([1, 4, 8, 16, 32]).default(8).meta({
    title: 'Alignment',
    description: 'Tokens that a processor works on at once; important ones come in multiples of it',
  }),
  scales: z.enum(['mse', 'minmax']).default('mse').meta({
    title: 'Scales',
    description:
      'mse: with the least squared error on the calibration data; minmax: nothing is clipped',
  }),
  head,
});
export type Parameters = z.infer<typeof parameters>;
