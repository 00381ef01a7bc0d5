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
  const found = new Map<Executed, { kernelMs: number[]; gapMs: number[] }>();
  for (const run of runsOf(events).slice(1)) {
    const turn = new Map<string, number>();
    let end = run.ts;
    for (const { name, ts, dur } of run.kernels) {
      const key = name.slice(0, -KERNEL.length);
      const at = turn.get(key) ?? 0;
      turn.set(key, at + 1);
      const gap = Math.max(0, ts - end);
      end = ts + dur;
      const one = byName.get(key)?.[at];
      if (!one) continue;
      const times = found.get(one) ?? { kernelMs: [], gapMs: [] };
      times.kernelMs.push(dur / 1e3);
      times.gapMs.push(gap / 1e3);
      found.set(one, times);
    }
  }
  return new Map(
    [...found].map(([one, { kernelMs, gapMs }]) => [
      one,
      { kernelMs: median(kernelMs), gapMs: median(gapMs) },
    ]),
  );
}

interface Run {
  readonly ts: number;
  readonly kernels: readonly ProfileEvent[];
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
    const inside: ProfileEvent[] = [];
    let outerEnd = -Infinity;
    for (; next < kernels.length && kernels[next]!.ts <= ts + dur; next++) {
      const kernel = kernels[next]!;
      if (kernel.ts < outerEnd) continue;
      inside.push(kernel);
      outerEnd = kernel.ts + kernel.dur;
    }
    return { ts, kernels: inside };
  });
}

// ---- layers

/**
 * A layer takes its kernels and the time to get them started. Profiling itself delays those starts: they are scaled down
 * until the layers add up to what the model takes unwatched.
 */
export function layersOf(
  graph: Graph,
  executed: readonly Executed[],
  times: ReadonlyMap<Executed, KernelTime>,
  wholeMs: number,
): LayerTime[] {
  const sum = (of: (time: KernelTime) => number) =>
    [...times.values()].reduce((total, time) => total + of(time), 0);
  const gaps = sum(({ gapMs }) => gapMs);
  const room = wholeMs - sum(({ kernelMs }) => kernelMs);
  const scale = gaps > 0 ? Math.min(1, Math.max(0, room / gaps)) : 0;
  const layers = new Map<string, { ms: number; kernels: Set<string>; fused: Set<string> }>();
  for (const one of executed) {
    const main = mainMember(graph, one.members);
    const time = times.get(one);
    if (main === undefined) continue;
    const layer = layers.get(main) ?? { ms: 0, kernels: new Set(), fused: new Set() };
    layers.set(main, layer);
    layer.ms += time ? time.kernelMs + scale * time.gapMs : 0;
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
