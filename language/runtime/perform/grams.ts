/**
 * XᵀX of values inside a model over a data set, each seen as rows over its last axis. ONNX Runtime multiplies the rows of a
 * batch; the products are added up in float64. Results go to a file as soon as they are complete, and values are taken a
 * group at a time, so that memory depends on neither the data nor the number of values.
 */
import type { Dataset } from '../../data/dataset';
import { WhittleError } from '../../errors';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import { ArrayWriter } from '../arrays';
import type { Context } from '../perform';
import { nameOf, readStructure, type Output } from '../session';
import type { GramPlace, Grams, GramsRequest } from '../tasks';
import { basisOf, openData } from './data';
import { ModelCopy, notFinite, wholeBatches } from './exposing';
import { collectGarbage } from './garbage';
import { survey, type Surveyed } from './survey';

/** What the sums of one group may take, at 8 bytes an element. */
const GROUP_BYTES = 24 * 2 ** 20;
/** Every group is a run over the data, so a few values share one however large they are. */
const FEWEST_VALUES = 4;

export async function grams(request: GramsRequest, context: Context): Promise<Grams> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const surveyed = await survey(model, request, dataset, context);
  const places = new Map<string, GramPlace>();
  const writer = new ArrayWriter(request.into);
  let samples = dataset.samples;
  const run = { model, batch: surveyed.batch, request, dataset, context };
  try {
    const groups = groupsOf(surveyed.values);
    for (const [g, group] of groups.entries()) {
      const part = groups.length > 1 ? `, part ${g + 1} of ${groups.length}` : '';
      const sums = await addUp(run, group, part);
      samples = sums.samples;
      for (const [value, { rows, size, data }] of sums.tallies)
        places.set(value, { rows, size, start: writer.add(data) });
    }
  } finally {
    writer.close();
  }
  return { ...basisOf(dataset), samples, grams: places, skipped: surveyed.skipped };
}

type Group = ReadonlyMap<string, Surveyed>;

function groupsOf(values: Group): Group[] {
  const groups: Map<string, Surveyed>[] = [];
  let group = new Map<string, Surveyed>();
  let bytes = 0;
  for (const [value, surveyed] of values) {
    const needed = 8 * (surveyed.dims.at(-1) ?? 1) ** 2;
    if (groups.length === 0 || (bytes + needed > GROUP_BYTES && group.size >= FEWEST_VALUES)) {
      groups.push((group = new Map<string, Surveyed>()));
      bytes = 0;
    }
    group.set(value, surveyed);
    bytes += needed;
  }
  return groups;
}

interface Run {
  readonly model: Model;
  readonly batch: number;
  readonly request: GramsRequest;
  readonly dataset: Dataset;
  readonly context: Context;
}

async function addUp(
  { model, batch: size, request, dataset, context }: Run,
  group: Group,
  part: string,
): Promise<{ readonly samples: number; readonly tallies: ReadonlyMap<string, Tally> }> {
  const { copy, tallies } = watch(model, group);
  const session = await copy.open({ threads: request.threads, frugal: true }, context);
  const binding = dataset.bind(session.inputs, request.shapes);
  let done = 0;
  for (const batch of wholeBatches(binding, size)) {
    context.report(`running ${nameOf(request.model)}${part}`, done, dataset.samples);
    const outputs = await session.run(batch.inputs);
    for (const [value, tally] of tallies)
      if (!tally.add(outputs)) throw notFinite(value, batch.samples, dataset.name);
    done += batch.samples.length;
    collectGarbage(); // else products of many batches wait for it
  }
  await session.release();
  return { samples: done, tallies };
}

function watch(model: Model, group: Group) {
  const copy = new ModelCopy(model);
  const tallies = new Map<string, Tally>();
  for (const [value, { type, dims }] of group) {
    const size = dims.at(-1) ?? 1;
    const rows = copy.rows(copy.widened(value, type), size);
    const across = copy.add('Transpose', [rows], { perm: { kind: 'ints', value: [1, 0] } });
    const product = copy.expose(copy.add('MatMul', [across, rows]));
    const shape = copy.expose(copy.add('Shape', [value]));
    tallies.set(value, new Tally(value, shape, product, size));
  }
  return { copy, tallies };
}

class Tally {
  readonly data: Float64Array;
  rows = 0;

  /** @param shape and `product`: names of the outputs that hold them */
  constructor(
    private readonly value: string,
    private readonly shape: string,
    private readonly product: string,
    readonly size: number,
  ) {
    this.data = new Float64Array(size * size);
  }

  /** @returns false when an element was not finite */
  add(outputs: ReadonlyMap<string, Output>): boolean {
    const { data, size } = this;
    const dims = Array.from(outputs.get(this.shape)!.values!);
    if ((dims.at(-1) ?? 1) !== size)
      throw new WhittleError(
        `the last axis of ${this.value} has ${size} elements for one sample and ${dims.at(-1)} for others`,
      );
    const rows = elementCount(dims) / size;
    if (rows === 0) return true;
    this.rows += rows;
    const product = outputs.get(this.product)!.values!;
    for (let i = 0; i < data.length; i++) data[i]! += product[i]!;
    for (let i = 0; i < size; i++) if (!Number.isFinite(product[i * size + i])) return false;
    return true;
  }
}
