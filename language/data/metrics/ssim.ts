import { z } from 'zod';
import { WhittleError } from '../../errors';
import { fieldsOf } from './fields';
import { chooseOutput, misfit, oneOutput, type Metric } from './metric';

const parameters = oneOutput.extend({
  range: z
    .tuple([z.number(), z.number()])
    .optional()
    .describe('Darkest and brightest value; answers are clipped to them. Default [0, 1]'),
});

/** Wang, Bovik, Sheikh & Simoncelli 2004: Gaussian window of 11 × 11 with σ = 1.5, K1 = 0.01, K2 = 0.03. */
const WINDOW = 11;
const WEIGHTS = gaussian(WINDOW, 1.5);

export const ssim: Metric<z.infer<typeof parameters>> = {
  id: 'ssim',
  title: 'Structural similarity',
  definition:
    'Mean structural similarity (Wang et al. 2004: Gaussian window of 11 × 11 with σ 1.5, only where it lies inside the image) of ' +
    'each channel against the target, averaged over channels and images. The last two axes are height and width.',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ range: [low, high] = [0, 1] }) {
    let sum = 0;
    let planes = 0;
    return {
      add(batch) {
        const { answer, target } = fieldsOf(batch);
        const [height = 0, width = 0] = target.dims.slice(-2);
        if (target.dims.length < 3 || Math.min(height, width) < WINDOW)
          throw misfit(answer, target);
        const size = height * width;
        for (let from = 0; from < target.values.length; from += size) {
          const found = Float64Array.from({ length: size }, (_, i) =>
            Math.min(high, Math.max(low, answer.values[from + i]!)),
          );
          const truth = target.values.subarray(from, from + size);
          sum += similarity(found, truth, height, width, high - low);
          planes++;
        }
      },
      score() {
        if (planes === 0) throw new WhittleError('there are no images to judge');
        return { value: sum / planes, more: {} };
      },
    };
  },
};

function similarity(
  a: Float64Array,
  b: Float64Array,
  height: number,
  width: number,
  range: number,
): number {
  const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
  const smooth = (of: (i: number) => number) => blurred(of, height, width);
  const meanA = smooth((i) => a[i]!);
  const meanB = smooth((i) => b[i]!);
  const squareA = smooth((i) => a[i]! * a[i]!);
  const squareB = smooth((i) => b[i]! * b[i]!);
  const product = smooth((i) => a[i]! * b[i]!);
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const [ma, mb] = [meanA[i]!, meanB[i]!];
    const variances = squareA[i]! - ma * ma + squareB[i]! - mb * mb;
    const covariance = product[i]! - ma * mb;
    sum +=
      ((2 * ma * mb + c1) * (2 * covariance + c2)) / ((ma * ma + mb * mb + c1) * (variances + c2));
  }
  return sum / meanA.length;
}

/** Weighted means under the window, rows and then columns, where it lies inside the plane. */
function blurred(of: (i: number) => number, height: number, width: number): Float64Array {
  const across = width - WINDOW + 1;
  const down = height - WINDOW + 1;
  const rows = new Float64Array(height * across);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < across; x++)
      for (let k = 0; k < WINDOW; k++) rows[y * across + x]! += WEIGHTS[k]! * of(y * width + x + k);
  const out = new Float64Array(down * across);
  for (let y = 0; y < down; y++)
    for (let k = 0; k < WINDOW; k++)
      for (let x = 0; x < across; x++)
        out[y * across + x]! += WEIGHTS[k]! * rows[(y + k) * across + x]!;
  return out;
}

function gaussian(size: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
