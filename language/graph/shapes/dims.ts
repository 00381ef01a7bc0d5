/**
 * Arithmetic on sizes (and on the elements of shape computations): numbers where both are known, canonical symbolic
 * expressions where one is a symbol, null where nothing can be said.
 */
import { Untold } from '../../errors';
import type { Dim, Shape } from '../../onnx/model';
import { parseExpression } from './expression';
import * as polynomial from './polynomial';
import type { Polynomial } from './polynomial';

/** What is wrong with a node, for a person: its inputs do not fit together, or it asks for the impossible. */
export class Impossible extends Untold {}

const MAX_TEXT = 160;

/** A result as a size: a number, an expression, or null when it has grown beyond use. */
function settle(p: Polynomial | undefined): Dim {
  if (!p || polynomial.isTooLarge(p)) return null;
  const value = polynomial.constantValue(p);
  if (value !== undefined) return value;
  const text = polynomial.format(p);
  return text.length > MAX_TEXT ? null : text;
}

const lift = (dim: number | string): Polynomial | undefined =>
  typeof dim === 'number' ? polynomial.constant(dim) : parseExpression(dim);

function combine(
  a: number | string,
  b: number | string,
  operation: (a: Polynomial, b: Polynomial) => Polynomial | undefined,
): Dim {
  const left = lift(a);
  const right = lift(b);
  return left && right ? settle(operation(left, right)) : null;
}

export function add(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === null || b === null) return null;
  if (a === 0) return b;
  if (b === 0) return a;
  return combine(a, b, polynomial.sum);
}

export function subtract(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (a === null || b === null) return null;
  if (b === 0) return a;
  if (a === b) return 0;
  return combine(a, b, (p, q) => polynomial.sum(p, polynomial.scale(q, -1)));
}

export function multiply(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 0 || b === 0) return 0;
  if (a === null || b === null) return null;
  if (a === 1) return b;
  if (b === 1) return a;
  return combine(a, b, polynomial.product);
}

export const productOf = (dims: readonly Dim[]): Dim => dims.reduce<Dim>(multiply, 1);

/** floor(a / b) for a divisor greater than 0. */
export function floorDivide(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return b > 0 ? Math.floor(a / b) : null;
  if (a === null || b === null || b === 0) return null;
  if (b === 1) return a;
  if (a === b) return 1;
  return combine(a, b, (p, q) => {
    const divisor = polynomial.constantValue(q);
    if (divisor === undefined) return polynomial.exactQuotient(p, q);
    return divisor > 0 && Number.isInteger(divisor) && polynomial.isWhole(p)
      ? polynomial.quotient(p, divisor)
      : undefined;
  });
}

export const ceilDivide = (a: Dim, b: Dim): Dim => floorDivide(add(a, subtract(b, 1)), b);

/** a / b as a fraction, on the way to a floor. */
export function fraction(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a / b;
  if (a === null || b === null || b === 0) return null;
  return combine(a, b, (p, q) => {
    const divisor = polynomial.constantValue(q);
    return divisor === undefined
      ? polynomial.exactQuotient(p, q)
      : polynomial.scale(p, 1 / divisor);
  });
}

/** The product of `dims` divided by that of `others`, where it must come out even. */
export function exactRatio(dims: readonly Dim[], others: readonly Dim[]): Dim {
  const left = [...dims];
  const right: Dim[] = [];
  for (const other of others) {
    const same = typeof other === 'string' ? left.indexOf(other) : -1;
    if (same >= 0) left.splice(same, 1);
    else right.push(other);
  }
  const dividend = productOf(left);
  const divisor = productOf(right);
  if (typeof dividend === 'number' && typeof divisor === 'number') {
    if (divisor === 0) return null;
    if (dividend % divisor !== 0)
      throw new Impossible(`${dividend} elements do not divide by ${divisor}`);
    return dividend / divisor;
  }
  return floorDivide(dividend, divisor);
}

export function floorOf(a: Dim): Dim {
  if (typeof a === 'number') return Math.floor(a);
  const p = a === null ? undefined : lift(a);
  return p ? settle(polynomial.floor(p)) : null;
}

export function minimum(a: Dim, b: Dim): Dim {
  return extreme('min', a, b);
}

export function maximum(a: Dim, b: Dim): Dim {
  return extreme('max', a, b);
}

function extreme(kind: 'min' | 'max', a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return Math[kind](a, b);
  if (a === b) return a;
  if (a === null || b === null) return null;
  return combine(a, b, (p, q) => polynomial.extreme(kind, p, q));
}

/** Whether a ≥ b; undefined where that depends on symbols. */
export function isAtLeast(a: Dim, b: Dim): boolean | undefined {
  if (a === null || b === null) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a >= b;
  if (a === b) return true;
  const left = lift(a);
  const right = lift(b);
  if (!left || !right) return undefined;
  if (polynomial.atLeast(left, right)) return true;
  const below = polynomial.atLeast(right, polynomial.sum(left, polynomial.constant(1)));
  return below ? false : undefined;
}

export function isEqual(a: Dim, b: Dim): boolean | undefined {
  if (a === null || b === null) return undefined;
  if (a === b) return true;
  if (typeof a === 'number' && typeof b === 'number') return false;
  const difference = subtract(a, b);
  if (typeof difference === 'number') return difference === 0;
  const atLeast = isAtLeast(a, b);
  const atMost = isAtLeast(b, a);
  return atLeast === false || atMost === false ? false : undefined;
}

/** A size with numbers in place of some symbols. */
export function substitute(dim: Dim, sizes: ReadonlyMap<string, number>): Dim {
  if (typeof dim !== 'string' || sizes.size === 0) return dim;
  const whole = sizes.get(dim);
  if (whole !== undefined) return whole;
  const p = lift(dim);
  return p && [...polynomial.symbolsOf(p)].some((name) => sizes.has(name))
    ? settle(polynomial.substitute(p, sizes))
    : dim;
}

/** The symbols that a size is made of: the size itself unless it is an expression. */
export function symbolsIn(dim: string): string[] {
  const p = lift(dim);
  return p ? [...polynomial.symbolsOf(p)] : [dim];
}

/** The size that the only symbol of an expression must have to make it `value`; linear expressions only. */
export function solveFor(dim: Dim, value: number): { symbol: string; size: number } | undefined {
  const p = typeof dim === 'string' ? lift(dim) : undefined;
  const varying = p?.filter((term) => term.atoms.length > 0);
  const [atom, ...others] = varying?.length === 1 ? varying[0]!.atoms : [];
  if (!p || atom?.kind !== 'symbol' || others.length > 0) return undefined;
  const rest = value - (p.find((term) => term.atoms.length === 0)?.coefficient ?? 0);
  const size = rest / varying![0]!.coefficient;
  return Number.isInteger(size) && size >= 0 ? { symbol: atom.text, size } : undefined;
}

// ---- shapes

/** The axis that an attribute means, counted from the front. */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw new Impossible(`axis ${axis} does not exist in ${rank} dimensions`);
  return at;
}

/** The dimension of two that must be equal or, with broadcasting, 1. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number' && typeof b === 'number')
    throw new Impossible(`sizes ${a} and ${b} do not fit together`);
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return isEqual(a, b) ? a : null;
}

/** Numpy's broadcasting; undefined as soon as one rank is unknown. */
export function broadcast(...shapes: readonly (Shape | undefined)[]): Shape | undefined {
  let result: Shape | undefined;
  for (const shape of shapes) {
    if (!shape) return undefined;
    result = result ? broadcastTwo(result, shape) : shape;
  }
  return result;
}

function broadcastTwo(a: Shape, b: Shape): Shape {
  if (a === b) return a;
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const offset = long.length - short.length;
  const result = long.map((dim, i) => (i < offset ? dim : broadcastDim(dim, short[i - offset]!)));
  return sameShape(result, long) ? long : result;
}

/** What two sizes of the same thing agree on: the better known one; contradicting numbers are impossible. */
export function unify(a: Dim, b: Dim): Dim {
  if (a === b) return a;
  if (typeof a === 'number' && typeof b === 'number')
    throw new Impossible(`sizes ${a} and ${b} should be equal`);
  if (a === null || typeof b === 'number') return b;
  return a;
}

export function sameShape(a: Shape | undefined, b: Shape | undefined): boolean {
  if (a === b) return true;
  if (!a || a.length !== b?.length) return false;
  return a.every((dim, i) => dim === b[i]);
}
