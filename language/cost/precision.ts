/** A layer as if it ran at another precision: what `--as int8` asks, and what hardware of one precision does anyway. */
import { elementBits, isFloat, type ElementType } from '../onnx/schema';
import type { Workload } from './workload';

export const PRECISIONS = ['int8', 'fp16'] as const;
export type Precision = (typeof PRECISIONS)[number];

const TYPES = {
  int8: { weight: 'int8', activation: 'uint8', bits: 8 },
  fp16: { weight: 'float16', activation: 'float16', bits: 16 },
} as const satisfies Record<Precision, object>;

const narrows = (type: ElementType | undefined, bits: number): type is ElementType =>
  type !== undefined && isFloat(type) && elementBits(type) > bits;

/** Bytes of a value or a tensor at a precision. */
export function narrowedBytes(
  bytes: number,
  type: ElementType | undefined,
  precision: Precision,
): number {
  const { bits } = TYPES[precision];
  return narrows(type, bits) ? Math.ceil((bytes * bits) / elementBits(type)) : bytes;
}

const narrowed = {
  int8: new WeakMap<Workload, Workload>(),
  fp16: new WeakMap<Workload, Workload>(),
};

/** Floating point wider than asked becomes narrower, weights and activations alike; integers stay as they are. */
export function atPrecision(workload: Workload, precision: Precision): Workload {
  if (workload.kind === 'free') return workload;
  let narrow = narrowed[precision].get(workload);
  if (!narrow) narrowed[precision].set(workload, (narrow = narrower(workload, precision)));
  return narrow;
}

function narrower(workload: Workload, precision: Precision): Workload {
  const { weight, activation, bits } = TYPES[precision];
  const scaled = (bytes: number, type: ElementType | undefined): number =>
    narrowedBytes(bytes, type, precision);
  const scaledOrNull = (bytes: number | null, type: ElementType | undefined): number | null =>
    bytes === null ? null : scaled(bytes, type);
  const { weightType, inputType, outputType, parts } = workload;
  return {
    ...workload,
    weightBytes: scaled(workload.weightBytes, weightType),
    weightReadBytes: scaled(workload.weightReadBytes, weightType),
    inputBytes: scaledOrNull(workload.inputBytes, inputType),
    outputBytes: scaledOrNull(workload.outputBytes, outputType),
    weightType: narrows(weightType, bits) ? weight : weightType,
    inputType: narrows(inputType, bits) ? activation : inputType,
    outputType: narrows(outputType, bits) ? activation : outputType,
    ...(parts && {
      parts: parts.map((part) => ({ ...part, workload: atPrecision(part.workload, precision) })),
    }),
  };
}
