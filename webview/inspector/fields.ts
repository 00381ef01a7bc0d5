/** From a parameter's schema to the control that sets it. */
import type { ParameterProperty } from '../../language/protocol';

export interface SliderField {
  readonly kind: 'slider';
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Shown in percent. */
  readonly ratio: boolean;
}

export interface NumberField {
  readonly kind: 'number';
  readonly min: number | null;
  readonly max: number | null;
  readonly integer: boolean;
}

export type Field =
  | SliderField
  | NumberField
  | { readonly kind: 'select'; readonly options: readonly (string | number)[] }
  | { readonly kind: 'checkbox' }
  | { readonly kind: 'target' }
  | { readonly kind: 'text' }
  /** One entry per site; `single` when one number for all will do too. */
  | { readonly kind: 'list'; readonly item: SliderField | NumberField; readonly single: boolean };

export function fieldOf(property: ParameterProperty): Field {
  const { type, role, anyOf } = property;
  if (property.enum) return { kind: 'select', options: property.enum };
  if (role === 'target') return { kind: 'target' };
  if (anyOf) return fieldOfChoice(property, anyOf);
  if (type === 'boolean') return { kind: 'checkbox' };
  if (type === 'array' && property.items) return listOf(property.items, role, false);
  if (type === 'number' || type === 'integer') return numberOf(property);
  return { kind: 'text' };
}

/** A number for all or a list of numbers; any other choice is typed as text. */
function fieldOfChoice(property: ParameterProperty, choices: readonly ParameterProperty[]): Field {
  const list = choices.find(({ type }) => type === 'array');
  const single = choices.find(({ type }) => type === 'number' || type === 'integer');
  if (list?.items) return listOf(list.items, property.role, single !== undefined);
  return single ? numberOf({ ...property, ...single }) : { kind: 'text' };
}

function listOf(items: ParameterProperty, role: ParameterProperty['role'], single: boolean): Field {
  if (items.type !== 'number' && items.type !== 'integer') return { kind: 'text' };
  return { kind: 'list', item: numberOf(role ? { ...items, role } : items), single };
}

function numberOf(property: ParameterProperty): SliderField | NumberField {
  const integer = property.type === 'integer';
  const ratio = property.role === 'ratio';
  const min = lowest(property) ?? (ratio ? 0 : null);
  const max = highest(property) ?? (ratio ? 1 : null);
  if (min === null || max === null) return { kind: 'number', min, max, integer };
  const step = property.multipleOf ?? (integer ? 1 : ratio ? 0.01 : tidy((max - min) / 100));
  // A slider cannot stand on an open end: it stops one step before.
  const from = property.exclusiveMinimum === min ? tidy(min + step) : min;
  const to = property.exclusiveMaximum === max ? tidy(max - step) : max;
  return { kind: 'slider', min: from, max: to, step, ratio };
}

/** Schema generators write the ends of the safe integers for "no bound". */
function lowest({ minimum, exclusiveMinimum }: ParameterProperty): number | null {
  const bound = exclusiveMinimum ?? minimum;
  return bound === undefined || bound <= Number.MIN_SAFE_INTEGER ? null : bound;
}

function highest({ maximum, exclusiveMaximum }: ParameterProperty): number | null {
  const bound = exclusiveMaximum ?? maximum;
  return bound === undefined || bound >= Number.MAX_SAFE_INTEGER ? null : bound;
}

/** What people type for a number, in the unit of the parameter; null when it is none or out of bounds. */
export function parseEntry(typed: string, field: SliderField | NumberField): number | null {
  const match = /^\s*([-−]?\d*\.?\d+(?:e[-+]?\d+)?)\s*(%?)\s*$/i.exec(typed.replace(',', '.'));
  if (!match) return null;
  const number = Number(match[1]!.replace('−', '-'));
  const percent = match[2] === '%' || (field.kind === 'slider' && field.ratio);
  const value = tidy(percent ? number / 100 : number);
  if (field.kind === 'number' && field.integer && !Number.isInteger(value)) return null;
  if (field.min !== null && value < field.min) return null;
  return field.max !== null && value > field.max ? null : value;
}

/** A number as its field writes it: percent for ratios. */
export function entryText(value: number, field: SliderField | NumberField): string {
  return String(tidy(field.kind === 'slider' && field.ratio ? value * 100 : value));
}

/** Without the dust of binary fractions: 0.30000000000000004 is 0.3. */
export function tidy(value: number): number {
  return Number(value.toPrecision(12));
}
