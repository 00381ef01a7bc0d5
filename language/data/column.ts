/** One array of a data set, or the part of it that the description names, sample by sample. */
import { WhittleError } from '../errors';
import { isFloat } from '../onnx/schema';
import { elementCount, type Numbers } from '../onnx/tensor';
import { placeOf, type ArrayFile, type StoredArray } from './arrays';
import type { ColumnDescription, LabelDescription } from './description';

export interface Column {
  readonly array: StoredArray;
  /** Sizes for one sample. */
  readonly dims: readonly number[];
  /** @throws WhittleError naming file, array and sample where an element is not a number */
  row(sample: number): Numbers;
}

/** Several samples of a column. */
export interface Labels {
  /** Samples first. */
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

export function openColumn(file: ArrayFile, description: ColumnDescription): Column {
  const array = file.array(description.array);
  const [, ...rowDims] = array.dims;
  const part = sliceOf(array, rowDims[0], description.slice);
  const before = description.prepend ?? [];
  const sizes = part ? [part.to - part.from, ...rowDims.slice(1)] : rowDims;
  if (before.length > 0 && sizes.length !== 1)
    throw new WhittleError('prepend needs samples that are lists of numbers', {
      where: `array ${array.name} in ${array.file}`,
    });
  const inner = elementCount(rowDims.slice(1));
  return {
    array,
    dims: before.length > 0 ? [before.length + sizes[0]!] : sizes,
    row(sample) {
      const row = array.row(sample);
      const values = part ? row.subarray(part.from * inner, part.to * inner) : row;
      if (isFloat(array.elementType)) refuseNaN(values, array, sample);
      return before.length > 0 ? Float64Array.from([...before, ...values]) : values;
    },
  };
}

/** A column that answers are held against. */
export interface LabelColumn extends Column {
  readonly scale: number;
}

export const openLabels = (file: ArrayFile, description: LabelDescription): LabelColumn => ({
  ...openColumn(file, description),
  scale: factorOf(description.scale ?? 1),
});

export function readLabels(column: LabelColumn, samples: readonly number[]): Labels {
  const size = elementCount(column.dims);
  const values = new Float64Array(samples.length * size);
  samples.forEach((sample, i) => values.set(column.row(sample), i * size));
  if (column.scale !== 1) for (let i = 0; i < values.length; i++) values[i]! *= column.scale;
  return { dims: [samples.length, ...column.dims], values };
}

/** A number, or a fraction such as 1/255. */
export function factorOf(scale: number | string): number {
  if (typeof scale === 'number') return scale;
  const [numerator, denominator] = scale.split('/').map(Number);
  return numerator! / denominator!;
}

function sliceOf(
  array: StoredArray,
  size: number | undefined,
  slice: ColumnDescription['slice'],
): { from: number; to: number } | undefined {
  if (!slice) return undefined;
  const where = `array ${array.name} in ${array.file}`;
  if (size === undefined)
    throw new WhittleError('an array with one number per sample has no axis to slice', { where });
  const at = (index: number) => Math.min(size, Math.max(0, index < 0 ? index + size : index));
  const from = at(slice[0]);
  const to = at(slice[1] ?? size);
  if (from < to) return { from, to };
  throw new WhittleError(`slice [${slice.join(', ')}] of an axis of ${size} is empty`, { where });
}

function refuseNaN(values: Numbers, array: StoredArray, sample: number): void {
  for (let i = 0; i < values.length; i++)
    if (Number.isNaN(values[i]))
      throw new WhittleError('an element is not a number (NaN)', { where: placeOf(array, sample) });
}
