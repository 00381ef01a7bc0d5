/** What each layer of a model takes on this machine, by ONNX Runtime's own profile. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { WhittleError } from '../../errors';
import { Graph } from '../../graph/graph';
import { writeModel } from '../../onnx/write';
import type { Context } from '../perform';
import { nameOf, openSession, readStructure } from '../session';
import { generatedData, type LayerTime, type Profile, type ProfileRequest } from '../tasks';
import { attribute, mainMember, tagNodes, type Executed } from './attribution';
import { openData } from './data';
import { kernelName } from './kernels';
import { conditionsOf, median, openRunner } from './measure';

const WARM_UP_RUNS = 3;
const MIN_RUNS = 5;
const MAX_RUNS = 200;
/** ONNX Runtime keeps every event in memory until the end, and at most a million. */
const MAX_EVENTS = 400_000;
const DEFAULT_BUDGET_MS = 1500;

export async function profile(request: ProfileRequest, context: Context): Promise<Profile> {
  const { model: file, threads = 1, batch = 1, budgetMs = DEFAULT_BUDGET_MS } = request;
  const { scratch, report } = context;
  report(`loading ${nameOf(file)}`, 0, budgetMs);
  const model = readStructure(file);
  const graph = Graph.of(model);
  const ids = tagNodes(graph);
  const tagged = path.join(scratch, 'tagged.onnx');
  writeModel(model, graph.toRecord(), graph.opsets, tagged);
  const optimisedFile = path.join(scratch, 'optimised.onnx');
  const options = { threads, copyOf: file };
  const plain = await openSession(tagged, options);
  const profiled = await openSession(tagged, {
    ...options,
    optimisedFile,
    profilePrefix: path.join(scratch, PREFIX),
  });
  const executed = attribute(graph, ids, readStructure(optimisedFile).graph.nodes);
  const dataset = openData(request.data ?? generatedData(1));
  const [alone, watched] = [plain, profiled].map((session) =>
    openRunner(session, dataset, batch, request.shapes),
  ) as [Runner, Runner];
  const most = Math.max(
    MIN_RUNS,
    Math.min(MAX_RUNS, Math.floor(MAX_EVENTS / Math.max(1, executed.length))),
  );
  for (let i = 0; i < WARM_UP_RUNS; i++) await alone.run();
  const start = performance.now();
  let runs = 0;
  for (; runs < most; runs++) {
    const elapsedMs = performance.now() - start;
    if (runs >= MIN_RUNS && elapsedMs > budgetMs) break;
    report('measuring', Math.min(budgetMs, Math.round(elapsedMs)), budgetMs);
    alone.timesMs.push(await alone.run());
    await watched.run();
  }
  profiled.endProfiling();
  const events = readEvents(scratch, file);
  const wholeMs = median(alone.timesMs);
  return {
    layers: layersOf(graph, executed, timesOf(events, executed), wholeMs),
    wholeMs,
    conditions: await conditionsOf({ threads, rows: alone.rows, dataset, runs }),
    generated: dataset.generated,
  };
}

type Runner = ReturnType<typeof openRunner>;

// ---- ONNX Runtime's file of events

/** The part of an event that is looked at; times in µs. */
interface Event {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

const PREFIX = 'profile';
const KERNEL = /_kernel_time$/;

function readEvents(scratch: string, model: string): readonly Event[] {
  try {
    // The prefix is followed by the date, which `endProfiling` keeps for itself.
    const name = readdirSync(scratch).find((entry) => entry.startsWith(`${PREFIX}_`))!;
    return JSON.parse(readFileSync(path.join(scratch, name), 'utf8')) as Event[];
  } catch (cause) {
    throw new WhittleError('ONNX Runtime left no profile', { where: model, cause });
  }
}

/** Of one kernel: how long it computed, and how long after the kernel before it that began. Medians, in ms. */
interface KernelTime {
  readonly kernelMs: number;
  readonly gapMs: number;
}

/** Events come in the order of execution; kernels of one name in the order of the graph. The first run warms up. */
function timesOf(
  events: readonly Event[],
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
      const key = name.replace(KERNEL, '');
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
  readonly kernels: readonly Event[];
}

/** Kernels by the run that they lie in; what runs inside another kernel is part of that. */
function runsOf(events: readonly Event[]): Run[] {
  const whole = events
    .filter(({ cat, name }) => cat === 'Session' && name === 'model_run')
    .sort((a, b) => a.ts - b.ts);
  const kernels = events
    .filter(({ cat, name }) => cat === 'Node' && KERNEL.test(name))
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  let next = 0;
  return whole.map(({ ts, dur }) => {
    const inside: Event[] = [];
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
function layersOf(
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
