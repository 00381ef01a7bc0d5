/** How far two models differ in what they choose, where an output holds scores of classes. Summed up batch by batch. */
import { elementCount } from '../../onnx/tensor';
import type { Numbers, Output } from '../session';
import type { Divergence } from '../tasks';

export class DivergenceTally {
  #divergence = 0;
  #agreeing = 0;
  #positions = 0;
  #comparable = true;

  add(reference: Output, candidate: Output): void {
    const layout = classLayout(reference);
    const same = reference.dims.join() === candidate.dims.join();
    if (!layout || !same || !reference.values || !candidate.values) {
      this.#comparable = false;
      return;
    }
    const { classes, stride } = layout;
    const [p, q] = [new Float64Array(classes), new Float64Array(classes)];
    const positions = reference.values.length / classes;
    for (let i = 0; i < positions; i++) {
      const from = Math.floor(i / stride) * classes * stride + (i % stride);
      const best = logProbabilities(reference.values, from, stride, p);
      const found = logProbabilities(candidate.values, from, stride, q);
      for (let c = 0; c < classes; c++)
        if (p[c]! > -Infinity) this.#divergence += Math.exp(p[c]!) * (p[c]! - q[c]!);
      if (best === found) this.#agreeing++;
    }
    this.#positions += positions;
  }

  result(): Divergence {
    if (!this.#comparable || this.#positions === 0 || Number.isNaN(this.#divergence))
      return { klNats: null, top1Agreement: null };
    return {
      klNats: Math.max(0, this.#divergence / this.#positions),
      top1Agreement: this.#agreeing / this.#positions,
    };
  }
}

/** Classes are the last axis of samples × classes and of samples × positions × classes, and the second of maps. */
function classLayout({ type, dims }: Output): { classes: number; stride: number } | undefined {
  if (!type.startsWith('float') || dims.length < 2) return undefined;
  const axis = dims.length === 3 ? 2 : 1;
  const classes = dims[axis]!;
  return classes > 1 ? { classes, stride: elementCount(dims.slice(axis + 1)) } : undefined;
}

/** Near enough to 1 for a sum of 16-bit probabilities. */
const SUM_TOLERANCE = 1e-2;

/** Scores may be logits or probabilities already: numbers from 0 that sum to 1. @returns the best class */
function logProbabilities(
  values: Numbers,
  from: number,
  stride: number,
  out: Float64Array,
): number {
  let [sum, max, min, best] = [0, -Infinity, Infinity, 0];
  for (let c = 0; c < out.length; c++) {
    const score = values[from + c * stride]!;
    out[c] = score;
    sum += score;
    min = Math.min(min, score);
    if (score > max) {
      max = score;
      best = c;
    }
  }
  if (min >= 0 && Math.abs(sum - 1) < SUM_TOLERANCE) {
    for (let c = 0; c < out.length; c++) out[c] = Math.log(out[c]! / sum);
    return best;
  }
  let total = 0;
  for (let c = 0; c < out.length; c++) total += Math.exp(out[c]! - max);
  const normaliser = max + Math.log(total);
  for (let c = 0; c < out.length; c++) out[c]! -= normaliser;
  return best;
}
