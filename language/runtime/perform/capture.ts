/** Several kinds of statistics of values inside a model, captured in one pass over a data set. */
import { describeError } from '../../errors';
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import type { Context } from '../perform';
import { nameOf, readStructure } from '../session';
import type {
  AttentionMap,
  AttentionProbe,
  Captured,
  ChannelStatistics,
  Histogram,
  KindsRequest,
} from '../tasks';
import { AttentionWatcher, attentionWatcher, probabilitiesOf } from './attentionMaps';
import { basisOf, openData } from './data';
import type { ModelCopy } from './exposing';
import { HistogramWatcher, histogramWatchers } from './histograms';
import { MomentWatcher, momentWatchers } from './moments';
import { inParts, partWords, survey, type Survey, type Surveyed } from './survey';
import { watchOver, type Watcher } from './watching';

/** Bytes of the elements that leave ONNX Runtime at a time. Every part is a run over the data. */
const PART = { most: 2 ** 26, fewest: 1 } as const;
/** Attention alone is a part without values. */
const NO_VALUES: Survey['values'] = new Map();

export async function capture(request: KindsRequest, context: Context): Promise<Captured> {
  const { histogramBins, attentions = [], values: asked } = request;
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const hidden = probabilities(model, attentions);
  const wanted = { ...request, values: [...asked, ...hidden] };
  const surveyed = await survey(model, wanted, dataset, context);
  const { batch } = surveyed;
  const answers = new Answers(new Map([...surveyed.skipped].filter(([v]) => asked.includes(v))));
  const values = new Map([...surveyed.values].filter(([value]) => asked.includes(value)));
  const bytesOf = ({ dims }: Surveyed) =>
    histogramBins === undefined ? 0 : 4 * batch * elementCount(dims);
  const parts = inParts(values, bytesOf, PART);
  if (parts.length === 0) parts.push(NO_VALUES);
  const watch = {
    ...{ model, request, dataset, context, batch, frugal: true },
    onBroken: (about: string, error: Error) => answers.skip(about, error),
  };
  let samples = dataset.samples;
  for (const [p, part] of parts.entries()) {
    const run = await watchOver({ ...watch, part: partWords(p, parts.length) }, (copy) => [
      ...watchersOf(model, copy, part, request),
      ...(p === 0 ? attentionWatchers(model, copy, surveyed, attentions, answers) : []),
    ]);
    run.watchers.forEach((watcher) => answers.take(watcher));
    samples = run.samples;
  }
  const { moments, histograms, channelHistograms, maps, skipped } = answers;
  return {
    ...{ ...basisOf(dataset), samples, skipped },
    ...{ moments, histograms, channelHistograms, attentions: maps },
  };
}

function probabilities(model: Model, attentions: readonly AttentionProbe[]): string[] {
  const graph = Graph.of(model);
  const decomposed = attentions.filter(({ kind }) => kind === 'decomposed');
  return decomposed.map((probe) => probabilitiesOf(graph, probe));
}

function watchersOf(
  model: Model,
  copy: ModelCopy,
  values: Survey['values'],
  { moments, histogramBins, channelBins }: KindsRequest,
): Watcher[] {
  return [
    ...(moments ? momentWatchers(model, copy, values) : []),
    ...(histogramBins === undefined
      ? []
      : histogramWatchers(model, copy, values, { whole: histogramBins, channel: channelBins })),
  ];
}

function attentionWatchers(
  model: Model,
  copy: ModelCopy,
  { values }: Survey,
  probes: readonly AttentionProbe[],
  answers: Answers,
): Watcher[] {
  const graph = Graph.of(model);
  return probes.flatMap((probe): Watcher[] => {
    try {
      return [attentionWatcher(graph, copy, probe, values.get(probabilitiesOf(graph, probe)))];
    } catch (error) {
      answers.skip(probe.node, error);
      return [];
    }
  });
}

class Answers {
  readonly moments = new Map<string, ChannelStatistics>();
  readonly histograms = new Map<string, Histogram>();
  readonly channelHistograms = new Map<string, readonly Histogram[]>();
  readonly maps = new Map<string, AttentionMap>();

  constructor(readonly skipped: Map<string, string>) {}

  skip(about: string, reason: unknown): void {
    this.skipped.set(about, describeError(reason));
  }

  take(watcher: Watcher): void {
    const { about } = watcher;
    if (watcher instanceof MomentWatcher) this.moments.set(about, watcher.result());
    if (watcher instanceof HistogramWatcher) {
      this.histograms.set(about, watcher.whole());
      const channels = watcher.channels();
      if (channels.length > 0) this.channelHistograms.set(about, channels);
    }
    if (watcher instanceof AttentionWatcher) {
      if (watcher.problem === undefined) this.maps.set(about, watcher.result());
      else this.skip(about, watcher.problem);
    }
  }
}
