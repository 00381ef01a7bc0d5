/** Several kinds of statistics of values inside a model, captured in one pass over a data set. */
import { describeError } from '../../errors';
import { Graph } from '../../graph/graph';
import { elementCount } from '../../onnx/tensor';
import type { Context } from '../perform';
import { nameOf, readStructure } from '../session';
import type { Captured, KindsRequest } from '../tasks';
import { AttentionWatcher, attentionWatcher, probabilitiesOf } from './attentionMaps';
import { basisOf, openData } from './data';
import { HistogramWatcher, histogramWatchers } from './histograms';
import { MomentWatcher, momentWatchers } from './moments';
import { inParts, partWords, survey, type Surveyed } from './survey';
import { watchOver, type Watcher } from './watching';

/** Bytes of the elements that leave ONNX Runtime at a time. Every part is a run over the data. */
const PART = { most: 2 ** 26, fewest: 1 } as const;

export async function capture(request: KindsRequest, context: Context): Promise<Captured> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const graph = Graph.of(model);
  const probes = request.attentions ?? [];
  const hidden = probes
    .filter(({ kind }) => kind === 'decomposed')
    .map((probe) => probabilitiesOf(graph, probe));
  const all = { ...request, values: [...request.values, ...hidden] };
  const surveyed = await survey(model, all, dataset, context);
  const { batch } = surveyed;
  const skipped = new Map([...surveyed.skipped].filter(([value]) => !hidden.includes(value)));
  const asked = new Set(request.values);
  const values = new Map([...surveyed.values].filter(([value]) => asked.has(value)));

  const { histogramBins, channelBins } = request;
  const bytesOf = ({ dims }: Surveyed) =>
    histogramBins === undefined ? 0 : 4 * batch * elementCount(dims);
  const parts = inParts(values, bytesOf, PART);
  const found: Watcher[] = [];
  let samples = dataset.samples;
  for (const [p, part] of (parts.length > 0 ? parts : [new Map<string, Surveyed>()]).entries()) {
    const run = await watchOver<Watcher>(
      {
        ...{ model, request, dataset, context, batch, frugal: true },
        part: partWords(p, parts.length),
        onBroken: (about, error) => skipped.set(about, describeError(error)),
      },
      (copy) => {
        const watchers: Watcher[] = [];
        if (request.moments) watchers.push(...momentWatchers(model, copy, part));
        if (histogramBins !== undefined) {
          const bins = { whole: histogramBins, channel: channelBins };
          watchers.push(...histogramWatchers(model, copy, part, bins));
        }
        if (p > 0) return watchers;
        for (const probe of probes)
          try {
            const dims = surveyed.values.get(probabilitiesOf(graph, probe));
            watchers.push(attentionWatcher(graph, copy, probe, dims));
          } catch (error) {
            skipped.set(probe.node, describeError(error));
          }
        return watchers;
      },
    );
    found.push(...run.watchers);
    samples = run.samples;
  }
  const { moments, histograms, channelHistograms, attentions } = answersOf(found, skipped);
  const channels = channelBins === undefined ? new Map() : channelHistograms;
  return {
    ...{ ...basisOf(dataset), samples, skipped },
    ...{ moments, histograms, attentions, channelHistograms: channels },
  };
}

type Answers = {
  -readonly [K in 'moments' | 'histograms' | 'attentions']: Mutable<Captured[K]>;
} & {
  channelHistograms: Mutable<Captured['channelHistograms']>;
};
type Mutable<M> = M extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never;

function answersOf(watchers: readonly Watcher[], skipped: Map<string, string>): Answers {
  const answers: Answers = {
    moments: new Map(),
    histograms: new Map(),
    channelHistograms: new Map(),
    attentions: new Map(),
  };
  for (const watcher of watchers) {
    const { about } = watcher;
    if (watcher instanceof MomentWatcher) answers.moments.set(about, watcher.result());
    else if (watcher instanceof HistogramWatcher) {
      answers.histograms.set(about, watcher.whole());
      answers.channelHistograms.set(about, watcher.channels());
    } else if (watcher instanceof AttentionWatcher) {
      if (watcher.problem === undefined) answers.attentions.set(about, watcher.result());
      else skipped.set(about, watcher.problem);
    }
  }
  return answers;
}
