/** Remembers how the document was looked at, a moment after the last change. */
import { METRICS, type ViewMemory } from '../../language/protocol';
import type { Host } from '../host';
import type { State } from './state';
import type { Store } from './store';

const REST_MS = 400;

export function rememberChanges(host: Host, store: Store<State>): void {
  let last = memoryOf(store.get());
  let rest: ReturnType<typeof setTimeout> | undefined;
  store.subscribe(() => {
    const memory = memoryOf(store.get());
    if (same(memory, last)) return;
    last = memory;
    clearTimeout(rest);
    rest = setTimeout(() => void host.request('remember', memory), REST_MS);
  });
}

export function memoryOf(state: State): ViewMemory {
  const { open, viewport, selected, metric, folded, rooflineOpen: roofline } = state;
  return { open, viewport, selected, metric, folded, roofline };
}

/** What a memory, perhaps of another version, says of the state. */
export function recalled(memory: ViewMemory | null): Partial<State> {
  if (!memory) return {};
  const { open, viewport, selected, folded, roofline: rooflineOpen = false } = memory;
  const metric = METRICS.includes(memory.metric) ? memory.metric : 'latency';
  const current = selected[0] ?? null;
  return { open, viewport, selected, current, metric, folded, rooflineOpen };
}

function same(a: ViewMemory, b: ViewMemory): boolean {
  return (Object.keys(a) as (keyof ViewMemory)[]).every((key) => a[key] === b[key]);
}
