/** Reading scores over classes, or logits over a vocabulary. */
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import type { Labels } from '../column';
import { misfit, type Answer } from './metric';

/** One choice among `classes` per position; positions are those of the target, in its order. */
export interface Choices {
  readonly positions: number;
  readonly classes: number;
  /** Where the scores of a position start. */
  readonly start: (position: number) => number;
  /** From the score of one class to that of the next. */
  readonly stride: number;
  readonly values: ArrayLike<number>;
}

/** Scores of target dims × classes; sizes of 1 beyond the classes (pooled feature maps) do not matter. */
export function choicesOf(answer: Answer, target: Labels): Choices {
  const dims = [...answer.dims];
  while (dims.length > target.dims.length + 1 && dims.at(-1) === 1) dims.pop();
  const classes = dims.pop();
  if (
    classes === undefined ||
    dims.length !== target.dims.length ||
    dims.some((dim, axis) => dim !== target.dims[axis])
  )
    throw misfit(answer, target);
  return {
    positions: target.values.length,
    classes,
    start: (position) => position * classes,
    stride: 1,
    values: answer.values,
  };
}

/** Scores per pixel, N × classes × H × W (or × any other sizes), for a target of N × H × W. */
export function mapChoices(answer: Answer, target: Labels): Choices {
  const { dims } = answer;
  const sizes = target.dims.filter((_, axis) => axis !== 1 || target.dims.length !== dims.length);
  const classes = dims[1];
  const same = [dims[0], ...dims.slice(2)];
  if (
    classes === undefined ||
    sizes.length !== same.length ||
    sizes.some((size, axis) => size !== same[axis])
  )
    return choicesOf(answer, target);
  const stride = elementCount(dims.slice(2));
  return {
    positions: target.values.length,
    classes,
    start: (position) => {
      const sample = Math.floor(position / stride);
      return sample * classes * stride + position - sample * stride;
    },
    stride,
    values: answer.values,
  };
}

/** The class with the highest score, the first of equals; −1 where a score is not a number, which no target equals. */
export function bestClass({ values, classes, start, stride }: Choices, position: number): number {
  const from = start(position);
  let best = 0;
  let highest = -Infinity;
  for (let c = 0; c < classes; c++) {
    const score = values[from + c * stride]!;
    if (score > highest) {
      highest = score;
      best = c;
    } else if (Number.isNaN(score)) return -1;
  }
  return best;
}

/** How many classes score at least as high as this one, those before it of equals: 0 is the best; all where one is NaN. */
export function rankOf(
  { values, classes, start, stride }: Choices,
  position: number,
  truth: number,
): number {
  const from = start(position);
  const own = values[from + truth * stride]!;
  let rank = 0;
  for (let c = 0; c < classes; c++) {
    const score = values[from + c * stride]!;
    if (Number.isNaN(score)) return classes;
    if (score > own || (score === own && c < truth)) rank++;
  }
  return rank;
}

/** −log softmax(scores)[truth] in nats; Infinity where a score is not a number. */
export function crossEntropy(
  { values, classes, start, stride }: Choices,
  position: number,
  truth: number,
): number {
  const from = start(position);
  let max = -Infinity;
  for (let c = 0; c < classes; c++) max = Math.max(max, values[from + c * stride]!);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(values[from + c * stride]! - max);
  const loss = Math.log(sum) + max - values[from + truth * stride]!;
  return Number.isNaN(loss) ? Infinity : loss;
}

/** @throws WhittleError for a target that is no class of the answer */
export function classAt(
  target: Labels,
  position: number,
  classes: number,
  samples: readonly number[],
): number {
  const truth = target.values[position]!;
  if (Number.isInteger(truth) && truth >= 0 && truth < classes) return truth;
  const sample = samples[Math.floor((position * samples.length) / target.values.length)];
  throw new WhittleError(`target ${truth} is none of the ${classes} classes of the output`, {
    where: `sample ${sample}`,
  });
}
