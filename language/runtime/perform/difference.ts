/** The difference between an output of two models, summed up batch by batch. */
import { elementCount } from '../../onnx/tensor';
import type { Output } from '../session';
import type { Divergence, OutputComparison } from '../tasks';

export class OutputTally {
  #signal = 0;
  #candidate = 0;
  #product = 0;
  #noise = 0;
  #maxAbs = 0;
  #equal = 0;
  #elements = 0;
  #kind: 'floats' | 'integers' | 'strings' = 'floats';
  #problem: string | undefined;

  constructor(
    readonly name: string,
    problem?: string,
  ) {
    this.#problem = problem;
  }

  /** Once there is a problem, nothing more is compared. */
  add(reference: Output, candidate: Output): void {
    this.#problem ??= misfit(reference, candidate);
    if (this.#problem !== undefined) return;
    this.#elements += elementCount(reference.dims);
    if (reference.strings && candidate.strings)
      this.#addStrings(reference.strings, candidate.strings);
    else if (reference.values && candidate.values)
      this.#addNumbers(reference.type, reference.values, candidate.values);
  }

  result(): Omit<OutputComparison, keyof Divergence> {
    const { name } = this;
    const nothing = { name, sqnrDb: null, cosine: null, maxAbs: null, agreement: null };
    if (this.#problem !== undefined) return { ...nothing, problem: this.#problem };
    if (this.#elements === 0) return { ...nothing, problem: 'the output has no elements' };
    const agreement = this.#equal / this.#elements;
    if (this.#kind === 'strings') return { ...nothing, agreement };
    if (this.#kind === 'integers') return { ...nothing, agreement, maxAbs: this.#maxAbs };
    const powers = this.#signal * this.#candidate;
    return {
      ...nothing,
      sqnrDb:
        this.#signal > 0 && this.#noise > 0 ? 10 * Math.log10(this.#signal / this.#noise) : null,
      cosine: powers > 0 ? Math.min(1, this.#product / Math.sqrt(powers)) : null,
      maxAbs: this.#maxAbs,
    };
  }

  #addStrings(reference: readonly string[], candidate: readonly string[]): void {
    this.#kind = 'strings';
    reference.forEach((text, i) => (this.#equal += text === candidate[i] ? 1 : 0));
  }

  #addNumbers(type: string, reference: ArrayLike<number>, candidate: ArrayLike<number>): void {
    this.#kind = type.startsWith('float') ? 'floats' : 'integers';
    let [signal, power, product, noise, maxAbs, equal] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < reference.length; i++) {
      const a = reference[i]!;
      const b = candidate[i]!;
      const difference = a === b ? 0 : a - b; // equal infinities do not differ
      signal += a * a;
      power += b * b;
      product += a * b;
      noise += difference * difference;
      if (!(Math.abs(difference) <= maxAbs)) maxAbs = Math.abs(difference);
      if (a === b) equal++;
    }
    if (!Number.isFinite(noise)) {
      this.#problem = nonFinite(reference, candidate);
      return;
    }
    this.#signal += signal;
    this.#candidate += power;
    this.#product += product;
    this.#noise += noise;
    this.#maxAbs = Math.max(this.#maxAbs, maxAbs);
    this.#equal += equal;
  }
}

function misfit(reference: Output, candidate: Output): string | undefined {
  const sizes = ({ dims }: Output) => dims.join(' × ') || 'one number';
  if (sizes(reference) !== sizes(candidate))
    return `the sizes differ: ${sizes(reference)} and ${sizes(candidate)}`;
  if ((reference.strings === undefined) !== (candidate.strings === undefined))
    return `the types differ: ${reference.type} and ${candidate.type}`;
  return undefined;
}

function nonFinite(reference: ArrayLike<number>, candidate: ArrayLike<number>): string {
  const count = (values: ArrayLike<number>) =>
    Array.from(values).filter((value) => !Number.isFinite(value)).length;
  return `not all elements are finite: ${count(reference)} of the reference and ${count(candidate)} of the candidate are not`;
}
