import { z } from 'zod';
import { WhittleError } from '../../errors';
import { fieldsOf } from './fields';
import { chooseOutput, oneOutput, type Metric } from './metric';

const parameters = oneOutput.extend({
  range: z
    .tuple([z.number(), z.number()])
    .optional()
    .describe('Darkest and brightest value; answers are clipped to them. Default [0, 1]'),
});

export const psnr: Metric<z.infer<typeof parameters>> = {
  id: 'psnr',
  title: 'Peak signal-to-noise ratio',
  definition:
    '10 · log10(range² / mean squared error) of each image against the target, answers clipped to the range, averaged over the ' +
    'images. In dB.',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ range: [low, high] = [0, 1] }) {
    let sum = 0;
    let images = 0;
    return {
      add(batch) {
        const { answer, target, size } = fieldsOf(batch);
        for (let from = 0; from < target.values.length; from += size) {
          let error = 0;
          for (let i = from; i < from + size; i++) {
            const found = Math.min(high, Math.max(low, answer.values[i]!));
            error += (found - target.values[i]!) ** 2;
          }
          sum += Number.isNaN(error)
            ? -Infinity
            : 10 * Math.log10((high - low) ** 2 / (error / size));
          images++;
        }
      },
      score() {
        if (images === 0) throw new WhittleError('there are no images to judge');
        return { value: sum / images, more: {} };
      },
    };
  },
};
