import { describe, expect, it } from 'vitest';
import { logAxis, slopeNames, spread } from '../../language/drawing/scale';

describe('logAxis', () => {
  it('places decades evenly and leaves room at the ends', () => {
    const axis = logAxis([1, 1000], 0, 300);
    expect(axis.at(1)).toBeGreaterThan(0);
    expect(axis.at(1000)).toBeLessThan(300);
    expect(axis.at(100) - axis.at(10)).toBeCloseTo(axis.at(10) - axis.at(1));
    expect(axis.ticks).toEqual([1, 10, 100, 1000]);
  });

  it('counts finer where little is in view, and takes a single value', () => {
    expect(logAxis([2, 40], 0, 100).ticks).toEqual([2, 5, 10, 20, 50]);
    expect(logAxis([3], 0, 100).at(3)).toBeCloseTo(50);
  });
});

it('labels keep apart and inside', () => {
  expect(spread([10, 12, 50], 15, 100)).toEqual([10, 25, 50]);
  expect(spread([90, 95, 99], 15, 100)).toEqual([70, 85, 100]);
});

it('names of slopes stand neither on each other nor on another slope', () => {
  const slope = (across: number) => ({ across, foot: 0, head: 400, width: 120 });
  const [first, second] = slopeNames([slope(0), slope(8)]);
  expect([first!.side, second!.side]).toEqual([-1, 1]);
});
