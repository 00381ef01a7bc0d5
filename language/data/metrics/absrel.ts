import { z } from 'zod';
import { WhittleError } from '../../errors';
import { fieldsOf } from './fields';
import { chooseOutput, oneOutput, type Metric } from './metric';

const parameters = oneOutput.extend({
  base: z
    .number()
    .gt(1)
    .optional()
    .describe('Depth is base ** v of a stored or predicted v; default: v itself'),
});

export const absrel: Metric<z.infer<typeof parameters>> = {
  id: 'absrel',
  title: 'Absolute relative depth error',
  definition:
    'Mean over all pixels of |z − z*| / z* for the predicted depth z and the true depth z*; beside it delta1, the share of ' +
    'pixels with max(z / z*, z* / z) < 1.25, and rmse, the root of the mean squared difference.',
  higherIsBetter: false,
  parameters,
  outputs: chooseOutput,
  start({ base }) {
    // An exponential takes a fraction of the time of a power, and this is done for every pixel.
    const rate = Math.log(base ?? 1);
    const depth = base === undefined ? (v: number) => v : (v: number) => Math.exp(rate * v);
    let relative = 0;
    let square = 0;
    let near = 0;
    let count = 0;
    return {
      add(batch) {
        const { answer, target, size } = fieldsOf(batch);
        for (let i = 0; i < target.values.length; i++) {
          if (batch.mask?.values[i] === 0) continue;
          const truth = depth(target.values[i]!);
          if (!(truth > 0))
            throw new WhittleError(`a depth of ${truth} cannot be judged`, {
              where: `target of sample ${batch.samples[Math.floor(i / size)]}`,
              hint: 'Mark the pixels that count: target: { …, mask: { array: valid } }',
            });
          const found = depth(answer.values[i]!);
          const difference = Math.abs(found - truth);
          relative += difference / truth;
          square += difference * difference;
          if (found > 0 && Math.max(found / truth, truth / found) < 1.25) near++;
          count++;
        }
      },
      score() {
        if (count === 0) throw new WhittleError('there are no pixels to judge');
        const value = relative / count;
        return {
          value: Number.isNaN(value) ? Infinity : value,
          more: { delta1: near / count, rmse: Math.sqrt(square / count) },
        };
      },
    };
  },
};
