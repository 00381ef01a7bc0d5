/** What a model is fed: tensors in the element types of its inputs. */
import { WhittleError } from '../errors';
import type { Shape, ValueType } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { toFloat16 } from '../onnx/tensor';
import type { InputType } from './description';

/** An input as the model declares it. */
export interface ModelInput {
  readonly name: string;
  /** Of a tensor; else what it is instead. */
  readonly elementType: ElementType | ValueType['kind'];
  /** Undefined: not even the rank is declared. */
  readonly shape: Shape | undefined;
  /** Integers fed here index something of this size. Made-up ones stay below it. */
  readonly below?: number;
  /** A key-value cache: this axis holds what was before, nothing at the start. `output` holds it with this run added. */
  readonly cache?: { readonly axis: number; readonly output: string };
}

/** float16 as its bits. */
export type FeedData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

export interface FeedTensor {
  readonly type: InputType | 'string';
  readonly dims: readonly number[];
  readonly data: FeedData;
}

const INTEGER_ARRAYS = {
  int8: { array: Int8Array, min: -(2 ** 7), max: 2 ** 7 - 1 },
  uint8: { array: Uint8Array, min: 0, max: 2 ** 8 - 1 },
  int16: { array: Int16Array, min: -(2 ** 15), max: 2 ** 15 - 1 },
  uint16: { array: Uint16Array, min: 0, max: 2 ** 16 - 1 },
  int32: { array: Int32Array, min: -(2 ** 31), max: 2 ** 31 - 1 },
  uint32: { array: Uint32Array, min: 0, max: 2 ** 32 - 1 },
  bool: { array: Uint8Array, min: 0, max: 1 },
} as const;

/** Where numbers on their way to a tensor are collected. */
export type Staging = Float32Array | Float64Array;

export const stagingFor = (type: InputType, length: number): Staging =>
  type === 'float32' ? new Float32Array(length) : new Float64Array(length);

/**
 * Numbers in the representation of `type`.
 * @param place says where the i-th number comes from
 * @throws WhittleError for a number that an integer type cannot hold
 */
export function packNumbers(
  type: InputType,
  numbers: Staging,
  place: (i: number) => string,
): FeedData {
  switch (type) {
    case 'float32':
      return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
    case 'float64':
      return numbers instanceof Float64Array ? numbers : Float64Array.from(numbers);
    case 'float16':
      return Uint16Array.from(numbers, toFloat16);
    case 'int64':
      checkIntegers(type, numbers, -(2 ** 53), 2 ** 53, place);
      return BigInt64Array.from(numbers, BigInt);
    case 'uint64':
      checkIntegers(type, numbers, 0, 2 ** 53, place);
      return BigUint64Array.from(numbers, BigInt);
    default: {
      const { array, min, max } = INTEGER_ARRAYS[type];
      checkIntegers(type, numbers, min, max, place);
      return array.from(numbers);
    }
  }
}

function checkIntegers(
  type: InputType,
  numbers: Staging,
  min: number,
  max: number,
  place: (i: number) => string,
): void {
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i]!;
    if (Number.isInteger(value) && value >= min && value <= max) continue;
    throw new WhittleError(`${value} is no ${type}`, { where: place(i) });
  }
}

const FEED_TYPES: ReadonlySet<string> = new Set<InputType>([
  'float32',
  'float64',
  'float16',
  'int64',
  'uint64',
  ...(Object.keys(INTEGER_ARRAYS) as InputType[]),
]);

export const isFeedType = (type: string): type is InputType => FEED_TYPES.has(type);
