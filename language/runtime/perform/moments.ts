/** Smallest and largest element, mean and mean square of each channel of values inside a model over a data set. */
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import type { Context } from '../perform';
import { nameOf, readStructure } from '../session';
import type { CaptureRequest, ChannelStatistics, Moments } from '../tasks';
import { basisOf, openData } from './data';
import { channelAxis } from './channels';
import type { ModelCopy } from './exposing';
import { survey, type Surveyed } from './survey';
import { watchOver, type Outputs, type Watcher } from './watching';

export async function moments(request: CaptureRequest, context: Context): Promise<Moments> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const { values, skipped, batch } = await survey(model, request, dataset, context);
  const { samples, watchers } = await watchOver(
    { model, request, dataset, context, batch },
    (copy) => momentWatchers(model, copy, values),
  );
  const found = watchers.map((watcher) => [watcher.about, watcher.result()] as const);
  return { ...basisOf(dataset), samples, moments: new Map(found), skipped };
}

export function momentWatchers(
  model: Model,
  copy: ModelCopy,
  values: ReadonlyMap<string, Surveyed>,
): MomentWatcher[] {
  const graph = Graph.of(model);
  return [...values].map(([value, { type, dims }]) => {
    const axis = channelAxis(graph, value, dims.length);
    const size = dims[axis] ?? 1;
    // Without another axis there is nothing to reduce over.
    const flat = dims.length > 1 ? value : copy.rows(value, size);
    const axes = dims.length > 1 ? dims.map((_, i) => i).filter((i) => i !== axis) : [0];
    const wide = copy.widened(flat, type);
    const double = copy.doubled(flat, type);
    const probe: Probe = {
      dims: copy.expose(copy.add('Shape', [flat])),
      min: copy.expose(copy.reduce('ReduceMin', wide, axes)),
      max: copy.expose(copy.reduce('ReduceMax', wide, axes)),
      sum: copy.expose(copy.reduce('ReduceSum', double, axes)),
      square: copy.expose(copy.reduce('ReduceSumSquare', double, axes)),
    };
    return new MomentWatcher(value, probe, size);
  });
}

/** Names of the outputs that say what is asked of one value. */
type Probe = Readonly<Record<'dims' | 'min' | 'max' | 'sum' | 'square', string>>;

export class MomentWatcher implements Watcher {
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #sum: Float64Array;
  readonly #square: Float64Array;
  #count = 0;

  constructor(
    readonly about: string,
    private readonly probe: Probe,
    size: number,
  ) {
    this.#min = new Float64Array(size).fill(Infinity);
    this.#max = new Float64Array(size).fill(-Infinity);
    this.#sum = new Float64Array(size);
    this.#square = new Float64Array(size);
  }

  add(outputs: Outputs): boolean {
    const { probe } = this;
    const read = (name: string) => outputs.get(name)!.values!;
    const elements = elementCount(Array.from(read(probe.dims)));
    if (elements === 0) return true;
    const size = this.#sum.length;
    this.#count += elements / size;
    const [min, max, sum, square] = [probe.min, probe.max, probe.sum, probe.square].map(read);
    for (let channel = 0; channel < size; channel++) {
      // A sum over what is infinite or not a number is neither finite.
      if (!Number.isFinite(square![channel])) return false;
      this.#min[channel] = Math.min(this.#min[channel]!, min![channel]!);
      this.#max[channel] = Math.max(this.#max[channel]!, max![channel]!);
      this.#sum[channel]! += sum![channel]!;
      this.#square[channel]! += square![channel]!;
    }
    return true;
  }

  result(): ChannelStatistics {
    const count = this.#count;
    return {
      count,
      min: this.#min,
      max: this.#max,
      mean: this.#sum.map((sum) => sum / count),
      meanSquare: this.#square.map((sum) => sum / count),
    };
  }
}
