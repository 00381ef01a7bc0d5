/** A data set, opened: what it feeds to a model, batch by batch. */
import path from 'node:path';
import { didYouMean, WhittleError } from '../errors';
import { elementCount } from '../onnx/tensor';
import { openLabels, readLabels, type LabelColumn, type Labels } from './column';
import {
  parseDescription,
  readDescription,
  type ArrayDescription,
  type Description,
  type MetricChoice,
} from './description';
import {
  isFeedType,
  packNumbers,
  stagingFor,
  type FeedTensor,
  type ModelInput,
  type Staging,
} from './feed';
import { generatedDataset, type Sizes } from './generated';
import { filledInput, openInput, type InputReader } from './inputs';
import { sampleIndices } from './random';
import { openSource, resolveBeside } from './sources';

export interface Dataset {
  /** What messages and reports call it. */
  readonly name: string;
  /** Its inputs are made up: they say nothing about how good a model is. */
  readonly generated: boolean;
  /** How many samples are used. */
  readonly samples: number;
  readonly metric: MetricChoice | undefined;
  /** Where the paths of its metric start from. */
  readonly folder: string;
  /** Tokens that a model with key-value caches gets at a time; undefined: all of a sample. */
  readonly step: number | undefined;
  /**
   * Holds the data against the inputs of a model.
   * @param sizes of free dimensions, for inputs that are made up
   * @throws WhittleError naming file, array and sizes where they do not fit
   */
  bind(inputs: readonly ModelInput[], sizes?: Sizes): Binding;
}

export interface Binding {
  /** Samples that a batch must have; undefined: as many as one likes. */
  readonly batch: number | undefined;
  /** Whether the model's inputs, and so its outputs, have an axis for the samples. */
  readonly batched: boolean;
  /** Elements of the largest input for one sample. */
  readonly elements: number;
  /** Sizes of the inputs for one sample, by name. */
  readonly dims: ReadonlyMap<string, readonly number[]>;
  /** What a batch feeds holds until the next one is asked for, which may be written over it. */
  batches(size: number): Iterable<Batch>;
}

export interface Batch {
  /** Which samples of the data set it holds, by their position there. */
  readonly samples: readonly number[];
  /** Of a model with a fixed batch, the last one is filled up with repeats of its last sample. */
  readonly inputs: ReadonlyMap<string, FeedTensor>;
  readonly target: Labels | undefined;
  readonly mask: Labels | undefined;
  readonly extra: ReadonlyMap<string, Labels>;
}

export interface LoadOptions {
  /** Instead of what the description says. */
  readonly samples?: number | undefined;
  readonly seed?: number | undefined;
  /** The file that an inline description stands in, for messages. */
  readonly inlineIn?: string | undefined;
}

/**
 * Opens a data set given by the path of its description or by the description itself.
 * @param folder where a path, or the paths of an inline description, start from
 * @throws WhittleError naming the file, the array and the sample that is wrong
 */
export function loadDataset(
  from: string | Description,
  folder: string,
  options: LoadOptions = {},
): Dataset {
  if (typeof from !== 'string') {
    const where = options.inlineIn ?? 'the recipe';
    return open(parseDescription(from, where), folder, where, options);
  }
  const file = resolveBeside(folder, from);
  return open(readDescription(file), path.dirname(file), file, options);
}

function open(
  description: Description,
  folder: string,
  where: string,
  options: LoadOptions,
): Dataset {
  const chosen = {
    ...description,
    samples: options.samples ?? description.samples,
    seed: options.seed ?? description.seed,
  };
  if (!('inputs' in chosen)) return generatedDataset(chosen);
  return arrayDataset(chosen, folder, where);
}

interface Columns {
  readonly inputs: ReadonlyMap<string, InputReader>;
  readonly target: LabelColumn | undefined;
  readonly mask: LabelColumn | undefined;
  readonly extra: ReadonlyMap<string, LabelColumn>;
}

function arrayDataset(description: ArrayDescription, folder: string, where: string): Dataset {
  const file = openSource(description.source, folder);
  const { target, extra } = description;
  const columns: Columns = {
    inputs: mapValues(description.inputs, (input, name) => openInput(name, input, file, where)),
    target: target && openLabels(file, target),
    mask: target?.mask && openLabels(file, target.mask),
    extra: mapValues(extra ?? {}, (column) => openLabels(file, column)),
  };
  const available = commonLength(columns, where);
  const samples = description.samples ?? available;
  if (available === 0)
    throw new WhittleError('the data set is empty: its arrays hold no samples', {
      where: file.file,
    });
  if (samples < 1 || samples > available)
    throw new WhittleError(`${samples} samples are asked for and there are ${available}`, {
      where: file.file,
    });
  const indices = sampleIndices(available, samples, description.seed ?? 0);
  return {
    name: path.basename(file.file),
    generated: false,
    samples,
    metric: description.metric,
    folder,
    step: description.step,
    bind: (inputs) => bind(columns, inputs, indices, where),
  };
}

/** Every array has a row for every sample. */
function commonLength({ inputs, target, mask, extra }: Columns, where: string): number {
  const fed = [...inputs.values()].flatMap((input) => input.arrays);
  const labels = [target, mask, ...extra.values()].flatMap((column) => column?.array ?? []);
  const arrays = [...fed, ...labels];
  const first = arrays[0];
  if (!first) throw new WhittleError('no input is read from the data', { where });
  const other = arrays.find((array) => array.dims[0] !== first.dims[0]);
  if (other)
    throw new WhittleError(
      `array ${first.name} has ${first.dims[0]} samples and array ${other.name} has ${other.dims[0]}`,
      { where: first.file },
    );
  return first.dims[0]!;
}

interface BoundInput {
  readonly model: ModelInput;
  readonly reader: InputReader;
  readonly type: Exclude<FeedTensor['type'], 'string'>;
  /** Whether the model's input has an axis for the samples. */
  readonly batched: boolean;
}

function bind(
  columns: Columns,
  inputs: readonly ModelInput[],
  indices: Uint32Array,
  where: string,
): Binding {
  const names = inputs.map((input) => input.name);
  for (const name of columns.inputs.keys())
    if (!names.includes(name))
      throw new WhittleError(`the model has no input ${name}`, {
        where,
        hint: didYouMean(name, names) || `Its inputs are ${names.join(', ')}`,
      });
  const bound = inputs.map((input) => bindInput(columns, input, where));
  const batch = fixedBatch(bound, where);
  return {
    batch,
    batched: bound.every((input) => input.batched),
    elements: Math.max(0, ...bound.map(({ reader }) => elementCount(reader.dims))),
    dims: new Map(bound.map(({ model, reader }) => [model.name, reader.dims])),
    *batches(size) {
      const step = batch ?? Math.max(1, Math.min(size, indices.length));
      const fed = bound.map((input) => ({
        ...input,
        staging: stagingFor(input.type, step * elementCount(input.reader.dims)),
      }));
      for (let at = 0; at < indices.length; at += step) {
        const samples = [...indices.subarray(at, at + step)];
        yield makeBatch(columns, fed, samples, batch ?? samples.length);
      }
    },
  };
}

function bindInput({ inputs }: Columns, model: ModelInput, where: string): BoundInput {
  const reader = inputs.get(model.name) ?? emptyCache(model, where);
  if (!reader)
    throw new WhittleError(`nothing feeds the model's input ${model.name}`, {
      where,
      hint: didYouMean(model.name, inputs.keys()) || 'Add it under inputs',
    });
  const { elementType: type, shape } = model;
  if (!isFeedType(type))
    throw new WhittleError(`input ${model.name} of ${type} cannot be fed from arrays`, { where });
  if (reader.type !== undefined && reader.type !== type)
    throw new WhittleError(`input ${model.name} takes ${type}, not ${reader.type}`, { where });
  const { dims, arrays } = reader;
  const fits = (sizes: readonly unknown[]) =>
    sizes.length === dims.length &&
    dims.every((dim, i) => typeof sizes[i] !== 'number' || sizes[i] === dim);
  const batched = shape === undefined || (shape.length > 0 && fits(shape.slice(1)));
  if (!batched && !fits(shape))
    throw new WhittleError(
      `a sample of ${dims.join(' × ') || 'one number'} does not fit input ${model.name} of ` +
        shape.map((dim) => dim ?? '?').join(' × '),
      { where: arrays[0] ? `array ${arrays[0].name} in ${arrays[0].file}` : where },
    );
  return { model, reader, type, batched };
}

/** What a key-value cache holds before anything was seen. */
function emptyCache({ name, shape, cache }: ModelInput, where: string): InputReader | undefined {
  if (!cache || !shape) return undefined;
  const sizes = shape.slice(1).map((dim, i) => (i + 1 === cache.axis ? 0 : dim));
  if (!sizes.every((size): size is number => typeof size === 'number')) return undefined;
  return filledInput(name, 0, sizes, undefined, where);
}

function fixedBatch(inputs: readonly BoundInput[], where: string): number | undefined {
  const sizes = new Map<number, string>();
  for (const { model, batched } of inputs) {
    const size = batched ? model.shape?.[0] : 1;
    if (typeof size === 'number') sizes.set(size, model.name);
  }
  if (sizes.size < 2) return [...sizes.keys()][0];
  const list = [...sizes].map(([size, name]) => `${name} takes ${size}`).join(', ');
  throw new WhittleError(`the inputs take different numbers of samples at once: ${list}`, {
    where,
  });
}

interface FedInput extends BoundInput {
  /** Where the numbers of a batch are collected. */
  readonly staging: Staging;
}

/** @param size how many rows the inputs have: at least as many as there are samples */
function makeBatch(
  { target, mask, extra }: Columns,
  fed: readonly FedInput[],
  samples: readonly number[],
  size: number,
): Batch {
  return {
    samples,
    inputs: new Map(fed.map((input) => [input.model.name, feed(input, samples, size)])),
    target: target && readLabels(target, samples),
    mask: mask && readLabels(mask, samples),
    extra: new Map([...extra].map(([name, column]) => [name, readLabels(column, samples)])),
  };
}

function feed(
  { model, reader, type, batched, staging }: FedInput,
  samples: readonly number[],
  size: number,
): FeedTensor {
  const { dims } = reader;
  const length = elementCount(dims);
  const numbers = staging.subarray(0, size * length);
  for (let i = 0; i < size; i++)
    if (i < samples.length) reader.read(samples[i]!, numbers, i * length);
    else numbers.copyWithin(i * length, (i - 1) * length, i * length);
  const place = (i: number) =>
    reader.place(samples[Math.min(samples.length - 1, Math.floor(i / length))]!);
  if (model.below !== undefined) refuseBeyond(model.below, model.name, numbers, place);
  return { type, dims: batched ? [size, ...dims] : dims, data: packNumbers(type, numbers, place) };
}

/** What indexes a table stays inside it (from the end where negative); ids of another vocabulary do not. */
function refuseBeyond(
  below: number,
  input: string,
  numbers: Staging,
  place: (i: number) => string,
): void {
  for (let i = 0; i < numbers.length; i++)
    if (numbers[i]! >= below || numbers[i]! < -below)
      throw new WhittleError(
        `${numbers[i]!} is none of the ${below} ids that input ${input} takes`,
        {
          where: place(i),
          hint: 'Ids of another tokenizer or vocabulary do not fit this model',
        },
      );
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Map<string, To> {
  return new Map(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}
