/** Smallest and largest element, mean and mean square of each channel of values inside a model over a data set. */
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import type { Context } from '../perform';
import { nameOf, readStructure, type Output } from '../session';
import type { CaptureRequest, ChannelStatistics, Moments } from '../tasks';
import { basisOf, openData } from './data';
import { channelAxis } from './channels';
import { ModelCopy, notFinite, wholeBatches } from './exposing';
import { survey, type Surveyed } from './survey';

export async function moments(request: CaptureRequest, context: Context): Promise<Moments> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const { values, skipped, batch: size } = await survey(model, request, dataset, context);
  const answer = { ...basisOf(dataset), skipped };
  if (values.size === 0) return { ...answer, moments: new Map() };
  const { copy, tallies } = watch(model, values);
  const session = await copy.open({ threads: request.threads }, context);
  const binding = dataset.bind(session.inputs, request.shapes);
  let done = 0;
  for (const batch of wholeBatches(binding, size)) {
    context.report(`running ${nameOf(request.model)}`, done, dataset.samples);
    const outputs = await session.run(batch.inputs);
    for (const [value, tally] of tallies)
      if (!tally.add(outputs)) throw notFinite(value, batch.samples, dataset.name);
    done += batch.samples.length;
  }
  const found = [...tallies].map(([value, tally]) => [value, tally.result()] as const);
  return { ...answer, samples: done, moments: new Map(found) };
}

function watch(model: Model, values: ReadonlyMap<string, Surveyed>) {
  const graph = Graph.of(model);
  const copy = new ModelCopy(model);
  const tallies = new Map<string, Tally>();
  for (const [value, { type, dims }] of values) {
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
    tallies.set(value, new Tally(probe, size));
  }
  return { copy, tallies };
}

/** Names of the outputs that say what is asked of one value. */
type Probe = Readonly<Record<'dims' | 'min' | 'max' | 'sum' | 'square', string>>;

class Tally {
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #sum: Float64Array;
  readonly #square: Float64Array;
  #count = 0;

  constructor(
    private readonly probe: Probe,
    size: number,
  ) {
    this.#min = new Float64Array(size).fill(Infinity);
    this.#max = new Float64Array(size).fill(-Infinity);
    this.#sum = new Float64Array(size);
    this.#square = new Float64Array(size);
  }

  /** @returns false when an element was not finite */
  add(outputs: ReadonlyMap<string, Output>): boolean {
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
