/** From the events of ONNX Runtime's profile to what each layer takes. */
import type { Graph } from '../../graph/graph';
import type { LayerTime } from '../tasks';
import { mainMember, type Executed } from './attribution';
import { kernelName } from './kernels';
import { median } from './measure';

/** The part of an event that is looked at; times in µs. */
export interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

const KERNEL = '_kernel_time';

/** Of one kernel: how long it computed, and how long after the kernel before it that began. Medians, in ms. */
interface KernelTime {
  readonly kernelMs: number;
  readonly gapMs: number;
  /** Events that were noted down within that time: its own, and those of the kernels of its body. */
  readonly events: number;
}

/** Events come in the order of execution; kernels of one name in the order of the graph. The first run warms up. */
export function timesOf(
  events: readonly ProfileEvent[],
  executed: readonly Executed[],
): ReadonlyMap<Executed, KernelTime> {
  const byName = new Map<string, Executed[]>();
  for (const one of executed) {
    const known = byName.get(one.kernel.name);
    if (known) known.push(one);
    else byName.set(one.kernel.name, [one]);
  }
  const found = new Map<Executed, Record<keyof KernelTime, number[]>>();
  const runsMs: number[] = [];
  for (const run of runsOf(events).slice(1)) {
    const turn = new Map<string, number>();
    let end = run.ts;
    for (const { name, ts, dur, inside } of run.kernels) {
      const key = name.slice(0, -KERNEL.length);
      const at = turn.get(key) ?? 0;
      turn.set(key, at + 1);
      const gap = Math.max(0, ts - end);
      end = ts + dur;
      const one = byName.get(key)?.[at];
      if (!one) continue;
      const times = found.get(one) ?? { kernelMs: [], gapMs: [], events: [] };
      times.kernelMs.push(dur / 1e3);
      times.gapMs.push(gap / 1e3);
      times.events.push(1 + inside);
      found.set(one, times);
    }
    runsMs.push((end - run.ts) / 1e3);
  }
  const medians = [...found].map(
    ([one, { kernelMs, gapMs, events: noted }]) =>
      [one, { kernelMs: median(kernelMs), gapMs: median(gapMs), events: median(noted) }] as const,
  );
  return slowedTo(medians, runsMs.length ? median(runsMs) : 0);
}

/**
 * What other programs disturb is another kernel in every run: no kernel's median shows it, and that of the run does. The
 * medians say how a run divides, and the run how long it is.
 */
function slowedTo(
  medians: readonly (readonly [Executed, KernelTime])[],
  runMs: number,
): ReadonlyMap<Executed, KernelTime> {
  const sum = medians.reduce((total, [, { kernelMs, gapMs }]) => total + kernelMs + gapMs, 0);
  const factor = sum > 0 ? Math.max(1, runMs / sum) : 1;
  return new Map(
    medians.map(([one, { kernelMs, gapMs, events }]) => [
      one,
      { kernelMs: factor * kernelMs, gapMs: factor * gapMs, events },
    ]),
  );
}

interface Run {
  readonly ts: number;
  readonly kernels: readonly OuterEvent[];
}

interface OuterEvent extends ProfileEvent {
  /** Events of kernels that ran inside it. */
  inside: number;
}

/** Kernels by the run that they lie in; what runs inside another kernel is part of that. */
function runsOf(events: readonly ProfileEvent[]): Run[] {
  const whole = events
    .filter(({ cat, name }) => cat === 'Session' && name === 'model_run')
    .sort((a, b) => a.ts - b.ts);
  const kernels = events
    .filter(({ cat, name }) => cat === 'Node' && name.endsWith(KERNEL))
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  let next = 0;
  return whole.map(({ ts, dur }) => {
    const outer: OuterEvent[] = [];
    let outerEnd = -Infinity;
    for (; next < kernels.length && kernels[next]!.ts <= ts + dur; next++) {
      const kernel = kernels[next]!;
      if (kernel.ts < outerEnd) {
        outer.at(-1)!.inside++;
        continue;
      }
      outer.push({ ...kernel, inside: 0 });
      outerEnd = kernel.ts + kernel.dur;
    }
    return { ts, kernels: outer };
  });
}

// ---- layers

/**
 * A layer takes its kernels and the time to get them started. Profiling delays both: starts are scaled down until the layers
 * add up to what the model takes unwatched, and where that is not enough, every event that was noted down is taken to have
 * cost the same.
 */
export function layersOf(
  graph: Graph,
  executed: readonly Executed[],
  times: ReadonlyMap<Executed, KernelTime>,
  wholeMs: number,
): LayerTime[] {
  const all = [...times.values()];
  const gaps = all.reduce((sum, { gapMs }) => sum + gapMs, 0);
  const room = wholeMs - all.reduce((sum, { kernelMs }) => sum + kernelMs, 0);
  const scale = gaps > 0 ? Math.min(1, Math.max(0, room / gaps)) : 0;
  const perEventMs = room < 0 ? eventMs(all, wholeMs) : 0;
  const layers = new Map<string, { ms: number; kernels: Set<string>; fused: Set<string> }>();
  for (const one of executed) {
    const main = mainMember(graph, one.members);
    const time = times.get(one);
    if (main === undefined) continue;
    const layer = layers.get(main) ?? { ms: 0, kernels: new Set(), fused: new Set() };
    layers.set(main, layer);
    if (time) layer.ms += unwatchedMs(time, perEventMs) + scale * time.gapMs;
    layer.kernels.add(kernelName(one.kernel));
    if (!one.helper) for (const member of one.members) if (member !== main) layer.fused.add(member);
  }
  const places = new Map(graph.order.map(({ id }, position) => [id, position]));
  return [...layers]
    .map(([node, { ms, kernels, fused }]) => ({
      node,
      op: graph.node(node)!.op,
      ms,
      kernels: [...kernels],
      fused: [...fused].filter((id) => !layers.has(id)),
    }))
    .sort((a, b) => places.get(a.node)! - places.get(b.node)!);
}

const unwatchedMs = ({ kernelMs, events }: KernelTime, perEventMs: number): number =>
  Math.max(0, kernelMs - perEventMs * events);

const HALVINGS = 50;

/** What noting down an event takes if kernels add up to `wholeMs` without that, by bisection. */
function eventMs(times: readonly KernelTime[], wholeMs: number): number {
  let [low, high] = [0, Math.max(...times.map(({ kernelMs }) => kernelMs))];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    const sum = times.reduce((total, time) => total + unwatchedMs(time, middle), 0);
    if (sum > wholeMs) low = middle;
    else high = middle;
  }
  return high;
}
