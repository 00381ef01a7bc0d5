/**
 * Layers of a dataflow design, timed together: the design is chosen for all of them, every engine starts as soon as the
 * engines before it have sent its first window, and the next picture follows after the interval of the slowest.
 */
import type { LayerCost, Resources, TargetEstimate } from './cost';
import { engineOf, use, type Built, type Engine, type Resource } from './dataflow';
import { budgetOf, designOf, type Design } from './dataflowDesign';
import type { PlacedKernel } from './estimate';
import type { Flow, Flows } from './flow';
import type { DataflowProfile } from './profile';

/** What a design is as a whole. */
export interface Pipeline {
  readonly resources: Resources;
  /** Its latency is that of its layers. */
  readonly pipeline: Omit<NonNullable<TargetEstimate['pipeline']>, 'latencyMs'>;
  readonly warnings: readonly string[];
}

/**
 * Changes the costs of the layers on a dataflow design in place.
 * @param costs by the place of a node in the order
 * @param bytesOf of a value as the target holds it
 */
export function overPipeline(
  { flows, inputs, outputs }: Flows<PlacedKernel>,
  costs: LayerCost[],
  profile: DataflowProfile,
  bytesOf: (value: number) => number | undefined,
): Pipeline {
  const stages = stagesOf(flows, costs, profile);
  const engines = stages.flatMap(({ engine }) => engine ?? []);
  const trafficBytes = [...inputs, ...outputs].reduce(
    (sum, value) => sum + (bytesOf(value) ?? 0),
    0,
  );
  const design = designOf(engines, use({ trafficBytes }), profile);
  const msPerCycle = 1 / (profile.clockMhz * 1e3);
  let next = 0;
  const built = stages.map(({ engine }) => (engine ? design.built[next++] : undefined));
  const times = timesOf(stages, built, { msPerCycle, startCycles: profile.engines.startCycles });
  stages.forEach(({ flow: { kernel } }, at) => {
    const place = kernel.places[0]!;
    const own = built[at];
    if (own) costs[place] = engineCost(costs[place]!, own, times[at]!, design, profile);
  });
  const besideMs = stages.reduce((sum, { besideMs }) => sum + besideMs, 0);
  const slowest = stages.find((_, at) => built[at]?.cycles === design.intervalCycles);
  const intervalMs = Math.max(design.intervalCycles * msPerCycle, besideMs);
  const total = design.total;
  return {
    resources: {
      dsp: total.dsp,
      lut: Math.ceil(total.lut),
      bram: Math.ceil(total.bram18 / 2),
      uram: total.uram,
    },
    pipeline: {
      intervalMs,
      perSecond: 1e3 / intervalMs,
      slowest: besideMs < intervalMs ? (slowest?.flow.kernel.main.id ?? null) : null,
    },
    warnings: design.over.map((resource) => overBudget(resource, stages, built, design, profile)),
  };
}

// ---- stages

interface Stage {
  readonly flow: Flow<PlacedKernel>;
  /** Undefined for what runs beside the design, and for layers that take no time. */
  readonly engine: Engine | undefined;
  readonly besideMs: number;
  /** Places of the stages that it reads from. */
  readonly from: readonly number[];
}

/** Kernels of other targets, too, take their time between engines. */
function stagesOf(
  flows: readonly Flow<PlacedKernel>[],
  costs: readonly LayerCost[],
  profile: DataflowProfile,
): Stage[] {
  const makers = new Map<number, number>();
  return flows.map((flow, at) => {
    const { main, places, workload, profile: own } = flow.kernel;
    const { latencyMs } = costs[places[0]!]!;
    const engine =
      own === profile && latencyMs !== null
        ? engineOf({ op: main.op, workload }, profile)
        : undefined;
    const from = flow.reads.flatMap((value) => makers.get(value) ?? []);
    for (const value of flow.writes) makers.set(value, at);
    const besideMs = engine ? 0 : (latencyMs ?? 0);
    return { flow, engine, besideMs, from };
  });
}

/** Parts of the latency of a run that are a layer's, in ms. */
interface Times {
  /** From the first input of the engine to its first output. */
  readonly starting: number;
  /** Until the next engine has what it begins with, or until all is through. */
  readonly streaming: number;
  /** Between the last input and the last output. */
  readonly emptying: number;
}

interface Moment {
  readonly begin: number;
  readonly finish: number;
  /** Whose outputs it waited for to begin, and to finish after them; undefined where nothing held it up. */
  readonly beginsAfter: number | undefined;
  readonly finishesAfter: number | undefined;
}

/**
 * A run through the empty pipeline. An engine begins when the first share of its input is there, and ends after its own
 * cycles or when it has worked off what came last, whichever is later. The longest chain of such waits, followed back
 * from the last output, is split among the layers; what runs beside the chain adds nothing.
 */
function timesOf(
  stages: readonly Stage[],
  built: readonly (Built | undefined)[],
  { msPerCycle, startCycles }: { readonly msPerCycle: number; readonly startCycles: number },
): Times[] {
  const startMs = startCycles * msPerCycle;
  const moments: Moment[] = [];
  const shares = stages.map(({ engine, besideMs }, at) => {
    const own = built[at];
    if (!engine || !own) return { first: 1, last: 1, ms: besideMs, startMs: 0 };
    return { first: engine.first, last: engine.last, ms: own.cycles * msPerCycle, startMs };
  });
  stages.forEach(({ from }, at) => {
    const { first, last, ms, startMs: start } = shares[at]!;
    let [begin, beginsAfter] = [start, undefined as number | undefined];
    let [finish, finishesAfter] = [0, undefined as number | undefined];
    for (const source of from) {
      const maker = moments[source]!;
      const ready = maker.begin + first * (maker.finish - maker.begin) + start;
      if (ready > begin || beginsAfter === undefined) [begin, beginsAfter] = [ready, source];
      const emptied = maker.finish + last * ms + start;
      if (emptied > finish) [finish, finishesAfter] = [emptied, source];
    }
    if (begin + ms >= finish) [finish, finishesAfter] = [begin + ms, undefined];
    moments.push({ begin, finish, beginsAfter, finishesAfter });
  });
  return chain(moments, shares);
}

function chain(
  moments: readonly Moment[],
  shares: readonly { readonly ms: number; readonly startMs: number; readonly first: number }[],
): Times[] {
  const times = moments.map(() => ({ starting: 0, streaming: 0, emptying: 0 }));
  let at = lastOf(moments);
  let isEnding = true;
  while (at !== undefined) {
    const { begin, finish, beginsAfter, finishesAfter }: Moment = moments[at]!;
    const { ms, startMs, first } = shares[at]!;
    const own = times[at]!;
    if (isEnding && finishesAfter !== undefined) {
      own.emptying += finish - moments[finishesAfter]!.finish;
      at = finishesAfter;
      continue;
    }
    if (isEnding) own.streaming += ms;
    own.starting += startMs;
    // An engine that waits for all of its input goes on where the one before it has ended.
    isEnding = first === 1;
    if (beginsAfter !== undefined && !isEnding)
      times[paceOf(moments, beginsAfter)]!.streaming +=
        begin - startMs - moments[beginsAfter]!.begin;
    at = beginsAfter;
  }
  return times;
}

const lastOf = (moments: readonly Moment[]): number | undefined =>
  moments.reduce<number | undefined>(
    (last, { finish }, i) => (last === undefined || finish > moments[last]!.finish ? i : last),
    undefined,
  );

/** Whose cycles decide how fast the outputs of a stage come: its own, or those of what it waits for. */
function paceOf(moments: readonly Moment[], stage: number): number {
  let at = stage;
  for (let next = moments[at]!.finishesAfter; next !== undefined; next = moments[at]!.finishesAfter)
    at = next;
  return at;
}

// ---- what is said of a layer

function engineCost(
  before: LayerCost,
  built: Built,
  { starting, streaming, emptying }: Times,
  design: Design,
  { clockMhz }: DataflowProfile,
): LayerCost {
  const terms = [
    { name: 'start', ms: starting },
    { name: 'streaming', ms: streaming },
    { name: 'after the last input', ms: emptying },
  ].filter(({ ms }) => ms > 0);
  return {
    ...before,
    latencyMs: starting + streaming + emptying,
    bound: terms.length === 0 ? 'hidden' : streaming >= emptying ? 'compute' : 'overhead',
    terms,
    cycles: built.cycles,
    resources: resourcesOf(built),
    mapping: describe(built, design, clockMhz),
  };
}

const resourcesOf = ({ use: { dsp, lut, bram18, uram } }: Built): Resources => ({
  dsp,
  lut: Math.ceil(lut),
  bram: bram18 / 2,
  uram,
});

/** One for all: making it takes longer than what it does. */
const ENGLISH = new Intl.NumberFormat('en');

function describe(built: Built, { intervalCycles }: Design, clockMhz: number): string {
  const { pe, simd, cycles, memory, multipliers, use: taken } = built;
  const number = (count: number) => ENGLISH.format(Math.ceil(count));
  const parallel = memory === null ? `${pe} lanes` : `PE ${pe} × SIMD ${simd}`;
  const busy = Math.round((100 * cycles) / intervalCycles);
  const parts = [
    ...(taken.dsp > 0 ? [`${number(taken.dsp)} DSP`] : []),
    `${number(taken.lut)} LUT`,
    ...(taken.bram18 > 0 ? [`${taken.bram18 / 2} BRAM`] : []),
    ...(taken.uram > 0 ? [`${taken.uram} URAM`] : []),
  ];
  return (
    `${parallel}: ${number(cycles)} of the ${number(intervalCycles)} cycles between pictures at ${clockMhz} MHz (${busy} %), ${parts.join(', ')}` +
    (memory === null ? '' : `; weights in ${memory}, multiplied in ${multipliers}`)
  );
}

const TITLES: Readonly<Record<Resource, string>> = {
  dsp: 'DSP',
  lut: 'LUT',
  bram18: 'BRAM',
  uram: 'URAM',
  trafficBytes: 'memory traffic',
};

/** Which resource is short, which layers take the most of it, and what to do. */
function overBudget(
  resource: Resource,
  stages: readonly Stage[],
  built: readonly (Built | undefined)[],
  design: Design,
  profile: DataflowProfile,
): string {
  // Block RAM is counted in halves.
  const unit = resource === 'bram18' ? 2 : 1;
  const number = (count: number) => ENGLISH.format(Math.ceil(count / unit));
  const taken = stages
    .map(({ flow }, at) => ({ layer: flow.kernel.main.id, of: built[at]?.use[resource] ?? 0 }))
    .filter(({ of }) => of > 0)
    .sort((a, b) => b.of - a.of)
    .slice(0, 3)
    .map(({ layer, of }) => `${layer} (${number(of)})`);
  const most = budgetOf(profile, design.intervalCycles)[resource];
  return (
    `The smallest design takes ${number(design.total[resource])} ${TITLES[resource]} and ${number(most)} of ${profile.id} can be used; ` +
    `most of it for ${taken.join(', ')}. Narrow or prune the weights of these layers, or take a larger device`
  );
}
