/**
 * Which parallelism every engine of a dataflow design gets: the shortest interval between pictures for which the cheapest
 * engines that keep up with it fit into the device together. The interval is found by bisection, as engines only shrink
 * when they have more time; what is scarce is found by raising its price until the design fits (Lagrangian relaxation), so
 * that weights move from block RAM into Ultra RAM and products from DSP slices into look-up tables. The balancing is that of
 * FINN's folding and of DNNBuilder (Zhang et al., ICCAD 2018).
 */
import {
  buildable,
  cheapest,
  cycleRange,
  plus,
  priceOf,
  RESOURCES,
  times,
  waysWithin,
  type Buildable,
  type Built,
  type Engine,
  type Prices,
  type Resource,
  type Use,
  type Ways,
} from './dataflow';
import { madeOnce } from './placing';
import type { DataflowProfile } from './profile';

export interface Design {
  /** One for each engine, in their order. */
  readonly built: readonly Built[];
  readonly total: Use;
  /** Cycles from one picture to the next: those of the slowest engine, or of the memory. */
  readonly intervalCycles: number;
  readonly memoryCycles: number;
  /** Resources that the smallest design asks more of than there is. */
  readonly over: readonly Resource[];
}

/** Engines that are alike are built alike. */
interface Kind {
  readonly of: Buildable;
  readonly count: number;
}

/** The last designs for a device: of the network as it is, as it was, and of a few others. */
const latest = new WeakMap<DataflowProfile, Map<string, Design>>();
const MOST_DESIGNS = 8;

/** @param besides what is taken in any case: the traffic of inputs and outputs */
export function designOf(
  engines: readonly Engine[],
  besides: Use,
  profile: DataflowProfile,
): Design {
  const keys = engines.map((engine) => JSON.stringify(engine));
  const key = [besides.trafficBytes, ...keys].join();
  const designs = madeOnce(latest, profile, () => new Map<string, Design>());
  const design = designs.get(key) ?? newDesign(engines, keys, besides, profile);
  designs.delete(key);
  designs.set(key, design);
  const [oldest] = designs.keys();
  if (designs.size > MOST_DESIGNS) designs.delete(oldest!);
  return design;
}

function newDesign(
  engines: readonly Engine[],
  keys: readonly string[],
  besides: Use,
  profile: DataflowProfile,
): Design {
  const places = new Map<string, number>();
  const kinds: { of: Buildable; count: number }[] = [];
  const kindOf = keys.map((key, at) => {
    const place = madeOnce(places, key, () => {
      kinds.push({ of: buildable(engines[at]!, profile), count: 0 });
      return kinds.length - 1;
    });
    kinds[place]!.count++;
    return place;
  });
  const design = shortest(engines, kinds, besides, profile);
  return { ...design, built: kindOf.map((kind) => design.built[kind]!) };
}

/** The design with the shortest interval; its engines by kind. */
function shortest(
  engines: readonly Engine[],
  kinds: readonly Kind[],
  besides: Use,
  profile: DataflowProfile,
): Design {
  const problem = (intervalCycles: number): Problem => ({
    kinds: kinds.map(({ of, count }) => ({ count, ways: waysWithin(of, intervalCycles) })),
    besides,
    intervalCycles,
    profile,
  });
  const ranges = engines.map(cycleRange);
  const fastest = Math.max(1, ...ranges.map(({ least }) => least));
  const slowest = Math.max(1, ...ranges.map(({ most }) => most));
  let best = nearestFit(problem(slowest));
  if (best.over.length > 0) return best;
  let [low, high] = [fastest, slowest];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const design = nearestFit(problem(middle), true);
    if (design.over.length > 0) low = middle + 1;
    else {
      best = design;
      high = middle;
    }
  }
  return best;
}

/** Rounds of raising the prices of what is scarce. */
const ROUNDS = 8;

interface Problem {
  readonly kinds: readonly { readonly count: number; readonly ways: readonly Ways[] }[];
  readonly besides: Use;
  readonly intervalCycles: number;
  readonly profile: DataflowProfile;
}

/**
 * A design that keeps up with an interval: one within the budget where raising prices finds one, else the nearest.
 * @param isBound gives up once no design can fit: when even the cheapest is worth more than the whole budget at its prices
 */
function nearestFit(problem: Problem, isBound = false): Design {
  const budget = budgetOf(problem.profile, problem.intervalCycles);
  const filled = (total: Use, name: Resource) => total[name] / Math.max(budget[name], TINY);
  const prices = mapped((name) => 1 / Math.max(budget[name], TINY));
  let nearest = designAt(problem, prices);
  let least = Infinity;
  for (let round = 0; round < ROUNDS && least > 1; round++) {
    const design = round === 0 ? nearest : designAt(problem, prices);
    const worst = Math.max(...RESOURCES.map((name) => filled(design.total, name)));
    if (worst < least) [nearest, least] = [design, worst];
    if (isBound && priceOf(design.total, prices) > (1 + ROUNDING) * priceOf(budget, prices)) break;
    for (const name of RESOURCES)
      prices[name] *= Math.min(STEEPEST, Math.max(1 / STEEPEST, filled(design.total, name)));
  }
  return nearest;
}

/** Of sums of resources. */
const ROUNDING = 1e-9;
/** Of a resource that a device does not have, so that its price is high and not infinite. */
const TINY = 1e-6;
const STEEPEST = 4;

function designAt({ kinds, besides, intervalCycles, profile }: Problem, prices: Prices): Design {
  const built = kinds.map(({ ways }) => cheapest(ways, prices)!);
  const total = plus(besides, ...built.map(({ use }, kind) => times(kinds[kind]!.count, use)));
  const budget = budgetOf(profile, intervalCycles);
  const memoryCycles = total.trafficBytes / bytesPerCycle(profile);
  return {
    built,
    total,
    intervalCycles: Math.max(1, memoryCycles, ...built.map(({ cycles }) => cycles)),
    memoryCycles,
    over: RESOURCES.filter((name) => total[name] > budget[name]),
  };
}

/** What can be used of a device, and what its memory moves within an interval. */
export function budgetOf(profile: DataflowProfile, intervalCycles: number): Use {
  const { budget, usable } = profile;
  return {
    dsp: budget.dsp * usable.dsp,
    lut: budget.lut * usable.lut,
    bram18: 2 * budget.bram * usable.bram,
    uram: budget.uram * usable.uram,
    trafficBytes: bytesPerCycle(profile) * intervalCycles,
  };
}

const bytesPerCycle = ({ dramGbPerS, clockMhz }: DataflowProfile): number =>
  (dramGbPerS * 1e3) / clockMhz;

const mapped = (of: (name: Resource) => number): Record<Resource, number> => ({
  dsp: of('dsp'),
  lut: of('lut'),
  bram18: of('bram18'),
  uram: of('uram'),
  trafficBytes: of('trafficBytes'),
});
