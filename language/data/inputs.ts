/** From an array of the data set to what one input of the model takes. */
import { WhittleError } from '../errors';
import { elementCount, type Numbers } from '../onnx/tensor';
import { placeOf, type ArrayFile, type StoredArray } from './arrays';
import { factorOf, openColumn, type Column } from './column';
import type { ArrayInput, InputDescription, InputType, NoisedInput } from './description';
import { cleanShares } from './diffusion';
import type { Staging } from './feed';

/** Feeds one input, sample by sample. */
export interface InputReader {
  readonly name: string;
  /** The element type that the description asks for, where it does. */
  readonly type: InputType | undefined;
  /** Sizes for one sample, as the model takes it. */
  readonly dims: readonly number[];
  /** Writes a sample to `out` from `at` on. */
  read(sample: number, out: Staging, at: number): void;
  /** How messages call a sample. */
  place(sample: number): string;
  /** The arrays behind it, the one that messages are about first. */
  readonly arrays: readonly StoredArray[];
}

/** @param where the description, for messages */
export function openInput(
  name: string,
  description: InputDescription,
  file: ArrayFile,
  where: string,
): InputReader {
  if ('fill' in description)
    return filledInput(name, description.fill, description.shape, description.type, where);
  if ('noised' in description) return noisedInput(name, description, file, where);
  return arrayInput(name, description, file, where);
}

/** The same for every sample. @param fill `count`: 0, 1, 2 … along the last axis */
export function filledInput(
  name: string,
  fill: number | 'count',
  dims: readonly number[],
  type: InputType | undefined,
  where: string,
): InputReader {
  const size = elementCount(dims);
  const row = dims.at(-1) ?? 1;
  const read: InputReader['read'] = (_, out, at) => {
    if (fill === 'count') for (let i = 0; i < size; i++) out[at + i] = i % row;
    else out.fill(fill, at, at + size);
  };
  return { name, type, dims, read, place: () => where, arrays: [] };
}

function arrayInput(
  name: string,
  description: ArrayInput,
  file: ArrayFile,
  where: string,
): InputReader {
  const column = openColumn(file, description);
  const { array } = column;
  const place = (sample: number) => placeOf(array, sample);
  const axes = axesOf(name, description, column.dims, where);
  const convert = converter(name, description, column, axes.channel, where);
  const { type } = description;
  if (!axes.order) {
    const read: InputReader['read'] = (sample, out, at) => convert(column.row(sample), out, at);
    return { name, type, dims: column.dims, read, place, arrays: [array] };
  }
  const source = sourceIndices(column.dims, axes.order);
  const converted = new Float64Array(source.length);
  return {
    name,
    type,
    dims: axes.order.map((axis) => column.dims[axis]!),
    read(sample, out, at) {
      convert(column.row(sample), converted, 0);
      for (let i = 0; i < source.length; i++) out[at + i] = converted[source[i]!]!;
    },
    place,
    arrays: [array],
  };
}

/** Clean data with stored noise on it, as a diffusion model sees it at a step of its schedule. */
function noisedInput(
  name: string,
  { noised, type }: NoisedInput,
  file: ArrayFile,
  where: string,
): InputReader {
  const clean = arrayInput(name, noised.clean, file, where);
  const noise = arrayInput(name, noised.noise, file, where);
  const time = openColumn(file, noised.time);
  if (clean.dims.join() !== noise.dims.join())
    throw new WhittleError(
      `clean data of ${clean.dims.join(' × ')} and noise of ${noise.dims.join(' × ')} do not fit each other`,
      { where: `inputs.${name} in ${where}` },
    );
  const shares = cleanShares(noised.schedule);
  const size = elementCount(clean.dims);
  const drawn = new Float64Array(size);
  const shareAt = (sample: number): number => {
    const row = time.row(sample);
    const share = row.length === 1 ? shares[row[0]!] : undefined;
    if (share !== undefined) return share;
    throw new WhittleError(
      `step ${row.join(', ')} is none of the ${shares.length} of the schedule`,
      {
        where: placeOf(time.array, sample),
      },
    );
  };
  return {
    ...clean,
    type,
    arrays: [...clean.arrays, ...noise.arrays, time.array],
    read(sample, out, at) {
      clean.read(sample, out, at);
      noise.read(sample, drawn, 0);
      const share = shareAt(sample);
      const [signal, deviation] = [Math.sqrt(share), Math.sqrt(1 - share)];
      for (let i = 0; i < size; i++) out[at + i] = signal * out[at + i]! + deviation * drawn[i]!;
    },
  };
}

/** `(x · scale − mean) / std` over a sample as it is stored. */
type Converter = (row: Numbers, out: Staging, at: number) => void;

function converter(
  name: string,
  description: ArrayInput,
  { array, dims }: Column,
  channelAxis: number | undefined,
  where: string,
): Converter {
  const scale = factorOf(description.scale ?? 1);
  const mean = [description.mean ?? 0].flat();
  const std = [description.std ?? 1].flat();
  if (scale === 1 && mean.every((m) => m === 0) && std.every((s) => s === 1))
    return (row, out, at) => out.set(row, at);
  const place = { where: `inputs.${name} in ${where}` };
  if (!Number.isFinite(scale) || std.includes(0))
    throw new WhittleError('scale and std must not divide by zero', place);
  const channels = Math.max(mean.length, std.length);
  if (channels > 1 && channelAxis === undefined)
    throw new WhittleError('mean and std per channel need a layout', {
      ...place,
      hint: 'Say which axis holds the channels: layout: NCHW',
    });
  const size = channels > 1 ? dims[channelAxis!]! : 1;
  if ([mean, std].some(({ length }) => length !== 1 && length !== size))
    throw new WhittleError(
      `mean and std have ${channels} numbers and array ${array.name} has ${size} channels`,
      place,
    );
  const offsets = Float64Array.from({ length: size }, (_, c) => mean[c] ?? mean[0]!);
  const divisors = Float64Array.from({ length: size }, (_, c) => std[c] ?? std[0]!);
  const normalised = (value: number, channel: number): number =>
    (value * scale - offsets[channel]!) / divisors[channel]!;
  // Elements of a sample are outer × channels × run, channel varying between runs.
  const run = elementCount(channels > 1 ? dims.slice(channelAxis! + 1) : dims);
  if (array.elementType === 'uint8' && description.prepend === undefined)
    return byteConverter(normalised, size, run);
  return (row, out, at) => {
    for (let i = 0, channel = 0; i < row.length; channel = (channel + 1) % size)
      for (const end = i + run; i < end; i++) out[at + i] = normalised(row[i]!, channel);
  };
}

/** The same by looking up: of a byte there are 256 values for each channel. */
function byteConverter(
  normalised: (value: number, channel: number) => number,
  size: number,
  run: number,
): Converter {
  const tables = Array.from({ length: size }, (_, channel) =>
    Float64Array.from({ length: 256 }, (_, value) => normalised(value, channel)),
  );
  return (row, out, at) => {
    const part = out.subarray(at, at + row.length);
    for (let i = 0, channel = 0; i < row.length; channel = (channel + 1) % size) {
      const table = tables[channel]!;
      for (const end = i + run; i < end; i++) part[i] = table[row[i]!]!;
    }
  };
}

interface Axes {
  /** The axis of a stored sample that holds the channels. */
  readonly channel: number | undefined;
  /** For each axis of the input the axis of the stored sample; undefined where they agree. */
  readonly order: readonly number[] | undefined;
}

function axesOf(
  name: string,
  { layout, stored }: ArrayInput,
  dims: readonly number[],
  where: string,
): Axes {
  const place = { where: `inputs.${name} in ${where}` };
  if (layout === undefined) {
    if (stored === undefined) return { channel: undefined, order: undefined };
    throw new WhittleError('stored needs the layout that the model takes', place);
  }
  const array = stored ?? layout;
  if (Array.from(array).sort().join('') !== Array.from(layout).sort().join(''))
    throw new WhittleError(`layouts ${layout} and ${array} have different axes`, place);
  if (array.length !== dims.length + 1)
    throw new WhittleError(`layout ${array} does not fit samples of ${dims.join(' × ')}`, place);
  const channel = array.indexOf('C') - 1;
  const order = Array.from(layout.slice(1), (axis) => array.indexOf(axis) - 1);
  return {
    channel: channel < 0 ? undefined : channel,
    order: array === layout ? undefined : order,
  };
}

/** For each element of the transposed sample, the index of the stored one. */
function sourceIndices(dims: readonly number[], order: readonly number[]): Uint32Array {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const out = new Uint32Array(elementCount(dims));
  const position = new Array<number>(dims.length).fill(0);
  for (let i = 0; i < out.length; i++) {
    let source = 0;
    for (let axis = 0; axis < order.length; axis++)
      source += position[axis]! * strides[order[axis]!]!;
    out[i] = source;
    for (let axis = order.length - 1; axis >= 0; axis--) {
      if (++position[axis]! < dims[order[axis]!]!) break;
      position[axis] = 0;
    }
  }
  return out;
}
