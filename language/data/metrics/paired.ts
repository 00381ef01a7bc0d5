/**
 * How far chance alone may have moved the difference between two models that were judged on the same samples: the
 * delete-a-group jackknife (Kott: The Delete-a-Group Jackknife. Journal of Official Statistics 17, 2001). Samples are
 * dealt at random into groups, and the difference is taken anew without each of them, so that it holds for every metric,
 * those that are no mean over samples too.
 */
import { WhittleError } from '../../errors';
import { integerBelow, randomStream } from '../random';
import { relativeDrop, type ChosenMetric } from './index';
import type { Answer, MetricBatch, Tally } from './metric';

/** As many as surveys use: more would cost time, and hardly narrow the interval. */
const GROUPS = 20;
/** The 97.5 % point of Student's t with 19 degrees of freedom. */
const STUDENT = 2.093;

/** Of a relative loss, at 95 %. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Keeps the metric of both models without each group. */
export class PairedTallies {
  readonly #groupOf: Uint8Array;
  readonly #without: readonly (readonly [Tally, Tally])[];
  #seen = 0;

  /** @throws WhittleError for fewer samples than groups */
  constructor(
    private readonly metric: ChosenMetric,
    samples: number,
  ) {
    if (samples < GROUPS)
      throw new WhittleError(
        `an interval needs at least ${GROUPS} samples, and there are ${samples}`,
      );
    this.#groupOf = dealt(samples);
    this.#without = Array.from({ length: GROUPS }, () => [metric.start(), metric.start()]);
  }

  /** Batches of both models in the order of the samples. */
  add(reference: MetricBatch, candidate: MetricBatch): void {
    for (let row = 0; row < reference.samples.length; row++) {
      const own = this.#groupOf[this.#seen++]!;
      const [ours, theirs] = [onlyRow(reference, row), onlyRow(candidate, row)];
      this.#without.forEach(([before, after], group) => {
        if (group === own) return;
        before.add(ours);
        after.add(theirs);
      });
    }
  }

  /** Null where the metric is not finite. */
  interval(drop: number): Interval | null {
    const drops = this.#without.map(([before, after]) =>
      relativeDrop(this.metric, before.score().value, after.score().value),
    );
    const mean = drops.reduce((sum, one) => sum + one, 0) / GROUPS;
    const squares = drops.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    const half = STUDENT * Math.sqrt(((GROUPS - 1) / GROUPS) * squares);
    return Number.isFinite(half) ? { low: drop - half, high: drop + half } : null;
  }
}

/** The group of each sample: equal sizes, the same in every run. */
function dealt(samples: number): Uint8Array {
  const groups = Uint8Array.from({ length: samples }, (_, place) => place % GROUPS);
  const random = randomStream('groups of samples');
  for (let i = samples - 1; i > 0; i--) {
    const j = integerBelow(random, i + 1);
    [groups[i], groups[j]] = [groups[j]!, groups[i]!];
  }
  return groups;
}

/** One sample of a batch, as a batch. */
function onlyRow({ samples, answers, target, mask, extra }: MetricBatch, row: number): MetricBatch {
  const part = <T extends Pick<Answer, 'dims' | 'values'>>(of: T): T => {
    const rows = of.dims[0]! / samples.length;
    const size = of.values.length / samples.length;
    const values = Float64Array.from({ length: size }, (_, i) => of.values[row * size + i]!);
    return { ...of, dims: [rows, ...of.dims.slice(1)], values };
  };
  return {
    samples: [samples[row]!],
    answers: new Map([...answers].map(([name, answer]) => [name, part(answer)])),
    target: target && part(target),
    mask: mask && part(mask),
    extra: new Map([...extra].map(([name, labels]) => [name, part(labels)])),
  };
}
