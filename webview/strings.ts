/** The words of the app: English, or what the session says instead. */
import { ENGLISH } from './english';

export type StringKey = keyof typeof ENGLISH;
type Counted = StringKey extends infer Key
  ? Key extends `${infer Base}.other`
    ? Base
    : never
  : never;

let localised: Readonly<Record<string, string>> = {};

/** Strings that differ from English, by key. */
export function setStrings(strings: Readonly<Record<string, string>>): void {
  localised = strings;
}

export function text(
  key: StringKey,
  values: Readonly<Record<string, string | number>> = {},
): string {
  const template = localised[key] ?? ENGLISH[key];
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The form of a sentence that goes with a count. */
export function counted(base: Counted, count: number): string {
  return text(`${base}.${count === 1 ? 'one' : 'other'}`, { count });
}
