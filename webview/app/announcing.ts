/** Sentences for people who listen. */
import type { Design, StepSummary } from '../../language/protocol';
import { quantity } from '../format';
import { counted, text } from '../strings';
import type { State } from './state';
import type { Store } from './store';

export function announce(store: Store<State>, sentence: string): void {
  store.set({
    announcement: { text: sentence, count: store.get().announcement.count + 1 },
  });
}

/** `INT8 static added to 12 blocks, latency on ZCU102 9.80 to 5.60 ms`. */
export function addedSentence(
  design: Design,
  step: StepSummary,
  blocks: number,
  target: string,
): string {
  if (step.error) return text('say.addedFailing', { pass: step.pass, reason: step.error });
  const where = blocks > 0 ? counted('blocks', blocks) : counted('sites', step.sites);
  return joined([
    text('say.added', { pass: step.pass, where }),
    latencySentence(design, target, step),
  ]);
}

/** `latency on ZCU102 9.80 to 5.60 ms`, or nothing where it is unknown. */
export function latencySentence(design: Design, target: string, of?: StepSummary): string {
  const totals = design.totals.find((row) => row.target === target);
  const change = of?.latencyMs ?? totals?.latencyMs;
  if (!totals || change?.before == null || change.after === null) return '';
  return text('say.latency', {
    target: totals.title,
    before: spoken(change.before),
    after: spoken(change.after),
  });
}

function spoken(ms: number): string {
  return quantity(ms, 'time').replace(/\u00a0ms$/, ` ${text('say.milliseconds')}`);
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(', ');
}
