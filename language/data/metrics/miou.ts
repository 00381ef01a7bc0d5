import { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Labels } from '../column';
import { bestClass, mapChoices } from './logits';
import {
  answerAndTarget,
  chooseOutput,
  misfit,
  oneOutput,
  type Answer,
  type Metric,
} from './metric';

const parameters = oneOutput.extend({
  ignore: z.array(z.int()).optional().describe('Labels that do not count, such as 255'),
  classes: z.array(z.string()).optional().describe('Names of the classes, for the value of each'),
});

export const miou: Metric<z.infer<typeof parameters>> = {
  id: 'miou',
  title: 'Mean intersection over union',
  definition:
    'Mean over the classes present in the labels of intersection / union of labelled and predicted pixels, counted over the ' +
    'whole set; beside it pixel_accuracy, and the value of each class where they are named. The output holds scores per class ' +
    '(N × C × H × W) or the classes themselves (N × H × W, N × 1 × H × W).',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ ignore = [], classes = [] }) {
    const both = new Counts();
    const predicted = new Counts();
    const labelled = new Counts();
    const ignored = new Set(ignore);
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        if (mask && mask.values.length !== target.values.length) throw misfit(answer, mask);
        const classAt = classReader(answer, target);
        for (let i = 0; i < target.values.length; i++) {
          const truth = target.values[i]!;
          if (ignored.has(truth) || mask?.values[i] === 0) continue;
          if (!Number.isInteger(truth) || truth < 0)
            throw new WhittleError(`label ${truth} is no class`, {
              where: `target of sample ${batch.samples[Math.floor((i * batch.samples.length) / target.values.length)]}`,
              hint: 'Labels that do not count are named in the metric: ignore: [255]',
            });
          const found = classAt(i);
          labelled.add(truth);
          predicted.add(found);
          if (found === truth) both.add(truth);
        }
      },
      score() {
        if (labelled.total === 0) throw new WhittleError('there are no labelled pixels to judge');
        const present = labelled.keys();
        const iou = (c: number) => both.of(c) / (labelled.of(c) + predicted.of(c) - both.of(c));
        const named = classes.flatMap((name, c) => (labelled.of(c) > 0 ? [[name, iou(c)]] : []));
        return {
          value: present.reduce((sum, c) => sum + iou(c), 0) / present.length,
          more: {
            pixel_accuracy: both.total / labelled.total,
            ...(Object.fromEntries(named) as Record<string, number>),
          },
        };
      },
    };
  },
};

/** The predicted class at a position of the target; −1 for none. */
function classReader(answer: Answer, target: Labels): (position: number) => number {
  const { dims } = answer;
  const plain =
    dims[1] === 1 && dims.length === target.dims.length + 1 ? [dims[0], ...dims.slice(2)] : dims;
  if (plain.join() === target.dims.join())
    return (position) => Math.round(answer.values[position]!);
  const choices = mapChoices(answer, target);
  return (position) => bestClass(choices, position);
}

/** How often each class came up. */
class Counts {
  total = 0;
  readonly #counts: number[] = [];
  add(c: number): void {
    if (c >= 0) this.#counts[c] = (this.#counts[c] ?? 0) + 1;
    this.total++;
  }
  of(c: number): number {
    return this.#counts[c] ?? 0;
  }
  keys(): number[] {
    return this.#counts.flatMap((count, c) => (count > 0 ? [c] : []));
  }
}
