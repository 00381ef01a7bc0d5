/** Answers and targets that are fields of numbers of one size: images, depth, noise. */
import { elementCount } from '../../onnx/tensor';
import type { Labels } from '../column';
import { answerAndTarget, misfit, type Answer, type MetricBatch } from './metric';

export interface Fields {
  readonly answer: Answer;
  readonly target: Labels;
  /** Elements of one sample. */
  readonly size: number;
}

/** Axes of size 1 do not matter. @throws WhittleError where the sizes differ */
export function fieldsOf(batch: MetricBatch): Fields {
  const { answer, target } = answerAndTarget(batch);
  const sizes = (dims: readonly number[]) =>
    [dims[0], ...dims.slice(1).filter((dim) => dim !== 1)].join();
  if (sizes(answer.dims) !== sizes(target.dims)) throw misfit(answer, target);
  if (batch.mask && batch.mask.values.length !== target.values.length)
    throw misfit(answer, batch.mask);
  return { answer, target, size: elementCount(target.dims.slice(1)) };
}
