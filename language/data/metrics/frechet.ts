import { z } from 'zod';
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import { answerAndTarget, chooseOutput, oneOutput, type Metric } from './metric';
import { eigen, product, squareRoot } from './symmetric';

const parameters = oneOutput.extend({
  features: z
    .strictObject({
      model: z
        .string()
        .min(1)
        .describe('An ONNX model with one input; relative to the description'),
      output: z
        .string()
        .optional()
        .describe('Its output that holds the features; default: the first'),
    })
    .optional()
    .describe('What is compared is what this model sees; default: answers and targets themselves'),
});

/** A covariance of that many features takes 8 MB, its square root seconds. */
const MAX_FEATURES = 1024;

export const frechet: Metric<z.infer<typeof parameters>> = {
  id: 'frechet',
  title: 'Fréchet distance',
  definition:
    '|μ − μ*|² + tr(Σ + Σ* − 2 (Σ Σ*)^½) for mean and covariance of the features of all answers and of all targets ' +
    '(Heusel et al. 2017). Features are what the given model sees in them, averaged over any axes after the second.',
  higherIsBetter: false,
  parameters,
  outputs: chooseOutput,
  features: ({ features }) => features,
  start() {
    let answers: Moments | undefined;
    let targets: Moments | undefined;
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        answers = (answers ?? new Moments(answer.dims)).add(answer);
        targets = (targets ?? new Moments(target.dims)).add(target);
      },
      score() {
        if (!answers || !targets || answers.count < 2)
          throw new WhittleError('the distance of two distributions needs two samples at least');
        if (answers.size !== targets.size)
          throw new WhittleError(
            `answers have ${answers.size} features and targets ${targets.size}`,
          );
        return { value: distance(answers, targets), more: {} };
      },
    };
  },
};

/** Sums over samples of features and of their products. */
class Moments {
  count = 0;
  readonly size: number;
  readonly #sums: Float64Array;
  readonly #products: Float64Array;
  readonly #row: Float64Array;
  constructor(dims: readonly number[]) {
    this.size = dims[1] ?? 1;
    if (this.size > MAX_FEATURES)
      throw new WhittleError(`${this.size} features are too many: ${MAX_FEATURES} at most`, {
        hint: 'Name a model of features: features: { model: ./features.onnx }',
      });
    this.#sums = new Float64Array(this.size);
    this.#products = new Float64Array(this.size ** 2);
    this.#row = new Float64Array(this.size);
  }

  add({ dims, values }: { dims: readonly number[]; values: ArrayLike<number> }): this {
    const { size } = this;
    const row = this.#row;
    const inner = elementCount(dims.slice(2));
    for (let sample = 0; sample < dims[0]!; sample++) {
      for (let f = 0; f < size; f++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += values[(sample * size + f) * inner + k]!;
        row[f] = sum / inner;
        this.#sums[f]! += row[f]!;
      }
      for (let f = 0; f < size; f++)
        for (let g = 0; g < size; g++) this.#products[f * size + g]! += row[f]! * row[g]!;
      this.count++;
    }
    return this;
  }

  mean(): Float64Array {
    return this.#sums.map((sum) => sum / this.count);
  }

  covariance(): Float64Array {
    const { size, count } = this;
    const mean = this.mean();
    return this.#products.map(
      (sum, i) => (sum - count * mean[Math.floor(i / size)]! * mean[i % size]!) / (count - 1),
    );
  }
}

function distance(a: Moments, b: Moments): number {
  const { size } = a;
  const [meanA, meanB] = [a.mean(), b.mean()];
  const [covarianceA, covarianceB] = [a.covariance(), b.covariance()];
  // (Σ Σ*)^½ has the trace of (Σ^½ Σ* Σ^½)^½, which is symmetric.
  const root = squareRoot(covarianceA, size);
  const middle = product(product(root, covarianceB, size), root, size);
  const shared = eigen(middle, size).values;
  let value = 0;
  for (let i = 0; i < size; i++)
    value +=
      (meanA[i]! - meanB[i]!) ** 2 +
      covarianceA[i * size + i]! +
      covarianceB[i * size + i]! -
      2 * Math.sqrt(Math.max(0, shared[i]!));
  return Math.max(0, value);
}
