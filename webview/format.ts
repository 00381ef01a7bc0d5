/** Every number on screen passes through here: three significant digits, one choice of unit, one minus sign. */
import type { Change } from '../language/protocol';

/** What is measured: milliseconds, millijoules, multiply-accumulates, elements or bytes. */
export type Unit = 'time' | 'energy' | 'macs' | 'count' | 'bytes';

interface Scale {
  readonly symbol: string;
  readonly factor: number;
  /** Smallest value written on this scale. */
  readonly from: number;
}

const SPACE = '\u00a0';
const MINUS = '\u2212';

/** Largest first. Times and energies stay in ms and mJ down to a tenth, so that neighbours compare at a glance. */
const SCALES: Readonly<Record<Unit, readonly Scale[]>> = {
  time: [
    { symbol: 's', factor: 1e3, from: 1e3 },
    { symbol: 'ms', factor: 1, from: 0.1 },
    { symbol: 'µs', factor: 1e-3, from: 1e-4 },
    { symbol: 'ns', factor: 1e-6, from: 0 },
  ],
  energy: [
    { symbol: 'J', factor: 1e3, from: 1e3 },
    { symbol: 'mJ', factor: 1, from: 0.1 },
    { symbol: 'µJ', factor: 1e-3, from: 1e-4 },
    { symbol: 'nJ', factor: 1e-6, from: 0 },
  ],
  macs: powers(1000, ['MAC', 'kMAC', 'MMAC', 'GMAC', 'TMAC', 'PMAC']),
  count: powers(1000, ['', 'k', 'M', 'G', 'T']),
  bytes: powers(1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']),
};

/** What a zero is written in, and what every scale is relative to. */
const ZERO_SYMBOL: Readonly<Record<Unit, string>> = {
  time: 'ms',
  energy: 'mJ',
  macs: 'MAC',
  count: '',
  bytes: 'B',
};

/** `1.25 GMAC`, `0.310 ms`, `22.9 MiB`. */
export function quantity(value: number, unit: Unit): string {
  const scale = scaleFor(value, unit);
  return withUnit(onScale(value, scale), scale.symbol);
}

/** A share of a whole, 0 to 1: `34 %`, `<1 %`. */
export function percent(share: number): string {
  const points = share * 100;
  if (points > 0 && points < 0.5) return `<1${SPACE}%`;
  return `${Math.round(points)}${SPACE}%`;
}

/** All digits of an exact count, in groups of three: `29,048,832`. */
export function exact(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A plain number of a statistic: `−0.412`, `1.20e−5`. */
export function plain(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : significant(value);
  return text.replaceAll('-', MINUS);
}

/** Relative difference of a change: `−43 %`, `+0.4 %`; null when it has none to speak of. */
export function difference({ before, after }: Change): string | null {
  if (before === null || after === null || before === 0) return null;
  return signedPercent((after - before) / before);
}

export function signedPercent(ratio: number): string {
  if (Math.abs(ratio) < 0.0005) return `±0${SPACE}%`;
  return (ratio < 0 ? MINUS : '+') + sizePercent(ratio);
}

/** The size of a relative difference, without its direction: `43 %`, `0.4 %`. */
export function sizePercent(ratio: number): string {
  const points = Math.abs(ratio) * 100;
  return `${points < 0.95 ? points.toFixed(1) : Math.round(points).toString()}${SPACE}%`;
}

/** A change in words and marks. `before` is null when nothing changed; units are in the strings. */
export interface ChangeText {
  /** `≈` rests on a plan not yet taken; `≥` some layer is unknown. */
  readonly mark: '' | '≈' | '≥';
  readonly before: string | null;
  /** Null when unknown. */
  readonly after: string | null;
  readonly difference: string | null;
}

export function changeText(change: Change, unit: Unit): ChangeText {
  const { before, after } = change;
  const mark = change.partial ? '≥' : change.estimated ? '≈' : '';
  if (after === null)
    return {
      mark: '',
      before: before === null ? null : quantity(before, unit),
      after: null,
      difference: null,
    };
  if (before === null || before === after)
    return { mark, before: null, after: quantity(after, unit), difference: null };
  return { mark, ...pair(before, after, unit), difference: difference(change) };
}

/** Both on the scale of the larger, the unit written once; far apart, each on its own. */
function pair(before: number, after: number, unit: Unit): { before: string; after: string } {
  const larger = Math.max(before, after);
  if (Math.min(before, after) < larger / 100)
    return { before: quantity(before, unit), after: quantity(after, unit) };
  const scale = scaleFor(larger, unit);
  return { before: onScale(before, scale), after: withUnit(onScale(after, scale), scale.symbol) };
}

function powers(base: number, symbols: readonly string[]): readonly Scale[] {
  return symbols
    .map((symbol, power) => ({ symbol, factor: base ** power, from: power && base ** power }))
    .reverse();
}

function scaleFor(value: number, unit: Unit): Scale {
  if (value === 0) return { symbol: ZERO_SYMBOL[unit], factor: 1, from: 0 };
  // Rounding may carry into the next scale: 999.96 kMAC is 1.00 MMAC.
  const size = Math.max(Math.abs(value), Math.abs(Number(value.toPrecision(3))));
  return SCALES[unit].find((scale) => size >= scale.from)!;
}

function onScale(value: number, { factor, symbol }: Scale): string {
  const whole = factor === 1 && (symbol === '' || symbol === 'MAC' || symbol === 'B');
  const text = whole ? Math.round(value).toString() : significant(value / factor);
  return text.replace('-', MINUS);
}

/** Three significant digits without exponent; whole numbers from a hundred on. */
function significant(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(Number(value.toPrecision(3)));
  return value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))));
}

function withUnit(text: string, symbol: string): string {
  return symbol ? `${text}${SPACE}${symbol}` : text;
}
