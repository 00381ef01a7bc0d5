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
  RESOURCES,
  type Buildable,
  type Built,
  type Engine,
  type Prices,
  type Resource,
  type Use,
} from './dataflow';
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

/** @param besides what is taken in any case: the traffic of inputs and outputs */
export function designOf(
  engines: readonly Engine[],
  besides: Use,
  profile: DataflowProfile,
): Design {
  const ways = engines.map((engine) => buildable(engine, profile));
  const fitting = (intervalCycles: number) =>
    nearestFit({ ways, besides, intervalCycles, profile });
  const ranges = engines.map(cycleRange);
  const fastest = Math.max(1, ...ranges.map(({ least }) => least));
  const slowest = Math.max(1, ...ranges.map(({ most }) => most));
  let best = fitting(slowest);
  if (best.over.length > 0) return best;
  let [low, high] = [fastest, slowest];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const design = fitting(middle);
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
  readonly ways: readonly Buildable[];
  readonly besides: Use;
  readonly intervalCycles: number;
  readonly profile: DataflowProfile;
}

/** A design that keeps up with an interval: one within the budget where raising prices finds one, else the nearest. */
function nearestFit(problem: Problem): Design {
  const budget = budgetOf(problem.profile, problem.intervalCycles);
  const filled = (total: Use, name: Resource) => total[name] / Math.max(budget[name], TINY);
  const prices = mapped((name) => 1 / Math.max(budget[name], TINY));
  let nearest = designAt(problem, prices);
  let least = Infinity;
  for (let round = 0; round < ROUNDS && least > 1; round++) {
    const design = round === 0 ? nearest : designAt(problem, prices);
    const worst = Math.max(...RESOURCES.map((name) => filled(design.total, name)));
    if (worst < least) [nearest, least] = [design, worst];
    for (const name of RESOURCES)
      prices[name] *= Math.min(STEEPEST, Math.max(1 / STEEPEST, filled(design.total, name)));
  }
  return nearest;
}

/** Of a resource that a device does not have, so that its price is high and not infinite. */
const TINY = 1e-6;
const STEEPEST = 4;

function designAt({ ways, besides, intervalCycles, profile }: Problem, prices: Prices): Design {
  const built = ways.map((engine) => cheapest(engine, intervalCycles, prices)!);
  const total = plus(besides, ...built.map(({ use }) => use));
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
