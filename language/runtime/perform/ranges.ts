/** Smallest and largest element of values inside a model over a data set. */
import type { Dataset } from '../../data/dataset';
import type { Model } from '../../onnx/model';
import type { Context } from '../perform';
import { nameOf, readStructure, type Output, type Session } from '../session';
import type { Ranges, RangesRequest } from '../tasks';
import { basisOf, batchSize, openData } from './data';
import { chooseValues, ModelCopy, notFinite, type FloatType } from './exposing';

export async function ranges(request: RangesRequest, context: Context): Promise<Ranges> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const { types, skipped } = await chooseValues(model, request.values, request.model, context);
  const spans = types.size
    ? await watchValues(
        request,
        dataset,
        await openWatching(model, types, request, context),
        context,
      )
    : new Map<string, Span>();
  for (const [value, span] of spans) if (span.empty) skipped.set(value, 'it has no elements');
  const found = [...spans].filter(([, span]) => !span.empty);
  return {
    ...basisOf(dataset),
    ranges: new Map(found.map(([value, { min, max }]) => [value, { min, max }])),
    skipped,
  };
}

async function watchValues(
  { model, shapes }: RangesRequest,
  dataset: Dataset,
  { session, probes }: Watching,
  { report }: Context,
): Promise<ReadonlyMap<string, Span>> {
  const spans = new Map([...probes.keys()].map((value) => [value, new Span()]));
  const binding = dataset.bind(session.inputs, shapes);
  let done = 0;
  for (const batch of binding.batches(await batchSize(binding, session))) {
    report(`running ${nameOf(model)}`, done, dataset.samples);
    const outputs = await session.run(batch.inputs);
    for (const [value, probe] of probes)
      if (!spans.get(value)!.add(probe, outputs))
        throw notFinite(value, batch.samples, dataset.name);
    done += batch.samples.length;
  }
  await session.release();
  return spans;
}

interface Watching {
  readonly session: Session;
  readonly probes: ReadonlyMap<string, Probe>;
}

/** Names of the outputs that say what is asked of one value. */
interface Probe {
  readonly min: string;
  readonly max: string;
  /** The reductions for min and max may pass over a NaN; a sum never does. */
  readonly sum: string;
}

class Span {
  min = Infinity;
  max = -Infinity;

  get empty(): boolean {
    return this.min > this.max;
  }

  /** @returns false when the value was not finite */
  add(probe: Probe, outputs: ReadonlyMap<string, Output>): boolean {
    const [min, max, sum] = [probe.min, probe.max, probe.sum].map(
      (name) => outputs.get(name)!.values![0]!,
    ) as [number, number, number];
    if (min === Infinity && max === -Infinity && sum === 0) return true; // without elements
    if (Number.isNaN(sum) || !Number.isFinite(min) || !Number.isFinite(max)) return false;
    this.min = Math.min(this.min, min);
    this.max = Math.max(this.max, max);
    return true;
  }
}

/** The model with nothing but reductions of the watched values as its outputs. */
async function openWatching(
  model: Model,
  types: ReadonlyMap<string, FloatType>,
  { threads }: RangesRequest,
  context: Context,
): Promise<Watching> {
  const copy = new ModelCopy(model);
  const probes = new Map<string, Probe>();
  for (const [value, type] of types) {
    const wide = copy.widened(value, type);
    probes.set(value, {
      min: copy.expose(copy.reduce('ReduceMin', wide)),
      max: copy.expose(copy.reduce('ReduceMax', wide)),
      sum: copy.expose(copy.reduce('ReduceSum', wide)),
    });
  }
  return { session: await copy.open({ threads }, context), probes };
}
