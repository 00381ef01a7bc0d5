/**
 * Polynomials over sizes that are not known yet. An atom is a symbol of the model, or a quotient, minimum or maximum of
 * polynomials. Every operation answers in one canonical form, so that equal sizes have equal texts. Symbols stand for
 * sizes of at least 1; coefficients are usually integers, and fractions only on the way to a floor.
 */
import { greatestCommonDivisor } from '../integers';

export type Atom =
  | { readonly kind: 'symbol'; readonly text: string }
  | {
      readonly kind: 'quotient';
      readonly text: string;
      readonly numerator: Polynomial;
      readonly divisor: number;
    }
  | {
      readonly kind: 'min' | 'max';
      readonly text: string;
      readonly operands: readonly [Polynomial, Polynomial];
    };

interface Term {
  readonly coefficient: number;
  /** Sorted by text; a power is a repeated atom; none for the constant. */
  readonly atoms: readonly Atom[];
  /** What the atoms multiply to, as text: terms of the same key add up. */
  readonly key: string;
}

/** Sorted terms with non-zero coefficients; no terms for zero. */
export type Polynomial = readonly Term[];

/** Larger expressions help nobody; callers give up on them. */
const MAX_TERMS = 24;

export const constant = (value: number): Polynomial =>
  value === 0 ? [] : [{ coefficient: value, atoms: [], key: '' }];

export const symbol = (name: string): Polynomial => ofAtom({ kind: 'symbol', text: name });

const ofAtom = (atom: Atom): Polynomial => [{ coefficient: 1, atoms: [atom], key: keyOf([atom]) }];

/** The number that a polynomial is, or undefined where symbols are left in it. */
export function constantValue(p: Polynomial): number | undefined {
  if (p.length === 0) return 0;
  return p.length === 1 && p[0]!.key === '' ? p[0]!.coefficient : undefined;
}

export const isWhole = (p: Polynomial): boolean =>
  p.every((term) => Number.isSafeInteger(term.coefficient));

export const isTooLarge = (p: Polynomial): boolean => p.length > MAX_TERMS;

// ---- arithmetic

export function sum(a: Polynomial, b: Polynomial): Polynomial {
  return collect([...a, ...b]);
}

export function scale(p: Polynomial, by: number): Polynomial {
  if (by === 0) return [];
  return p.map((term) => ({ ...term, coefficient: term.coefficient * by }));
}

export function product(a: Polynomial, b: Polynomial): Polynomial {
  return collect(a.flatMap((left) => b.map((right) => multiplyTerms(left, right))));
}

/** floor(p / divisor), for whole coefficients and a positive whole divisor. */
export function quotient(p: Polynomial, divisor: number): Polynomial {
  // What divides evenly leaves the floor: (4h + 3)//2 = 2h + 1, (h − 1)//2 = (h + 1)//2 − 1.
  const whole: Term[] = [];
  const rest: Term[] = [];
  for (const term of p) {
    const times = Math.floor(term.coefficient / divisor);
    const left = term.coefficient - times * divisor;
    if (times !== 0) whole.push({ ...term, coefficient: times });
    if (left !== 0) rest.push({ ...term, coefficient: left });
  }
  if (constantValue(rest) !== undefined) return whole;
  return sum(whole, remainder(rest, divisor));
}

/** floor(p / divisor) where every coefficient of p lies between 0 and the divisor, and p is no constant. */
function remainder(p: Polynomial, divisor: number): Polynomial {
  const offset = p.find((term) => term.key === '')?.coefficient ?? 0;
  const varying = p.filter((term) => term.key !== '');
  const common = varying.reduce(
    (gcd, term) => greatestCommonDivisor(gcd, term.coefficient),
    divisor,
  );
  if (common > 1)
    return quotient(
      sum(scale(varying, 1 / common), constant(Math.floor(offset / common))),
      divisor / common,
    );
  const only = varying.length === 1 && varying[0]!.coefficient === 1 ? varying[0]!.atoms : [];
  const [inner] = only;
  // (x//a + c)//d = (x + ca)//(ad)
  if (only.length === 1 && inner?.kind === 'quotient')
    return quotient(
      sum(inner.numerator, constant(offset * inner.divisor)),
      inner.divisor * divisor,
    );
  const text = `${bracket(p)}//${divisor}`;
  return ofAtom({ kind: 'quotient', text, numerator: p, divisor });
}

/** floor(p) of a polynomial whose coefficients are fractions with a small common denominator; undefined otherwise. */
export function floor(p: Polynomial): Polynomial | undefined {
  if (isWhole(p)) return p;
  for (let denominator = 2; denominator <= 1024; denominator++) {
    const scaled = p.map((term) => ({
      ...term,
      coefficient: Math.round(term.coefficient * denominator),
    }));
    const exact = p.every(
      (term, i) =>
        Math.abs(term.coefficient * denominator - scaled[i]!.coefficient) <=
        1e-9 * Math.abs(scaled[i]!.coefficient),
    );
    if (exact) return quotient(scaled, denominator);
  }
  return undefined;
}

/** p / divisor where it divides without rest. */
export function exactQuotient(p: Polynomial, divisor: Polynomial): Polynomial | undefined {
  const lead = divisor[0];
  if (!lead) return undefined;
  const result: Term[] = [];
  let rest = p;
  for (let step = 0; rest.length > 0; step++) {
    const term = divideTerms(rest[0]!, lead);
    if (!term || step > MAX_TERMS) return undefined;
    result.push(term);
    rest = sum(rest, scale(product([term], divisor), -1));
  }
  return collect(result);
}

export function extreme(kind: 'min' | 'max', a: Polynomial, b: Polynomial): Polynomial {
  const smaller = atLeast(b, a) ? a : atLeast(a, b) ? b : undefined;
  if (smaller) return (smaller === a) === (kind === 'min') ? a : b;
  const operands: [Polynomial, Polynomial] = format(a) < format(b) ? [a, b] : [b, a];
  const text = `${kind}(${format(operands[0])}, ${format(operands[1])})`;
  return ofAtom({ kind, text, operands });
}

/** Whether a ≥ b for every size that the symbols may take; false also when that cannot be told. */
export const atLeast = (a: Polynomial, b: Polynomial): boolean =>
  lowerBound(sum(a, scale(b, -1))) >= 0;

/** A number that p never falls below; −Infinity when none is known. */
export function lowerBound(p: Polynomial): number {
  let bound = 0;
  for (const { coefficient, atoms } of p) {
    let [low, high] = [1, 1];
    for (const atom of atoms) {
      low *= atomLowerBound(atom);
      high *= atomUpperBound(atom);
    }
    if (low < 0) return -Infinity;
    bound += coefficient * (coefficient > 0 ? low : high);
  }
  return bound;
}

function atomLowerBound(atom: Atom): number {
  switch (atom.kind) {
    case 'symbol':
      return 1;
    case 'quotient':
      return Math.floor(lowerBound(atom.numerator) / atom.divisor);
    case 'min':
      return Math.min(...atom.operands.map(lowerBound));
    case 'max':
      return Math.max(...atom.operands.map(lowerBound));
  }
}

function atomUpperBound(atom: Atom): number {
  if (atom.kind !== 'min') return Infinity;
  return Math.min(...atom.operands.map((operand) => constantValue(operand) ?? Infinity));
}

/** p with numbers in place of some symbols. */
export function substitute(p: Polynomial, sizes: ReadonlyMap<string, number>): Polynomial {
  let result: Polynomial = [];
  for (const { coefficient, atoms } of p) {
    let term = constant(coefficient);
    for (const atom of atoms) term = product(term, substituteAtom(atom, sizes));
    result = sum(result, term);
  }
  return result;
}

function substituteAtom(atom: Atom, sizes: ReadonlyMap<string, number>): Polynomial {
  switch (atom.kind) {
    case 'symbol': {
      const size = sizes.get(atom.text);
      return size === undefined ? ofAtom(atom) : constant(size);
    }
    case 'quotient':
      return quotient(substitute(atom.numerator, sizes), atom.divisor);
    case 'min':
    case 'max':
      return extreme(
        atom.kind,
        substitute(atom.operands[0], sizes),
        substitute(atom.operands[1], sizes),
      );
  }
}

/** The symbols in p, each once. */
export function symbolsOf(p: Polynomial): Set<string> {
  const found = new Set<string>();
  for (const { atoms } of p)
    for (const atom of atoms) {
      const inner =
        atom.kind === 'symbol' ? [] : atom.kind === 'quotient' ? [atom.numerator] : atom.operands;
      if (atom.kind === 'symbol') found.add(atom.text);
      for (const part of inner) for (const name of symbolsOf(part)) found.add(name);
    }
  return found;
}

// ---- text

/** `2*batch*sequence + (height + 1)//2 - 1` */
export function format(p: Polynomial): string {
  if (p.length === 0) return '0';
  return p
    .map((term, i) => {
      const sign = term.coefficient < 0 ? (i === 0 ? '-' : ' - ') : i === 0 ? '' : ' + ';
      return sign + formatTerm(Math.abs(term.coefficient), term.atoms);
    })
    .join('');
}

function formatTerm(coefficient: number, atoms: readonly Atom[]): string {
  if (atoms.length === 0) return String(coefficient);
  const alone = coefficient === 1 && atoms.length === 1;
  const factors = atoms.map((atom) =>
    atom.kind === 'quotient' && !alone ? `(${atom.text})` : atom.text,
  );
  return [...(coefficient === 1 ? [] : [String(coefficient)]), ...factors].join('*');
}

function bracket(p: Polynomial): string {
  const [term] = p;
  const plain =
    p.length === 1 &&
    term?.coefficient === 1 &&
    term.atoms.length === 1 &&
    term.atoms[0]!.kind !== 'quotient';
  return plain ? format(p) : `(${format(p)})`;
}

// ---- terms

const keyOf = (atoms: readonly Atom[]): string => atoms.map((atom) => atom.text).join('\u0000');

function multiplyTerms(a: Term, b: Term): Term {
  const coefficient = a.coefficient * b.coefficient;
  if (a.key === '') return { ...b, coefficient };
  if (b.key === '') return { ...a, coefficient };
  const atoms = [...a.atoms, ...b.atoms].sort((x, y) => compareText(x.text, y.text));
  return { coefficient, atoms, key: keyOf(atoms) };
}

/** a / b, or undefined where b holds an atom that a lacks. */
function divideTerms(a: Term, b: Term): Term | undefined {
  const atoms = [...a.atoms];
  for (const atom of b.atoms) {
    const at = atoms.findIndex((candidate) => candidate.text === atom.text);
    if (at < 0) return undefined;
    atoms.splice(at, 1);
  }
  const coefficient = a.coefficient / b.coefficient;
  if (!Number.isInteger(coefficient)) return undefined;
  return { coefficient, atoms, key: keyOf(atoms) };
}

/** Adds up terms of one key, drops zeros and sorts: higher degrees first, then by text, the constant last. */
function collect(terms: readonly Term[]): Polynomial {
  const byKey = new Map<string, Term>();
  for (const term of terms) {
    const same = byKey.get(term.key);
    byKey.set(
      term.key,
      same ? { ...same, coefficient: same.coefficient + term.coefficient } : term,
    );
  }
  return [...byKey.values()]
    .filter((term) => term.coefficient !== 0)
    .sort((a, b) => b.atoms.length - a.atoms.length || compareText(a.key, b.key));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
