/** What the file declares about a value, beside what inference found. */
import type { Dim, Shape, ValueType } from '../../onnx/model';
import type { ValueFacts } from '../facts';
import { sameShape, substitute } from './dims';
import { ofType } from './values';

export interface DeclaredBy {
  /** Sizes of the symbols that the caller bound. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Whether symbols mean what they mean elsewhere: not so in a body, which has names of its own. */
  readonly symbols: boolean;
}

/** A declared type with the bound sizes in it. */
export function bindType(type: ValueType, by: DeclaredBy): ValueType {
  if (type.kind !== 'tensor' && type.kind !== 'sparse') return type;
  if (!type.shape) return type;
  const shape = type.shape.map((dim) => bindDim(dim, by));
  return sameShape(shape, type.shape) ? type : { ...type, shape };
}

function bindDim(dim: Dim, { sizes, symbols }: DeclaredBy): Dim {
  if (typeof dim !== 'string') return dim;
  const size = substitute(dim, sizes);
  if (typeof size === 'number') return Number.isSafeInteger(size) && size >= 0 ? size : null;
  return symbols ? size : null;
}

/** Inference completed by the declaration where it knows nothing; where both know and differ, inference stands. */
export function reconcile(
  inferred: ValueFacts,
  declared: ValueType,
  by: DeclaredBy,
): { facts: ValueFacts; contradiction?: string } {
  const { type } = inferred;
  if (type.kind === 'unknown') return { facts: ofType(bindType(declared, by)) };
  if (type.kind !== 'tensor') return { facts: refineContainer(inferred, declared) };
  if (declared.kind !== 'tensor') return { facts: inferred };
  const elementType = type.elementType === 'unknown' ? declared.elementType : type.elementType;
  const shape = refineShape(inferred.shape, declared.shape, by);
  const contradicts = inferred.shape && declared.shape && differ(inferred.shape, declared.shape);
  const facts =
    elementType === type.elementType && shape === inferred.shape
      ? inferred
      : {
          type: { kind: 'tensor' as const, elementType, ...(shape && { shape }) },
          shape,
          elements: inferred.elements,
        };
  if (!contradicts) return { facts };
  return {
    facts,
    contradiction: `as ${describe(declared.shape)}, and it is ${describe(inferred.shape)}`,
  };
}

/** Items of unknown type are those that the file declares. */
function refineContainer(inferred: ValueFacts, declared: ValueType): ValueFacts {
  const { type } = inferred;
  const container = type.kind === 'sequence' || type.kind === 'optional';
  return container && !type.element && declared.kind === type.kind
    ? { ...inferred, type: declared }
    : inferred;
}

function refineShape(
  inferred: Shape | undefined,
  declared: Shape | undefined,
  by: DeclaredBy,
): Shape | undefined {
  if (!inferred) return declared?.map((dim) => bindDim(dim, by));
  if (!inferred.includes(null) || declared?.length !== inferred.length) return inferred;
  return inferred.map((dim, axis) => dim ?? bindDim(declared[axis]!, by));
}

function differ(inferred: Shape, declared: Shape): boolean {
  if (inferred.length !== declared.length) return true;
  return inferred.some((dim, axis) => {
    const other = declared[axis]!;
    return typeof dim === 'number' && typeof other === 'number' && dim !== other;
  });
}

const describe = (shape: Shape | undefined): string =>
  shape?.length === 0 ? 'a scalar' : (shape ?? []).map((dim) => dim ?? '?').join(' × ');
