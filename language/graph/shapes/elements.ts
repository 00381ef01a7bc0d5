/** Computing with known elements: broadcasting, strides, and what each element type can hold. */
import type { Dim } from '../../onnx/model';
import { isFloat, isInteger, type ElementType } from '../../onnx/schema';
import { elementCount, fromFloat16, toFloat16 } from '../../onnx/tensor';
import type { KnownElements } from '../facts';
import { floorOf, isAtLeast, isEqual } from './dims';
import { MAX_ELEMENTS } from './values';

type Convert = (element: Dim) => Dim;

const keep: Convert = (element) => element;
const onNumbers =
  (convert: (value: number) => number | null): Convert =>
  (element) =>
    typeof element === 'number' ? convert(element) : element;

/** Numbers as elements of a type hold them: floats rounded, booleans as 0 and 1; null for what does not fit. */
export function holding(type: ElementType): Convert {
  if (type === 'float32') return onNumbers(Math.fround);
  if (type === 'float16') return onNumbers((value) => fromFloat16(toFloat16(value)));
  if (type === 'bool') return onNumbers((value) => (value === 0 ? 0 : 1));
  if (isInteger(type)) return onNumbers((value) => (Number.isSafeInteger(value) ? value : null));
  return keep;
}

/** Elements converted from one type to another, as Cast does; undefined for types that are not followed. */
export function casting(from: ElementType, to: ElementType): Convert | undefined {
  if (!isNumeric(from) || !isNumeric(to)) return undefined;
  if (to === 'bool') return (element) => notElement(equalElement(element, 0));
  // Constants such as INT64_MAX lie beyond what a double holds exactly and must pass between integer types.
  if (!isFloat(to) && !isFloat(from)) return keep;
  if (isFloat(to)) return holding(to);
  const fit = holding(to);
  return (element) => fit(typeof element === 'number' ? Math.trunc(element) : floorOf(element));
}

const isNumeric = (type: ElementType): boolean =>
  type === 'bool' || isInteger(type) || isFloat(type);

/** a ≥ b as an element. */
export function atLeastElement(a: Dim, b: Dim): Dim {
  const known = isAtLeast(a, b);
  return known === undefined ? null : known ? 1 : 0;
}

export function equalElement(a: Dim, b: Dim): Dim {
  const known = isEqual(a, b);
  return known === undefined ? null : known ? 1 : 0;
}

export const notElement = (a: Dim): Dim => (typeof a === 'number' ? (a === 0 ? 1 : 0) : null);

/** The shape that operands broadcast to, where it is small enough to compute with. */
export function broadcastDims(operands: readonly KnownElements[]): number[] | undefined {
  const rank = Math.max(0, ...operands.map(({ dims }) => dims.length));
  const result = new Array<number>(rank).fill(1);
  for (const { dims } of operands)
    dims.forEach((dim, i) => {
      const axis = i + rank - dims.length;
      if (result[axis] === 1) result[axis] = dim;
    });
  return elementCount(result) <= MAX_ELEMENTS ? result : undefined;
}

/** The elements of an operand repeated along the axes that it is broadcast to. */
export function broadcastElements(operand: KnownElements, to: readonly number[]): readonly Dim[] {
  const { dims, elements } = operand;
  const count = elementCount(to);
  if (elements.length === count) return elements;
  if (elements.length === 1) return new Array<Dim>(count).fill(elements[0]!);
  const lead = to.length - dims.length;
  const strides = new Array<number>(to.length).fill(0);
  for (let axis = dims.length - 1, stride = 1; axis >= 0; stride *= dims[axis--]!)
    if (dims[axis] !== 1) strides[lead + axis] = stride;
  // Offsets into the operand, axis by axis; plain loops because this is the hottest place of inference.
  let offsets = [0];
  for (let axis = 0; axis < to.length; axis++) {
    const next: number[] = [];
    for (const offset of offsets)
      for (let i = 0; i < to[axis]!; i++) next.push(offset + i * strides[axis]!);
    offsets = next;
  }
  return offsets.map((offset) => elements[offset]!);
}

/** Elements of a shape, each from the index it stands at. */
export function buildElements(
  dims: readonly number[],
  at: (index: readonly number[]) => Dim,
): Dim[] | undefined {
  const total = elementCount(dims);
  if (total > MAX_ELEMENTS) return undefined;
  const result = new Array<Dim>(total);
  const index = new Array<number>(dims.length).fill(0);
  for (let i = 0; i < total; i++) {
    result[i] = at(index);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < dims[axis]!) break;
      index[axis] = 0;
    }
  }
  return result;
}

export function elementAt({ dims, elements }: KnownElements, index: readonly number[]): Dim {
  let offset = 0;
  for (let axis = 0; axis < dims.length; axis++) offset = offset * dims[axis]! + index[axis]!;
  return elements[offset] ?? null;
}
