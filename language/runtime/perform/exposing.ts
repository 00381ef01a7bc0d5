/**
 * Temporary copies of a model that compute what is asked of values inside it, so that activations need not leave ONNX
 * Runtime.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Batch, Binding } from '../../data/dataset';
import { didYouMean, WhittleError } from '../../errors';
import { Graph, type Node } from '../../graph/graph';
import type { AttributeValue, Model } from '../../onnx/model';
import { int64Tensor } from '../../onnx/tensor';
import { writeModel } from '../../onnx/write';
import type { Context } from '../perform';
import { openSession, type Session, type SessionOptions } from '../session';

export type FloatType = 'float32' | 'float64' | 'float16' | 'bfloat16';

export interface Watched {
  /** Values of floats, with their element types. */
  readonly types: ReadonlyMap<string, FloatType>;
  /** The other values, with the reason why they are not watched. */
  readonly skipped: Map<string, string>;
}

/** @throws WhittleError when the model has no such value */
export async function chooseValues(
  model: Model,
  wanted: readonly string[],
  file: string,
  context: Context,
): Promise<Watched> {
  const graph = Graph.of(model);
  const values = requireValues(graph, wanted, file);
  return floatsAmong(values, await elementTypes(model, graph, values, context));
}

/** Each once. @throws WhittleError when the model has no such value */
export function requireValues(graph: Graph, wanted: readonly string[], file: string): string[] {
  const values = [...new Set(wanted)];
  for (const value of values) requireValue(graph, value, file);
  return values;
}

export function floatsAmong(
  values: readonly string[],
  elementTypes: ReadonlyMap<string, string>,
): Watched {
  const types = new Map<string, FloatType>();
  const skipped = new Map<string, string>();
  for (const value of values) {
    const type = elementTypes.get(value)!;
    if (isFloatType(type)) types.set(value, type);
    else skipped.set(value, `it holds ${type}, not floats`);
  }
  return { types, skipped };
}

function requireValue(graph: Graph, value: string, model: string): void {
  if (graph.hasValue(value)) return;
  const names = graph.order.flatMap((node) => node.outputs);
  throw new WhittleError(`the model has no value ${value}`, {
    where: model,
    hint: didYouMean(value, names) || 'Values inside If, Loop and Scan cannot be watched',
  });
}

const FLOAT_TYPES: ReadonlySet<string> = new Set<FloatType>([
  'float32',
  'float64',
  'float16',
  'bfloat16',
]);
const isFloatType = (type: string): type is FloatType => FLOAT_TYPES.has(type);

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
  const copy = new ModelCopy(model);
  for (const value of open) copy.expose(value);
  const session = await copy.open({ optimisation: 'disabled' }, context);
  for (const [name, type] of outputTypes(session)) types.set(name, type);
  await session.release();
  return types;
}

/** Element types of outputs, in words where they are no tensors. */
export const outputTypes = ({ declared }: Session): ReadonlyMap<string, string> =>
  new Map(
    declared.outputs.map(({ name, type }) => [name, type ?? 'something other than a tensor']),
  );

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

const FLOAT32 = 1;
const FLOAT64 = 11;

/** A copy of a model with outputs of its own. */
export class ModelCopy {
  readonly #graph: Graph;
  readonly #outputs = new Set<string>();

  constructor(private readonly model: Model) {
    this.#graph = Graph.of(model);
    if (!this.#graph.opsets.has('')) this.#graph.requireOpset('', 13);
  }

  /** Makes a value an output. */
  expose(value: string): string {
    this.#outputs.add(value);
    return value;
  }

  /** Adds a node; answers the name of its output. */
  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const graph = this.#graph;
    const [value = ''] = inputs;
    const near = graph.producer(value) ?? graph.consumers(value)[0] ?? graph.order[0]!;
    const output = graph.freshValue(`${value}/${op}`);
    graph.insert({ op, inputs, outputs: [output], attributes }, near);
    return output;
  }

  /** Sums of 16-bit floats overflow early and lose digits: they are widened first. */
  widened(value: string, type: FloatType): string {
    return type === 'float16' || type === 'bfloat16' ? this.#cast(value, FLOAT32) : value;
  }

  doubled(value: string, type: FloatType): string {
    return type === 'float64' ? value : this.#cast(value, FLOAT64);
  }

  #cast(value: string, to: number): string {
    return this.add('Cast', [value], { to: { kind: 'int', value: to } });
  }

  /** In float32, whatever it is. */
  single(value: string): string {
    return this.#cast(value, FLOAT32);
  }

  /** For an output whose type its operator leaves open. */
  declareSingle(value: string): string {
    this.#graph.declare({ name: value, type: { kind: 'tensor', elementType: 'float32' } });
    return value;
  }

  /** The value as a matrix of so many columns. */
  rows(value: string, columns: number): string {
    return this.reshaped(value, [-1, columns]);
  }

  reshaped(value: string, dims: readonly number[]): string {
    return this.add('Reshape', [value, this.#integers(value, dims)]);
  }

  /** Parts of a value along its last axis. */
  split(value: string, sizes: readonly number[]): string[] {
    const asInput = this.#graph.opset >= AXES_AS_INPUT.ReduceSum;
    return this.again(
      { op: 'Split', domain: '', attributes: new Map(), outputs: [value] },
      asInput ? [value, this.#integers(value, sizes)] : [value],
      sizes.length,
      {
        axis: { kind: 'int', value: -1 },
        ...(!asInput && { split: { kind: 'ints', value: [...sizes] } }),
      },
    );
  }

  /** Adds a node like another, which may tell more; answers the names of its outputs. */
  again(
    { op, domain, attributes, outputs }: Pick<Node, 'op' | 'domain' | 'attributes' | 'outputs'>,
    inputs: readonly string[],
    count: number,
    more: Readonly<Record<string, AttributeValue>> = {},
  ): string[] {
    const graph = this.#graph;
    const own = [...attributes].map(([name, { value }]) => [name, value] as const);
    const names: string[] = [];
    for (let i = 0; i < count; i++) names.push(graph.freshValue(`${outputs[0]}/${op}/${i}`));
    const near = graph.producer(outputs[0] ?? '') ?? graph.order[0]!;
    graph.insert(
      { op, domain, inputs, outputs: names, attributes: { ...Object.fromEntries(own), ...more } },
      near,
    );
    return names;
  }

  /** A reduction over some axes, or over all of them. */
  reduce(op: ReduceOp, value: string, axes?: readonly number[]): string {
    const keepdims = { kind: 'int', value: 0 } as const;
    if (!axes) return this.add(op, [value], { keepdims });
    return this.#graph.opset >= AXES_AS_INPUT[op]
      ? this.add(op, [value, this.#integers(value, axes)], { keepdims })
      : this.add(op, [value], { keepdims, axes: { kind: 'ints', value: [...axes] } });
  }

  #integers(base: string, values: readonly number[]): string {
    const output = this.#graph.freshValue(`${base}/Constant`);
    const tensor = int64Tensor('', values);
    this.#graph.insert(
      {
        op: 'Constant',
        inputs: [],
        outputs: [output],
        attributes: { value: { kind: 'tensor', value: tensor } },
      },
      this.#graph.order[0]!,
    );
    return output;
  }

  /** Loads the copy, which is gone as soon as it is loaded. */
  async open(options: SessionOptions, { scratch }: Context): Promise<Session> {
    const graph = this.#graph;
    graph.setOutputs([...this.#outputs].map((name) => ({ name, type: { kind: 'unknown' } })));
    dropUnneeded(graph);
    const folder = await mkdtemp(path.join(scratch, 'copy-'));
    const copy = path.join(folder, 'model.onnx');
    writeModel(this.model, graph.toRecord(), graph.opsets, copy);
    const session = await openSession(copy, {
      ...options,
      copyOf: this.model.path,
      extra: PATIENT,
    });
    // Where the weights are mapped from the file it stays until the process ends.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    return session;
  }
}

/** Takes out what no output needs. */
function dropUnneeded(graph: Graph): void {
  for (const { id, outputs } of [...graph.order].reverse())
    if (!outputs.some((value) => graph.isRead(value) || graph.isOutput(value))) graph.remove(id);
  graph.removeUnused([...graph.initializers.keys()]);
}

/** Threads that wait for work sleep: what is watched runs beside other work, and nobody times it. */
const PATIENT = { session: { intra_op: { allow_spinning: '0' } } };

/** From this version of the operator set on, the axes of a reduction are an input. */
const AXES_AS_INPUT = { ReduceSum: 13, ReduceSumSquare: 18, ReduceMin: 18, ReduceMax: 18 } as const;
type ReduceOp = keyof typeof AXES_AS_INPUT;

/**
 * The batches that statistics are taken of. Where the model fixes the size of a batch and the last one is filled up with
 * repeats, that one is left out, unless it is the only one.
 */
export function* wholeBatches(binding: Binding, size: number): Generator<Batch> {
  let some = false;
  for (const batch of binding.batches(size)) {
    if (some && binding.batch !== undefined && batch.samples.length < binding.batch) return;
    some = true;
    yield batch;
  }
}

export const notFinite = (value: string, samples: readonly number[], data: string): WhittleError =>
  new WhittleError(
    `value ${value} is not finite (infinite, or not a number) for one of the samples ${samples[0]} to ${samples.at(-1)}`,
    { where: data, hint: 'Nothing can be said of such a value; leave its layers out' },
  );
