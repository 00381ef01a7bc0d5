import { describe, expect, it } from 'vitest';
import {
  add,
  ceilDivide,
  exactRatio,
  floorDivide,
  floorOf,
  fraction,
  isAtLeast,
  isEqual,
  maximum,
  minimum,
  multiply,
  solveFor,
  substitute,
  subtract,
  symbolsIn,
} from '../../../../language/graph/shapes/dims';
import type { Dim } from '../../../../language/onnx/model';

describe('symbolic sizes', () => {
  const rows: [string, Dim, Dim][] = [
    ['sums collect terms', add('a', add('a', 'b')), '2*a + b'],
    ['sums do not depend on the order', add('past', 'new'), 'new + past'],
    ['what cancels is a number', subtract(add('a', 3), 'a'), 3],
    ['products sort their factors', multiply(multiply('b', 4), 'a'), '4*a*b'],
    ['products distribute', multiply(add('a', 1), add('a', -1)), 'a*a - 1'],
    ['unknown stays unknown', add('a', null), null],
    ['nothing times unknown is nothing', multiply(0, null), 0],
    ['even quotients leave no floor', floorDivide(add(multiply('h', 4), 3), 2), '2*h + 1'],
    ['floors take their whole part out', floorDivide(add('h', 5), 2), '(h + 1)//2 + 2'],
    ['a floor of a floor is one floor', floorDivide(add(floorDivide('h', 2), 1), 3), '(h + 2)//6'],
    ['common factors leave a floor', floorDivide(multiply('h', 6), 4), 'h + h//2'],
    ['ceilings are floors', ceilDivide('h', 16), '(h + 15)//16'],
    [
      'three strided layers, as numbers would',
      downsample(downsample(downsample('h'))),
      '(h + 7)//8',
    ],
    ['symbols divide out', floorDivide(multiply('a', 'b'), 'b'), 'a'],
    ['sums divide out', floorDivide(multiply(add('a', 'b'), 4), add('a', 'b')), 4],
    ['what does not divide is unknown', floorDivide('a', 'b'), null],
    ['ratios cancel equal factors first', exactRatio(['(x)', 4, 6], ['(x)', 8]), 3],
    ['halves are floored', floorOf(multiply('h', 0.5)), 'h//2'],
    ['a fraction and back', multiply(floorOf(fraction(add('h', 15), 16)), 16), '16*((h + 15)//16)'],
    ['a minimum that is known', minimum('a', 1), 1],
    ['a minimum that is not', minimum(77, 'a'), 'min(77, a)'],
    ['a maximum that is known', maximum(add('a', 2), 'a'), 'a + 2'],
    ['texts of any exporter', add('s0 + 1', multiply('2*s0', 3)), '7*s0 + 1'],
    ['names with odd characters', add('x:0_axis1', 'batch-size'), 'batch-size + x:0_axis1'],
    ['names that are no expression are only compared', add('a b', 1), null],
    ['a number in a name’s place is a name', substitute('1', new Map([['1', 8]])), 8],
  ];
  it.each(rows)('%s', (_, found, expected) => expect(found).toBe(expected));

  function downsample(size: Dim): Dim {
    return add(floorDivide(subtract(add(size, 2), 3), 2), 1);
  }
});

describe('comparing symbolic sizes', () => {
  it('knows that symbols are at least 1', () => {
    expect(isAtLeast('a', 1)).toBe(true);
    expect(isAtLeast('a', 2)).toBeUndefined();
    expect(isAtLeast(-1, 'a')).toBe(false);
    expect(isEqual('a', -1)).toBe(false);
    expect(isEqual('a', 'b')).toBeUndefined();
    expect(isEqual('a + b', 'b + a')).toBe(true);
  });
});

describe('substitution agrees with numbers', () => {
  const sizes = { h: 37, w: 12 };
  const given = new Map(Object.entries(sizes));
  const formulas: ((h: Dim, w: Dim) => Dim)[] = [
    (h) => floorDivide(add(h, 5), 2),
    (h) => floorDivide(multiply(floorDivide(add(h, 1), 2), 3), 4),
    (h, w) => subtract(multiply(h, w), floorDivide(subtract(h, w), 5)),
    (h, w) => maximum(minimum(h, 20), floorDivide(w, 5)),
    (h, w) => ceilDivide(add(multiply(h, 7), w), 6),
  ];
  it.each(formulas.map((formula, i) => [i, formula] as const))('formula %i', (_, formula) => {
    const symbolic = formula('h', 'w');
    expect(typeof symbolic).toBe('string');
    expect(substitute(symbolic, given)).toBe(formula(sizes.h, sizes.w));
  });

  it('leaves other symbols in place', () => {
    expect(substitute('past + new', new Map([['past', 5]]))).toBe('new + 5');
    expect(symbolsIn('2*past + (new + 1)//2').sort()).toEqual(['new', 'past']);
  });

  it('solves for one symbol', () => {
    expect(solveFor('2*a + 1', 9)).toEqual({ symbol: 'a', size: 4 });
    expect(solveFor('2*a', 9)).toBeUndefined();
    expect(solveFor('a + b', 9)).toBeUndefined();
  });
});
