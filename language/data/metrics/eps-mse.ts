import type { z } from 'zod';
import { WhittleError } from '../../errors';
import { fieldsOf } from './fields';
import { chooseOutput, oneOutput, type Metric } from './metric';

export const epsMse: Metric<z.infer<typeof oneOutput>> = {
  id: 'eps-mse',
  title: 'Noise error',
  definition:
    'Mean squared error between the noise that a diffusion model predicts and the true noise, which is the target, over all ' +
    'elements of all samples.',
  higherIsBetter: false,
  parameters: oneOutput,
  outputs: chooseOutput,
  start() {
    let sum = 0;
    let count = 0;
    return {
      add(batch) {
        const { answer, target } = fieldsOf(batch);
        for (let i = 0; i < target.values.length; i++) {
          if (batch.mask?.values[i] === 0) continue;
          const difference = answer.values[i]! - target.values[i]!;
          sum += difference * difference;
          count++;
        }
      },
      score() {
        if (count === 0) throw new WhittleError('there is no noise to judge');
        return { value: Number.isNaN(sum) ? Infinity : sum / count, more: {} };
      },
    };
  },
};
