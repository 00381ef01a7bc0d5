/** Runs a model that decodes step by step: each step gets the next tokens, and as its caches what the step before wrote. */
import type { Batch } from '../../data/dataset';
import { packNumbers, stagingFor, type FeedTensor, type ModelInput } from '../../data/feed';
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import type { Output, Session } from '../session';

/** @param step tokens at a time; undefined: the whole of each sample at once, with nothing before it */
export function runBatch(
  session: Session,
  { inputs }: Batch,
  wanted: readonly string[],
  step: number | undefined,
): Promise<ReadonlyMap<string, Output>> {
  return step === undefined
    ? session.run(inputs, wanted)
    : runStepwise(session, inputs, wanted, step);
}

async function runStepwise(
  session: Session,
  inputs: Batch['inputs'],
  wanted: readonly string[],
  step: number,
): Promise<ReadonlyMap<string, Output>> {
  const caches = session.inputs.filter((input) => input.cache);
  if (caches.length === 0)
    throw new WhittleError('the model has no key-value cache to decode step by step with', {
      where: session.file,
      hint: 'Leave out step in the description of the data set',
    });
  const plan = partsOf(session, inputs);
  const carried = new Map(inputs);
  const asked = [...new Set([...wanted, ...caches.map(({ cache }) => cache!.output)])];
  const parts: ReadonlyMap<string, Output>[] = [];
  for (let at = 0; at < plan.length; at += step) {
    const end = Math.min(plan.length, at + step);
    for (const [name, takes] of plan.inputs)
      carried.set(name, columns(inputs.get(name)!, takes === 'step' ? at : 0, end));
    const outputs = await session.run(carried, asked);
    for (const cache of caches)
      carried.set(cache.name, asFeed(cache, outputs.get(cache.cache!.output)!));
    parts.push(outputs);
  }
  return new Map(wanted.map((name) => [name, joined(parts.map((part) => part.get(name)!))]));
}

interface Plan {
  /** Tokens of a sample. */
  readonly length: number;
  /** Inputs that get the tokens of a step, or all up to its end: masks over what was before too. */
  readonly inputs: ReadonlyMap<string, 'step' | 'all'>;
}

/** The first input of integers that looks something up holds the tokens; what shares its second axis goes with them. */
function partsOf(session: Session, inputs: Batch['inputs']): Plan {
  const tokens =
    session.inputs.find(
      ({ name, below }) => below !== undefined && inputs.get(name)!.dims.length > 1,
    ) ?? session.inputs.find(({ name, cache }) => !cache && inputs.get(name)!.dims.length > 1);
  const length = tokens && inputs.get(tokens.name)!.dims[1];
  if (!tokens || length === undefined)
    throw new WhittleError('no input of the model holds tokens: samples × positions', {
      where: session.file,
    });
  const parts = session.inputs.flatMap(({ name, shape, cache }) => {
    if (cache || inputs.get(name)!.dims[1] !== length) return [];
    return [[name, shape?.[1] === tokens.shape?.[1] ? 'step' : 'all'] as const];
  });
  return { length, inputs: new Map(parts) };
}

/** Positions [from, to) of samples × positions × … */
function columns({ type, dims, data }: FeedTensor, from: number, to: number): FeedTensor {
  const [rows = 0, length = 0, ...rest] = dims;
  const inner = elementCount(rest);
  const pick = <T>(array: { slice: (start: number, end: number) => T }, row: number) =>
    array.slice((row * length + from) * inner, (row * length + to) * inner);
  const size = [rows, to - from, ...rest];
  if (!ArrayBuffer.isView(data)) {
    const texts = Array.from({ length: rows }, (_, row) => pick(data, row)).flat();
    return { type, dims: size, data: texts };
  }
  const out = data.slice(0, elementCount(size));
  for (let row = 0; row < rows; row++)
    (out as Float64Array).set(pick(data as Float64Array, row), row * (to - from) * inner);
  return { type, dims: size, data: out };
}

function asFeed({ name }: ModelInput, { type, dims, values }: Output): FeedTensor {
  if (!values || (type !== 'float32' && type !== 'float16' && type !== 'float64'))
    throw new WhittleError(`cache ${name} of ${type} cannot be carried to the next step`);
  const numbers = stagingFor(type, values.length);
  numbers.set(values);
  return { type, dims, data: packNumbers(type, numbers, () => `cache ${name}`) };
}

/** Along the axis of the positions. */
function joined(parts: readonly Output[]): Output {
  const [first] = parts;
  const [rows = 0, , ...rest] = first!.dims;
  const inner = elementCount(rest);
  const length = parts.reduce((sum, { dims }) => sum + (dims[1] ?? 0), 0);
  const values = new Float32Array(rows * length * inner);
  let before = 0;
  for (const { dims, values: part } of parts) {
    const size = (dims[1] ?? 0) * inner;
    for (let row = 0; row < rows; row++)
      values.set(part!.subarray(row * size, (row + 1) * size), row * length * inner + before);
    before += size;
  }
  return { type: first!.type, dims: [rows, length, ...rest], values, strings: undefined };
}
