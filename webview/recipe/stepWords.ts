/** A step in words. */
import type { StepSummary } from '../../language/protocol';
import { counted, text } from '../strings';

/** `12 sites · /blocks.*, except /head/**`. */
export function stepWhere({ at, except, sites }: StepSummary): string {
  const where = at === undefined ? text('step.everywhere') : at.join(', ');
  const without = except.length > 0 ? `, ${text('step.except', { at: except.join(', ') })}` : '';
  return `${counted('sites', sites)} · ${where}${without}`;
}

/** `keep 0.7 · 0.49 · 0.343, placement inside`. */
export function stepSettings({ parameters }: StepSummary): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(' · ') : String(value)}`)
    .join(', ');
}
