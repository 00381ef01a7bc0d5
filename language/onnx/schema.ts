/** Element types of ONNX tensors (TensorProto.DataType of onnx.proto, IR version 13). */

interface ElementTypeInfo {
  /** TensorProto.DataType. */
  readonly code: number;
  /** Bits that one element takes in raw_data; sub-byte types are packed, complex types count both parts; 0: not fixed. */
  readonly bits: number;
}

export const ELEMENT_TYPES = {
  float32: { code: 1, bits: 32 },
  uint8: { code: 2, bits: 8 },
  int8: { code: 3, bits: 8 },
  uint16: { code: 4, bits: 16 },
  int16: { code: 5, bits: 16 },
  int32: { code: 6, bits: 32 },
  int64: { code: 7, bits: 64 },
  string: { code: 8, bits: 0 },
  bool: { code: 9, bits: 8 },
  float16: { code: 10, bits: 16 },
  float64: { code: 11, bits: 64 },
  uint32: { code: 12, bits: 32 },
  uint64: { code: 13, bits: 64 },
  complex64: { code: 14, bits: 64 },
  complex128: { code: 15, bits: 128 },
  bfloat16: { code: 16, bits: 16 },
  float8e4m3fn: { code: 17, bits: 8 },
  float8e4m3fnuz: { code: 18, bits: 8 },
  float8e5m2: { code: 19, bits: 8 },
  float8e5m2fnuz: { code: 20, bits: 8 },
  uint4: { code: 21, bits: 4 },
  int4: { code: 22, bits: 4 },
  float4e2m1: { code: 23, bits: 4 },
  float8e8m0: { code: 24, bits: 8 },
  uint2: { code: 25, bits: 2 },
  int2: { code: 26, bits: 2 },
} as const satisfies Record<string, ElementTypeInfo>;

/** `unknown` stands for a code that this version does not know; such tensors are carried, never computed with. */
export type ElementType = keyof typeof ELEMENT_TYPES | 'unknown';

const BY_CODE = new Map(
  Object.entries(ELEMENT_TYPES).map(([name, { code }]) => [code as number, name as ElementType]),
);

export const elementTypeOf = (code: number): ElementType => BY_CODE.get(code) ?? 'unknown';

export function elementCode(type: ElementType): number {
  return type === 'unknown' ? 0 : ELEMENT_TYPES[type].code;
}

/** Bits of one element, or 0 where it has no fixed size. */
export function elementBits(type: ElementType): number {
  return type === 'unknown' ? 0 : ELEMENT_TYPES[type].bits;
}

/** Bytes that `count` elements take when packed as raw_data. */
export function packedBytes(type: ElementType, count: number): number {
  return Math.ceil((count * elementBits(type)) / 8);
}

const FLOATS = new Set<ElementType>(['float32', 'float64', 'float16', 'bfloat16']);
/** IEEE-like floating point that passes compute with; the float8 and float4 families are storage formats. */
export const isFloat = (type: ElementType): boolean => FLOATS.has(type);

const INTEGERS = /^u?int\d+$/;
export const isInteger = (type: ElementType): boolean => INTEGERS.test(type);

export const MAIN_DOMAIN = '';
/** The default operator domain has two spellings. */
export const canonicalDomain = (domain: string): string =>
  domain === 'ai.onnx' ? MAIN_DOMAIN : domain;
