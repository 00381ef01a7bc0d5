/** Making and comparing facts about values. */
import type { Dim, Shape, Tensor, ValueType } from '../../onnx/model';
import { isFloat, isInteger, type ElementType } from '../../onnx/schema';
import { elementCount, tensorNumbers } from '../../onnx/tensor';
import type { KnownElements, ValueFacts } from '../facts';
import { Impossible, sameShape } from './dims';

/** Elements are followed up to this many; shape computations are far smaller. */
export const MAX_ELEMENTS = 4096;

/** Facts with what only inference itself needs. */
export interface Known extends ValueFacts {
  /** What a sequence (or an optional value) holds, where that is known. */
  readonly items?: readonly ValueFacts[];
}

export const UNKNOWN: ValueFacts = {
  type: { kind: 'unknown' },
  shape: undefined,
  elements: undefined,
};

/** @throws Impossible for sizes that no tensor has. */
export function tensorOf(
  elementType: ElementType,
  shape: Shape | undefined,
  elements?: readonly Dim[],
): ValueFacts {
  if (!shape) return { type: { kind: 'tensor', elementType }, shape, elements: undefined };
  for (const dim of shape)
    if (typeof dim === 'number' && !(Number.isSafeInteger(dim) && dim >= 0))
      throw new Impossible(`a size would be ${dim}`);
  return {
    type: { kind: 'tensor', elementType, shape },
    shape,
    elements: elements && knownElements(shape, elements),
  };
}

/** Undefined when the shape is not fixed, has too many elements, or nothing is known of any. */
function knownElements(shape: Shape, elements: readonly Dim[]): KnownElements | undefined {
  const dims = shape.filter((dim) => typeof dim === 'number');
  if (dims.length !== shape.length || elements.length !== elementCount(dims)) return undefined;
  if (elements.length > MAX_ELEMENTS) return undefined;
  if (elements.length > 0 && elements.every((element) => element === null)) return undefined;
  return { dims, elements };
}

export const scalarOf = (elementType: ElementType, element?: Dim): ValueFacts =>
  tensorOf(elementType, [], element === undefined ? undefined : [element]);

export function sequenceOf(
  element: ValueType | undefined,
  items?: readonly ValueFacts[],
  kind: 'sequence' | 'optional' = 'sequence',
): Known {
  return {
    type: { kind, ...(element && { element }) },
    shape: undefined,
    elements: undefined,
    ...(items && { items }),
  };
}

/** What a declared type says. */
export function ofType(type: ValueType): ValueFacts {
  return type.kind === 'tensor' || type.kind === 'sparse'
    ? { type, shape: type.shape, elements: undefined }
    : { type, shape: undefined, elements: undefined };
}

export function elementTypeOf(facts: ValueFacts | undefined): ElementType {
  const type = facts?.type;
  return type?.kind === 'tensor' || type?.kind === 'sparse' ? type.elementType : 'unknown';
}

export const itemsOf = (facts: Known | undefined): readonly ValueFacts[] | undefined =>
  facts?.items;

// ---- constants

const constants = new WeakMap<Tensor, ValueFacts>();

/** Facts of a tensor, the same object each time. Its elements are read when somebody asks for them. */
export function ofTensor(tensor: Tensor): ValueFacts {
  let facts = constants.get(tensor);
  if (!facts) {
    facts = new ConstantFacts(tensor);
    constants.set(tensor, facts);
  }
  return facts;
}

/** Whether a tensor's elements may be asked for: few enough, numbers, and no weights that are yet to be computed. */
export function mayHaveElements({ elementType, dims, data }: Tensor): boolean {
  if (elementCount(dims) > MAX_ELEMENTS) return false;
  if (isInteger(elementType) || elementType === 'bool') return true;
  return isFloat(elementType) && data.kind !== 'computed';
}

/** Whether the elements of a value have to be read from a tensor when asked for. */
export const isConstant = (facts: ValueFacts | undefined): boolean =>
  facts instanceof ConstantFacts;

class ConstantFacts implements ValueFacts {
  readonly type: ValueType;
  readonly shape: Shape;
  #tensor: Tensor | undefined;
  #elements: KnownElements | undefined;

  constructor(tensor: Tensor) {
    this.shape = tensor.dims;
    this.type = { kind: 'tensor', elementType: tensor.elementType, shape: tensor.dims };
    if (mayHaveElements(tensor)) this.#tensor = tensor;
  }

  get elements(): KnownElements | undefined {
    if (this.#tensor) {
      this.#elements = readElements(this.#tensor);
      this.#tensor = undefined;
    }
    return this.#elements;
  }
}

/** Damaged or absent data leaves the elements unknown; whoever needs the weights themselves will report it. */
function readElements(tensor: Tensor): KnownElements | undefined {
  try {
    return { dims: tensor.dims, elements: Array.from(tensorNumbers(tensor)) };
  } catch {
    return undefined;
  }
}

// ---- comparing

export function sameFacts(a: Known, b: Known): boolean {
  if (a === b) return true;
  if (a instanceof ConstantFacts || b instanceof ConstantFacts) return false;
  return (
    sameTypeAndShape(a, b) && sameElements(a.elements, b.elements) && sameItems(a.items, b.items)
  );
}

export const sameTypeAndShape = (a: ValueFacts, b: ValueFacts): boolean =>
  sameShape(a.shape, b.shape) && sameType(a.type, b.type);

function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  if (a === b) return true;
  if (a?.kind !== b?.kind || !a || !b) return false;
  if ((a.kind === 'tensor' && b.kind === 'tensor') || (a.kind === 'sparse' && b.kind === 'sparse'))
    return a.elementType === b.elementType && sameShape(a.shape, b.shape);
  if (a.kind === 'map' && b.kind === 'map')
    return a.keyType === b.keyType && sameType(a.value, b.value);
  const inner = (type: ValueType) =>
    type.kind === 'sequence' || type.kind === 'optional' ? type.element : undefined;
  return sameType(inner(a), inner(b));
}

function sameElements(a: KnownElements | undefined, b: KnownElements | undefined): boolean {
  if (a === b) return true;
  if (a?.elements.length !== b?.elements.length || !a || !b) return false;
  return a.elements.every((element, i) => Object.is(element, b.elements[i]));
}

function sameItems(
  a: readonly ValueFacts[] | undefined,
  b: readonly ValueFacts[] | undefined,
): boolean {
  if (a === b) return true;
  if (a?.length !== b?.length || !a || !b) return false;
  return a.every((item, i) => sameFacts(item, b[i]!));
}

/** What holds of both: a value that may be either, such as the result of an If. */
export function joinFacts(a: Known, b: Known): Known {
  if (sameFacts(a, b)) return a;
  if (a.type.kind !== b.type.kind) return UNKNOWN;
  if (a.type.kind === 'sequence' || a.type.kind === 'optional') {
    const element = joinTypes(elementOf(a.type), elementOf(b.type));
    return sequenceOf(element, joinItems(a.items, b.items), a.type.kind);
  }
  if (a.type.kind !== 'tensor' || b.type.kind !== 'tensor') return UNKNOWN;
  const shape = joinShapes(a.shape, b.shape);
  const other = b.elements?.elements;
  const elements = other && a.elements?.elements.map((e, i) => (e === other[i] ? e : null));
  return tensorOf(joinElementTypes(a.type.elementType, b.type.elementType), shape, elements);
}

function joinItems(
  a: readonly ValueFacts[] | undefined,
  b: readonly ValueFacts[] | undefined,
): ValueFacts[] | undefined {
  if (a?.length !== b?.length) return undefined;
  return a?.map((item, i) => joinFacts(item, b![i]!));
}

const elementOf = (type: ValueType): ValueType | undefined =>
  type.kind === 'sequence' || type.kind === 'optional' ? type.element : undefined;

const joinElementTypes = (a: ElementType, b: ElementType): ElementType => (a === b ? a : 'unknown');

export function joinShapes(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || a.length !== b?.length) return undefined;
  return a.map((dim, i) => (dim === b[i] ? dim : null));
}

/** The type of all items of a sequence. */
export function joinTypes(
  a: ValueType | undefined,
  b: ValueType | undefined,
): ValueType | undefined {
  if (!a || !b) return a ?? b;
  if (a.kind !== 'tensor' || b.kind !== 'tensor') return sameType(a, b) ? a : undefined;
  const shape = joinShapes(a.shape, b.shape);
  const elementType = joinElementTypes(a.elementType, b.elementType);
  return { kind: 'tensor', elementType, ...(shape && { shape }) };
}
