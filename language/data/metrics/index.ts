/** Every metric, by id. */
import { didYouMean, WhittleError } from '../../errors';
import type { MetricChoice } from '../description';
import { absrel } from './absrel';
import { answerAccuracy } from './answer-accuracy';
import { epsMse } from './eps-mse';
import { exactMatch } from './exact-match';
import { frechet } from './frechet';
import { map } from './map';
import { maskedAccuracy } from './masked-accuracy';
import type { FeatureModel, Metric, Tally } from './metric';
import { miou } from './miou';
import { pck } from './pck';
import { peakF1 } from './peak-f1';
import { perplexity } from './perplexity';
import { psnr } from './psnr';
import { ssim } from './ssim';
import { tokenPerplexity } from './token-perplexity';
import { top1 } from './top1';
import { top5 } from './top5';

const METRICS = [
  top1,
  top5,
  miou,
  absrel,
  peakF1,
  pck,
  map,
  psnr,
  ssim,
  frechet,
  answerAccuracy,
  exactMatch,
  perplexity,
  tokenPerplexity,
  maskedAccuracy,
  epsMse,
] as readonly Metric[];

/** Ids, titles and definitions, for completion and documentation. */
export const metricList: readonly Pick<Metric, 'id' | 'title' | 'definition' | 'higherIsBetter'>[] =
  METRICS;

/** A metric together with its parameters. */
export interface ChosenMetric {
  readonly id: string;
  readonly higherIsBetter: boolean;
  outputs(available: readonly string[]): readonly string[];
  start(): Tally;
  readonly features: FeatureModel | undefined;
}

/** @throws WhittleError for an unknown metric, or parameters that are not its own */
export function chooseMetric(choice: MetricChoice): ChosenMetric {
  const { id, ...rest } = choice;
  const metric = METRICS.find((candidate) => candidate.id === id);
  if (!metric) {
    const ids = METRICS.map((candidate) => candidate.id);
    throw new WhittleError(`there is no metric ${id}`, {
      hint: didYouMean(id, ids) || `Metrics are ${ids.join(', ')}`,
    });
  }
  const parsed = metric.parameters.safeParse(rest);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new WhittleError(`metric ${id}: ${[...issue.path, issue.message].join(': ')}`);
  }
  return {
    id,
    higherIsBetter: metric.higherIsBetter,
    outputs: (available) => metric.outputs(parsed.data, available),
    start: () => metric.start(parsed.data),
    features: metric.features?.(parsed.data),
  };
}

/** Loss of a metric relative to what it was, positive when worse; 0 when nothing changed. */
export function relativeDrop(
  { higherIsBetter }: Pick<ChosenMetric, 'higherIsBetter'>,
  before: number,
  after: number,
): number {
  const loss = higherIsBetter ? before - after : after - before;
  return loss === 0 ? 0 : loss / Math.abs(before);
}
