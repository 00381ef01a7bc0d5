/**
 * Smallest and largest element of values inside a model over a data set. A temporary copy of the model computes them itself,
 * so that activations never leave ONNX Runtime.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset';
import { didYouMean, WhittleError } from '../../errors';
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { writeModel } from '../../onnx/write';
import type { Context } from '../perform';
import {
  nameOf,
  openSession,
  readStructure,
  type Output,
  type Session,
  type SessionOptions,
} from '../session';
import type { Ranges, RangesRequest } from '../tasks';
import { basisOf, batchSize, openData } from './data';

export async function ranges(request: RangesRequest, context: Context): Promise<Ranges> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const graph = Graph.of(model);
  const values = [...new Set(request.values)];
  for (const value of values) requireValue(graph, value, request.model);
  const types = await elementTypes(model, graph, values, context);
  const { watched, skipped } = chooseValues(values, types);
  const spans = watched.length
    ? await watchValues(
        request,
        dataset,
        await openWatching(model, watched, types, request, context),
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

const notFinite = (value: string, samples: readonly number[], data: string): WhittleError =>
  new WhittleError(
    `value ${value} is not finite (infinite, or not a number) for one of the samples ${samples[0]} to ${samples.at(-1)}`,
    { where: data, hint: 'Such a value has no range; leave its layers out' },
  );

function requireValue(graph: Graph, value: string, model: string): void {
  if (graph.hasValue(value)) return;
  const names = graph.order.flatMap((node) => node.outputs);
  throw new WhittleError(`the model has no value ${value}`, {
    where: model,
    hint: didYouMean(value, names) || 'Values inside If, Loop and Scan cannot be watched',
  });
}

const WATCHABLE = new Set(['float32', 'float64', 'float16', 'bfloat16']);

function chooseValues(
  values: readonly string[],
  types: ReadonlyMap<string, string>,
): { watched: readonly string[]; skipped: Map<string, string> } {
  const isWatched = (value: string) => WATCHABLE.has(types.get(value)!);
  const skipped = new Map(
    values
      .filter((value) => !isWatched(value))
      .map((value) => [value, `it holds ${types.get(value)!}, not floats`]),
  );
  return { watched: values.filter(isWatched), skipped };
}

/** Element types of values: as declared, or as ONNX Runtime finds them when they are made outputs. */
async function elementTypes(
  model: Model,
  graph: Graph,
  values: readonly string[],
  context: Context,
): Promise<Map<string, string>> {
  const types = new Map<string, string>();
  for (const value of values) {
    const declared = declaredType(graph, value);
    if (declared !== undefined) types.set(value, declared);
  }
  const open = values.filter((value) => !types.has(value));
  if (open.length === 0) return types;
  const exposed = graph.fork();
  exposed.setOutputs(open.map((name) => ({ name, type: { kind: 'unknown' } })));
  const session = await openCopy(model, exposed, { optimisation: 'disabled' }, context);
  for (const { name, type } of session.declared.outputs)
    types.set(name, type ?? 'something other than a tensor');
  await session.release();
  return types;
}

function declaredType(graph: Graph, value: string): string | undefined {
  const constant = graph.constant(value);
  if (constant) return constant.elementType;
  const info =
    graph.valueInfo(value) ??
    [...graph.inputs, ...graph.outputs].find((candidate) => candidate.name === value);
  return info?.type.kind === 'tensor' && info.type.elementType !== 'unknown'
    ? info.type.elementType
    : undefined;
}

/** The model with nothing but reductions of the watched values as its outputs. */
async function openWatching(
  model: Model,
  values: readonly string[],
  types: ReadonlyMap<string, string>,
  { threads }: RangesRequest,
  context: Context,
): Promise<Watching> {
  const graph = Graph.of(model);
  if (!graph.opsets.has('')) graph.requireOpset('', 13);
  const probes = new Map(
    values.map((value) => [value, watch(graph, value, types.get(value)!)] as const),
  );
  const outputs = [...probes.values()].flatMap(({ min, max, sum }) => [min, max, sum]);
  graph.setOutputs(outputs.map((name) => ({ name, type: { kind: 'unknown' } })));
  return { session: await openCopy(model, graph, { threads }, context), probes };
}

const FLOAT32 = 1;

/** Sums of 16-bit floats overflow early, so they are widened first. */
function watch(graph: Graph, value: string, type: string): Probe {
  const near = graph.producer(value) ?? graph.consumers(value)[0] ?? graph.order[0]!;
  const add = (op: string, input: string, attribute: string, setting: number) => {
    const output = graph.freshValue(`${value}/${op}`);
    const attributes = { [attribute]: { kind: 'int', value: setting } } as const;
    graph.insert({ op, inputs: [input], outputs: [output], attributes }, near);
    return output;
  };
  const wide =
    type === 'float16' || type === 'bfloat16' ? add('Cast', value, 'to', FLOAT32) : value;
  const reduce = (op: string) => add(op, wide, 'keepdims', 0);
  return { min: reduce('ReduceMin'), max: reduce('ReduceMax'), sum: reduce('ReduceSum') };
}

/** Loads a changed model from a copy that is gone as soon as it is loaded. */
async function openCopy(
  model: Model,
  graph: Graph,
  options: SessionOptions,
  { scratch }: Context,
): Promise<Session> {
  const folder = await mkdtemp(path.join(scratch, 'copy-'));
  const copy = path.join(folder, 'model.onnx');
  writeModel(model, graph.toRecord(), graph.opsets, copy);
  const session = await openSession(copy, { ...options, copyOf: model.path });
  // Where the weights are mapped from the file it stays until the process ends.
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  return session;
}
