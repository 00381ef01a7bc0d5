/**
 * Symbolic sizes as exporters write them (`past_length + 1`, `2*batch`, `(height + 1)//2`, `max(1, s0)`), read as
 * polynomials. Names may hold anything but blanks, `+ * ( ) ,` and `//`; a minus is one only after a blank.
 */
import {
  extreme,
  constant,
  constantValue,
  product,
  quotient,
  scale,
  sum,
  symbol,
  type Polynomial,
} from './polynomial';

const TOKEN =
  /\s*(\/\/|[+*(),]|-(?=\s)|-(?=[(\w])|(?:(?!\/\/)[^\s+*(),-])(?:(?!\/\/)[^\s+*(),])*)/y;
const NUMBER = /^\d+(\.\d+)?(e-?\d+)?$/;
const MAX_LENGTH = 400;

const cache = new Map<string, Polynomial | undefined>();
const MAX_CACHED = 10_000;

/** Undefined for a text that is no expression: it can only be compared, not computed with. */
export function parseExpression(text: string): Polynomial | undefined {
  if (cache.has(text)) return cache.get(text);
  if (cache.size >= MAX_CACHED) cache.clear();
  const parsed = parse(text);
  cache.set(text, parsed);
  return parsed;
}

function parse(text: string): Polynomial | undefined {
  const tokens = text.length > MAX_LENGTH ? undefined : tokenize(text);
  // A symbol may be called `1`: that is a name, not a size.
  if (!tokens || NUMBER.test(text.trim())) return undefined;
  const cursor = { tokens, at: 0 };
  const parsed = parseSum(cursor);
  return cursor.at === tokens.length ? parsed : undefined;
}

interface Cursor {
  readonly tokens: readonly string[];
  at: number;
}

function tokenize(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (!match) return undefined;
    tokens.push(match[1]!);
  }
  return tokens;
}

function take(cursor: Cursor, token: string): boolean {
  if (cursor.tokens[cursor.at] !== token) return false;
  cursor.at++;
  return true;
}

function parseSum(cursor: Cursor): Polynomial | undefined {
  let total = take(cursor, '-') ? negate(parseProduct(cursor)) : parseProduct(cursor);
  while (total) {
    const plus = take(cursor, '+');
    if (!plus && !take(cursor, '-')) break;
    const next = parseProduct(cursor);
    total = next && sum(total, plus ? next : scale(next, -1));
  }
  return total;
}

const negate = (p: Polynomial | undefined): Polynomial | undefined => p && scale(p, -1);

function parseProduct(cursor: Cursor): Polynomial | undefined {
  let total = parseFactor(cursor);
  while (total) {
    const times = take(cursor, '*');
    if (!times && !take(cursor, '//')) break;
    const next = parseFactor(cursor);
    if (!next) return undefined;
    total = times ? product(total, next) : divide(total, next);
  }
  return total;
}

function divide(p: Polynomial, by: Polynomial): Polynomial | undefined {
  const divisor = constantValue(by);
  return divisor !== undefined && divisor >= 1 ? quotient(p, divisor) : undefined;
}

function parseFactor(cursor: Cursor): Polynomial | undefined {
  const token = cursor.tokens[cursor.at];
  if (token === undefined || /^(\/\/|[+*),-])$/.test(token)) return undefined;
  cursor.at++;
  if (token === '(') {
    const inner = parseSum(cursor);
    return take(cursor, ')') ? inner : undefined;
  }
  if (NUMBER.test(token)) return constant(Number(token));
  return take(cursor, '(') ? parseExtreme(token.toLowerCase(), cursor) : symbol(token);
}

function parseExtreme(name: string, cursor: Cursor): Polynomial | undefined {
  if (name !== 'min' && name !== 'max') return undefined;
  const first = parseSum(cursor);
  const second = take(cursor, ',') ? parseSum(cursor) : undefined;
  return first && second && take(cursor, ')') ? extreme(name, first, second) : undefined;
}
