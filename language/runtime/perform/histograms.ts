/**
 * How the elements of values inside a model are spread, as a whole and by channel. The elements leave ONNX Runtime a batch at a
 * time and go into bins that are few however many they are.
 */
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import type { Numbers } from '../session';
import type { Histogram } from '../tasks';
import { channelAxis } from './channels';
import type { ModelCopy } from './exposing';
import { GrowingHistogram, type Span } from './histogram';
import type { Surveyed } from './survey';
import type { Outputs, Watcher } from './watching';

export interface Bins {
  /** At most so many: a power of two. */
  readonly whole: number;
  readonly channel: number | undefined;
}

export function histogramWatchers(
  model: Model,
  copy: ModelCopy,
  values: ReadonlyMap<string, Surveyed>,
  bins: Bins,
): HistogramWatcher[] {
  const graph = Graph.of(model);
  return [...values].map(([value, { type, dims }]) => {
    const axis = channelAxis(graph, value, dims.length);
    return new HistogramWatcher(value, copy.expose(copy.widened(value, type)), axis, bins);
  });
}

export class HistogramWatcher implements Watcher {
  readonly #whole: GrowingHistogram;
  readonly #channels: GrowingHistogram[] = [];

  /** @param output name of the output that holds the elements */
  constructor(
    readonly about: string,
    private readonly output: string,
    private readonly axis: number,
    private readonly bins: Bins,
  ) {
    this.#whole = new GrowingHistogram(bins.whole);
  }

  add(outputs: Outputs): boolean {
    const { dims, values } = outputs.get(this.output)!;
    if (!addTo(this.#whole, values!, [{ from: 0, step: 1, length: elementCount(dims) }]))
      return false;
    const { channel } = this.bins;
    if (channel === undefined) return true;
    const size = dims[this.axis] ?? 1;
    const inner = elementCount(dims.slice(this.axis + 1));
    const outer = elementCount(dims.slice(0, this.axis));
    for (let c = 0; c < size; c++) {
      const own = (this.#channels[c] ??= new GrowingHistogram(channel));
      addTo(own, values!, spansOf(c, { size, inner, outer }));
    }
    return true;
  }

  whole(): Histogram {
    return this.#whole.result();
  }

  channels(): readonly Histogram[] {
    return this.#channels.map((channel) => channel.result());
  }
}

interface Layout {
  readonly size: number;
  readonly inner: number;
  readonly outer: number;
}

/** Where the elements of a channel lie: one run where channels come last, else one for each index before them. */
function spansOf(channel: number, { size, inner, outer }: Layout): Span[] {
  if (inner === 1) return [{ from: channel, step: size, length: outer }];
  return Array.from({ length: outer }, (_, o) => ({
    from: (o * size + channel) * inner,
    step: 1,
    length: inner,
  }));
}

/** @returns false when an element is not finite */
function addTo(histogram: GrowingHistogram, values: Numbers, spans: readonly Span[]): boolean {
  let [min, max] = [Infinity, -Infinity];
  let isFinite = true;
  for (const { from, step, length } of spans)
    for (let i = 0, at = from; i < length; i++, at += step) {
      const value = values[at]!;
      if (value < min) min = value;
      if (value > max) max = value;
      isFinite &&= value - value === 0;
    }
  if (!isFinite) return false;
  if (min <= max) for (const span of spans) histogram.add(values, span, min, max);
  return true;
}
