/** Arrays by name, each with one row per sample: what every kind of source is read as. */
import { didYouMean, WhittleError } from '../errors';
import type { ElementType } from '../onnx/schema';
import type { Numbers } from '../onnx/tensor';

/** An array with one row per sample. */
export interface StoredArray {
  readonly name: string;
  /** The file or folder it comes from, for messages. */
  readonly file: string;
  readonly elementType: ElementType;
  /** Samples first. */
  readonly dims: readonly number[];
  /** The elements of one sample. */
  row(sample: number): Numbers;
  /** What messages call a sample, where each has a file or a line of its own. */
  readonly sampleName?: (sample: number) => string;
}

/** Something that holds arrays by name. */
export interface ArrayFile {
  readonly file: string;
  /** @throws WhittleError naming file and array when it is not there or cannot be used */
  array(name: string): StoredArray;
}

/** Arrays that are opened when they are first asked for. @param open undefined: there is no such array */
export function arrayFile(
  file: string,
  names: readonly string[],
  open: (name: string) => StoredArray | undefined,
): ArrayFile {
  const opened = new Map<string, StoredArray>();
  return {
    file,
    array(name) {
      const array = opened.get(name) ?? open(name);
      if (!array)
        throw new WhittleError(`there is no array ${name}`, {
          where: file,
          hint: didYouMean(name, names) || `It holds ${names.join(', ') || 'nothing'}`,
        });
      opened.set(name, array);
      return array;
    },
  };
}

/** How messages call a sample of an array. */
export const placeOf = ({ name, file, sampleName }: StoredArray, sample: number): string =>
  `array ${name}, sample ${sample} in ${sampleName?.(sample) ?? file}`;
