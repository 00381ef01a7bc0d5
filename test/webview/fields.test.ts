import { describe, expect, it } from 'vitest';
import type { ParameterProperty } from '../../language/protocol';
import {
  entryText,
  fieldOf,
  parseEntry,
  tidy,
  type SliderField,
} from '../../webview/inspector/fields';

const ratio: SliderField = { kind: 'slider', min: 0, max: 1, step: 0.01, ratio: true };

describe('the control of a parameter', () => {
  it.each<[string, ParameterProperty, object]>([
    ['a ratio', { type: 'number', minimum: 0, maximum: 1, role: 'ratio', multipleOf: 0.01 }, ratio],
    ['a ratio without bounds', { type: 'number', role: 'ratio' }, ratio],
    [
      'an open end',
      { type: 'number', exclusiveMinimum: 0, maximum: 1, role: 'ratio', multipleOf: 0.001 },
      { ...ratio, min: 0.001, step: 0.001 },
    ],
    [
      'an integer with bounds',
      { type: 'integer', minimum: 2, maximum: 8 },
      { kind: 'slider', min: 2, max: 8, step: 1, ratio: false },
    ],
    [
      'an integer with the bounds of safe integers',
      { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
      { kind: 'number', min: null, max: null, integer: true },
    ],
    [
      'a half-open number',
      { type: 'number', minimum: 1 },
      { kind: 'number', min: 1, max: null, integer: false },
    ],
    ['a choice', { type: 'string', enum: ['a', 'b'] }, { kind: 'select', options: ['a', 'b'] }],
    ['a switch', { type: 'boolean' }, { kind: 'checkbox' }],
    ['a target', { type: 'string', role: 'target' }, { kind: 'target' }],
    ['a text', { type: 'string' }, { kind: 'text' }],
    [
      'a number or a list',
      {
        anyOf: [
          { type: 'number', minimum: 0, maximum: 1, multipleOf: 0.01 },
          { type: 'array', items: { type: 'number', minimum: 0, maximum: 1, multipleOf: 0.01 } },
        ],
        role: 'ratio',
      },
      { kind: 'list', item: ratio, single: true },
    ],
    [
      'a list alone',
      { type: 'array', items: { type: 'number', minimum: 0, maximum: 1, role: 'ratio' } },
      { kind: 'list', item: ratio, single: false },
    ],
    ['a list of names', { type: 'array', items: { type: 'string' } }, { kind: 'text' }],
    ['anything else', {}, { kind: 'text' }],
  ])('%s', (_, property, field) => {
    expect(fieldOf(property)).toEqual(field);
  });
});

describe('what people type', () => {
  it.each<[string, number | null]>([
    ['70', 0.7],
    ['70 %', 0.7],
    ['34,3', 0.343],
    ['.5', 0.005],
    ['0', 0],
    ['101', null],
    ['−1', null],
    ['seven', null],
    ['', null],
    ['1 2', null],
  ])('%j of a ratio is %s', (typed, value) => {
    expect(parseEntry(typed, ratio)).toBe(value);
  });

  it('must be whole for an integer', () => {
    const field = { kind: 'number', min: 1, max: null, integer: true } as const;
    expect(parseEntry('4', field)).toBe(4);
    expect(parseEntry('4.5', field)).toBeNull();
    expect(parseEntry('0', field)).toBeNull();
  });

  it('comes back as it was written', () => {
    for (let hundredths = 0; hundredths <= 100; hundredths++) {
      const value = tidy(hundredths / 100);
      expect(parseEntry(entryText(value, ratio), ratio)).toBe(value);
    }
  });
});
