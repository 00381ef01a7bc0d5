import { describe, expect, it } from 'vitest';
import {
  changeText,
  difference,
  exact,
  percent,
  plain,
  quantity,
  signedPercent,
  sizePercent,
  type Unit,
} from '../../webview/format';

/** Non-breaking spaces read as spaces here. */
const spaced = (text: string | null) => text?.replaceAll('\u00a0', ' ') ?? null;

describe('quantity', () => {
  it.each<[number, Unit, string]>([
    [1_254_000_000, 'macs', '1.25 GMAC'],
    [28_901_376, 'macs', '28.9 MMAC'],
    [5_120, 'macs', '5.12 kMAC'],
    [768, 'macs', '768 MAC'],
    [0, 'macs', '0 MAC'],
    [999_960, 'macs', '1.00 MMAC'],
    [5_717_416, 'count', '5.72 M'],
    [384, 'count', '384'],
    [147_648, 'count', '148 k'],
    [0, 'count', '0'],
    [24_012_390, 'bytes', '22.9 MiB'],
    [1024, 'bytes', '1.00 KiB'],
    [1_048_473, 'bytes', '1.00 MiB'],
    [512, 'bytes', '512 B'],
    [9.8, 'time', '9.80 ms'],
    [0.31, 'time', '0.310 ms'],
    [0.0235, 'time', '23.5 µs'],
    [0.00004, 'time', '40.0 ns'],
    [1234, 'time', '1.23 s'],
    [0, 'time', '0 ms'],
    [61.04, 'energy', '61.0 mJ'],
    [0.000922, 'energy', '0.922 µJ'],
    [100, 'energy', '100 mJ'],
  ])('writes %d of %s as %s', (value, unit, expected) => {
    expect(spaced(quantity(value, unit))).toBe(expected);
  });

  it('keeps three significant digits at every size', () => {
    for (let power = -7; power <= 4; power++) {
      const [digits] = quantity(4.5678 * 10 ** power, 'time').split('\u00a0');
      expect(digits!.replace('.', '').replace(/^0+/, '')).toMatch(/^457$/);
    }
  });
});

describe('percent', () => {
  it.each([
    [0, '0 %'],
    [0.0049, '<1 %'],
    [0.0051, '1 %'],
    [0.344, '34 %'],
    [1, '100 %'],
  ])('writes a share of %d as %s', (share, expected) => {
    expect(spaced(percent(share))).toBe(expected);
  });
});

describe('differences', () => {
  it.each([
    [-0.434, '−43 %'],
    [0.05, '+5 %'],
    [-0.004, '−0.4 %'],
    [0.0001, '±0 %'],
    [-0.0001, '±0 %'],
  ])('writes %d as %s', (ratio, expected) => {
    expect(spaced(signedPercent(ratio))).toBe(expected);
  });

  it('has a size without direction', () => {
    expect(spaced(sizePercent(-0.0039))).toBe('0.4 %');
  });

  it('is nothing where a side is unknown or there was nothing before', () => {
    expect(difference({ before: null, after: 1 })).toBeNull();
    expect(difference({ before: 1, after: null })).toBeNull();
    expect(difference({ before: 0, after: 1 })).toBeNull();
  });
});

describe('changeText', () => {
  const shown = (before: number | null, after: number | null, unit: Unit, flags = {}) => {
    const text = changeText({ before, after, ...flags }, unit);
    return [text.mark, spaced(text.before), spaced(text.after)];
  };

  it('writes the unit once, on the scale of the larger side', () => {
    expect(shown(9.8, 5.53, 'time')).toEqual(['', '9.80', '5.53 ms']);
    expect(shown(1_254_000_000, 801_000_000, 'macs')).toEqual(['', '1.25', '0.801 GMAC']);
    expect(shown(801_000_000, 1_254_000_000, 'macs')).toEqual(['', '0.801', '1.25 GMAC']);
  });

  it('writes both units when the sides are far apart', () => {
    expect(shown(24_000_000, 1_000, 'bytes')).toEqual(['', '22.9 MiB', '1000 B']);
    expect(shown(9.8, 0, 'time')).toEqual(['', '9.80 ms', '0 ms']);
  });

  it('says nothing of before when nothing changed', () => {
    expect(shown(9.8, 9.8, 'time')).toEqual(['', null, '9.80 ms']);
  });

  it('marks what is estimated or partial, and the partial first', () => {
    expect(shown(2, 1, 'time', { estimated: true })[0]).toBe('≈');
    expect(shown(2, 1, 'time', { partial: true })[0]).toBe('≥');
    expect(shown(2, 1, 'time', { partial: true, estimated: true })[0]).toBe('≥');
  });

  it('leaves an unknown number unknown', () => {
    expect(shown(9.8, null, 'time')).toEqual(['', '9.80 ms', null]);
    expect(shown(null, 9.8, 'time')).toEqual(['', null, '9.80 ms']);
  });
});

it('groups the digits of exact counts', () => {
  expect(exact(29_048_832)).toBe('29,048,832');
  expect(exact(999)).toBe('999');
});

it('writes statistics with a real minus sign', () => {
  expect(plain(-0.412)).toBe('−0.412');
  expect(plain(0.0000123)).toBe('1.23e−5');
  expect(plain(Infinity)).toBe('Infinity');
});
