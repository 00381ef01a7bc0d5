/** The elements of a tensor: their bytes, and their values as numbers. */
import { WhittleError } from '../errors';
import { resolveExternal } from './external';
import type { Density, Tensor, TensorData } from './model';
import { elementBits, packedBytes, type ElementType } from './schema';
import { FileSource, spanBytes, type Span } from './source';
import { FieldReader } from './wire';

export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

export const elementCount = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Bytes that the elements take when packed; 0 for strings. */
export const tensorByteLength = (tensor: Pick<Tensor, 'elementType' | 'dims'>): number =>
  packedBytes(tensor.elementType, elementCount(tensor.dims));

/** Bytes that the elements take where they are stored: of a sparse tensor, those that it has and their places. */
export function storedByteLength(tensor: Tensor): number {
  const { data } = tensor;
  return data.kind === 'sparse'
    ? tensorByteLength(data.values) + tensorByteLength(data.indices)
    : tensorByteLength(tensor);
}

/** A tensor made in memory. `bytes` are packed little-endian elements. */
export function makeTensor(
  name: string,
  elementType: ElementType,
  dims: readonly number[],
  bytes: Uint8Array,
): Tensor {
  const tensor: Tensor = { name, elementType, dims, data: { kind: 'memory', bytes } };
  if (bytes.byteLength !== tensorByteLength(tensor))
    throw new Error(`${name}: ${bytes.byteLength} bytes for ${elementType} of ${dims.join('×')}`);
  return tensor;
}

export function int64Tensor(
  name: string,
  values: readonly number[],
  dims = [values.length],
): Tensor {
  return makeTensor(name, 'int64', dims, packInt64(values));
}

/** Packed int64; a number beyond the range (INT64_MAX read as a double, say) is clamped to it. */
export function packInt64(values: readonly number[]): Uint8Array {
  const clamped = (value: number) => (value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value));
  return new Uint8Array(BigInt64Array.from(values, clamped).buffer);
}

export function float32Tensor(
  name: string,
  values: ArrayLike<number>,
  dims = [values.length],
): Tensor {
  return makeTensor(name, 'float32', dims, new Uint8Array(Float32Array.from(values).buffer));
}

/** The tensor's elements as packed little-endian bytes: read from the file, or computed, now. */
export function tensorBytes(tensor: Tensor): Uint8Array {
  const expected = tensorByteLength(tensor);
  const bytes = dataBytes(tensor.data, tensor);
  if (elementBits(tensor.elementType) > 0 && bytes.byteLength !== expected)
    throw new WhittleError(
      `tensor ${tensor.name} of ${tensor.elementType} ${tensor.dims.join('×')} needs ${expected} bytes and has ${bytes.byteLength}`,
      { hint: 'The model is damaged' },
    );
  return bytes;
}

function dataBytes(data: TensorData, tensor: Tensor): Uint8Array {
  switch (data.kind) {
    case 'raw':
      return spanBytes(data.span);
    case 'memory':
      return data.bytes;
    case 'computed':
      return data.compute();
    case 'external': {
      const { length } = data.location;
      const location = { ...data.location, length: length ?? tensorByteLength(tensor) };
      const span = resolveExternal(location, tensor.name);
      const bytes = spanBytes(span);
      // Models keep hundreds of tensors in as many files.
      if (span.source instanceof FileSource) span.source.release();
      return bytes;
    }
    case 'typed':
      return typedBytes(data.field, data.message, tensor);
    case 'sparse':
      return sparseBytes(data.values, data.indices, tensor);
  }
}

/** Larger tensors are never made dense; nobody computes with them. */
const MOST_DENSE_BYTES = 2 ** 31;

function sparseBytes(values: Tensor, indices: Tensor, { name, dims, elementType }: Tensor) {
  const width = elementBits(elementType) / 8;
  const length = tensorByteLength({ dims, elementType });
  if (!Number.isInteger(width) || width === 0 || length > MOST_DENSE_BYTES)
    throw new WhittleError(`the sparse tensor ${name} cannot be read as a dense one`);
  const places = tensorNumbers(indices);
  const elements = tensorBytes(values);
  const rank = indices.dims.length === 2 ? dims.length : 1;
  const out = new Uint8Array(length);
  for (let i = 0; i * width < elements.byteLength; i++) {
    let place = 0;
    for (let axis = 0; axis < rank; axis++)
      place = place * (rank === 1 ? 1 : dims[axis]!) + places[i * rank + axis]!;
    if (!(place >= 0 && (place + 1) * width <= length))
      throw new WhittleError(`the sparse tensor ${name} has an element outside its shape`);
    out.set(elements.subarray(i * width, (i + 1) * width), place * width);
  }
  return out;
}

/** int32_data holds everything of 32 bits or less that is not float; each element takes one varint. */
function typedBytes(field: number, message: Span, tensor: Tensor): Uint8Array {
  const expected = tensorByteLength(tensor);
  // Every element takes at least a byte in the file (and at most eight in memory), which bounds what is allocated.
  if (expected > 8 * (message.end - message.start)) return new Uint8Array(0);
  const out = new Uint8Array(expected);
  const view = new DataView(out.buffer);
  const width = Math.max(8, elementBits(tensor.elementType)) / 8;
  let at = 0;
  const reader = FieldReader.of(message, `tensor ${tensor.name}`);
  while (reader.next()) {
    if (reader.field !== field) continue;
    if (field === FLOAT_DATA || field === DOUBLE_DATA) {
      const bytes = reader.bytes();
      if (at + bytes.byteLength <= expected) out.set(bytes, at);
      at += bytes.byteLength;
      continue;
    }
    for (const value of reader.integers()) {
      if (at + width <= expected) setInteger(view, at, width, value);
      at += width;
    }
  }
  return at === expected ? out : new Uint8Array(0); // the caller reports the wrong length
}

const FLOAT_DATA = 4;
const DOUBLE_DATA = 10;

function setInteger(view: DataView, at: number, width: number, value: bigint): void {
  if (width === 8) view.setBigInt64(at, value, true);
  else if (width === 4) view.setInt32(at, Number(value), true);
  else if (width === 2) view.setInt16(at, Number(value), true);
  else view.setInt8(at, Number(value));
}

/**
 * The elements as numbers. 16-bit floats are widened to float32, int64 and uint64 to float64 (exact up to ±2^53), and
 * sub-byte integers to bytes; floats of 8 and 4 bits are widened to float32.
 * @throws WhittleError for strings and complex numbers.
 */
export function tensorNumbers(tensor: Tensor): Numbers {
  const bytes = tensorBytes(tensor);
  const aligned = () =>
    bytes.byteOffset % 8 === 0
      ? bytes.buffer
      : bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const offset = bytes.byteOffset % 8 === 0 ? bytes.byteOffset : 0;
  const count = elementCount(tensor.dims);
  switch (tensor.elementType) {
    case 'float32':
      return new Float32Array(aligned(), offset, count);
    case 'float64':
      return new Float64Array(aligned(), offset, count);
    case 'int8':
      return new Int8Array(aligned(), offset, count);
    case 'uint8':
    case 'bool':
      return new Uint8Array(aligned(), offset, count);
    case 'int16':
      return new Int16Array(aligned(), offset, count);
    case 'uint16':
      return new Uint16Array(aligned(), offset, count);
    case 'int32':
      return new Int32Array(aligned(), offset, count);
    case 'uint32':
      return new Uint32Array(aligned(), offset, count);
    case 'int64':
      return Float64Array.from(new BigInt64Array(aligned(), offset, count), Number);
    case 'uint64':
      return Float64Array.from(new BigUint64Array(aligned(), offset, count), Number);
    case 'float16':
      return Float32Array.from(new Uint16Array(aligned(), offset, count), fromFloat16);
    case 'bfloat16': {
      const wide = Uint32Array.from(
        new Uint16Array(aligned(), offset, count),
        (half) => half << 16,
      );
      return new Float32Array(wide.buffer);
    }
    case 'int4':
      return Int8Array.from(subBytes(bytes, 4, count), (code) => (code << 28) >> 28);
    case 'uint4':
      return subBytes(bytes, 4, count);
    case 'int2':
      return Int8Array.from(subBytes(bytes, 2, count), (code) => (code << 30) >> 30);
    case 'uint2':
      return subBytes(bytes, 2, count);
    case 'float4e2m1':
      return Float32Array.from(subBytes(bytes, 4, count), (code) => SMALL_FLOATS.float4e2m1(code));
    case 'float8e4m3fn':
    case 'float8e4m3fnuz':
    case 'float8e5m2':
    case 'float8e5m2fnuz':
    case 'float8e8m0':
      return Float32Array.from(bytes, SMALL_FLOATS[tensor.elementType]);
    default:
      throw new WhittleError(
        `tensor ${tensor.name} of ${tensor.elementType} cannot be read as numbers`,
      );
  }
}

/** Packed codes, lowest bits first. */
function subBytes(bytes: Uint8Array, bits: 2 | 4, count: number): Uint8Array {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i++)
    out[i] = (bytes[Math.floor(i / perByte)]! >> (bits * (i % perByte))) & mask;
  return out;
}

/** Codes one after another, lowest bits first, as tensors of few bits hold them; of signed ones the two's complement. */
export function packSubBytes(codes: ArrayLike<number>, bits: 2 | 4 | 8): Uint8Array {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const out = new Uint8Array(Math.ceil(codes.length / perByte));
  for (let i = 0; i < codes.length; i++)
    out[Math.floor(i / perByte)]! |= (codes[i]! & mask) << (bits * (i % perByte));
  return out;
}

interface SmallFloat {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** Codes without sign that stand for infinity, and from which on they are not numbers. */
  readonly infinity?: number;
  readonly nan: number;
  /** Without infinities and negative zero; the code of the latter is not a number. */
  readonly unsignedZero?: boolean;
}

/** The float8 and float4 types of the ONNX standard ("Float stored in 8 bits", "… 4 bits"). */
const smallFloat =
  ({ exponentBits, fractionBits, bias, infinity, nan, unsignedZero }: SmallFloat) =>
  (code: number): number => {
    const signBit = 1 << (exponentBits + fractionBits);
    const magnitude = code & (signBit - 1);
    const sign = code & signBit ? -1 : 1;
    if (unsignedZero) {
      if (code === signBit) return NaN;
    } else if (magnitude >= nan) return NaN;
    if (magnitude === infinity) return sign * Infinity;
    const exponent = magnitude >> fractionBits;
    const fraction = (magnitude & ((1 << fractionBits) - 1)) / (1 << fractionBits);
    if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
    return sign * (1 + fraction) * 2 ** (exponent - bias);
  };

const SMALL_FLOATS = {
  float8e4m3fn: smallFloat({ exponentBits: 4, fractionBits: 3, bias: 7, nan: 0x7f }),
  float8e4m3fnuz: smallFloat({
    exponentBits: 4,
    fractionBits: 3,
    bias: 8,
    nan: 0x80,
    unsignedZero: true,
  }),
  float8e5m2: smallFloat({
    exponentBits: 5,
    fractionBits: 2,
    bias: 15,
    infinity: 0x7c,
    nan: 0x7d,
  }),
  float8e5m2fnuz: smallFloat({
    exponentBits: 5,
    fractionBits: 2,
    bias: 16,
    nan: 0x80,
    unsignedZero: true,
  }),
  /** A power of two, for scales. */
  float8e8m0: (code: number) => (code === 255 ? NaN : 2 ** (code - 127)),
  float4e2m1: smallFloat({ exponentBits: 2, fractionBits: 1, bias: 1, nan: Infinity }),
};

export function fromFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const bits32 = new DataView(new ArrayBuffer(4));

/** Rounds to the nearest float16, ties to even. */
export function toFloat16(value: number): number {
  bits32.setFloat32(0, value);
  const bits = bits32.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
  if (magnitude < 0x38800000) {
    // subnormal: a multiple of 2^-24
    const scaled = Math.abs(Math.fround(value)) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Packed bytes of float values in a float element type. */
export function packFloats(
  values: ArrayLike<number>,
  elementType: 'float32' | 'float64' | 'float16' | 'bfloat16',
): Uint8Array {
  switch (elementType) {
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer);
    case 'float16':
      return new Uint8Array(Uint16Array.from(values, toFloat16).buffer);
    case 'bfloat16': {
      const wide = new Uint32Array(Float32Array.from(values).buffer);
      const half = Uint16Array.from(wide, (bits) =>
        (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16,
      );
      return new Uint8Array(half.buffer);
    }
  }
}

const densities = new WeakMap<Tensor, Density>();

/** How many elements are not zero. Reads the weights the first time; a computed tensor may know it without them. */
export function tensorDensity(tensor: Tensor): Density {
  let density = densities.get(tensor);
  if (!density) {
    density = tensor.density?.() ?? { nonzeros: countNonzeros(tensor), estimated: false };
    densities.set(tensor, density);
  }
  return density;
}

function countNonzeros(tensor: Tensor): number {
  const values = tensorNumbers(tensor);
  let nonzeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) nonzeros++;
  return nonzeros;
}

/** The strings of a string tensor. */
export function tensorStrings(tensor: Tensor): string[] {
  if (tensor.data.kind !== 'typed') return [];
  const out: string[] = [];
  const reader = FieldReader.of(tensor.data.message, `tensor ${tensor.name}`);
  while (reader.next()) if (reader.field === 6) out.push(reader.text());
  return out;
}
