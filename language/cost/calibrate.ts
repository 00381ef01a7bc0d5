/**
 * A profile fitted to a device from a few measurements. Three numbers are fitted, each a factor on times that the profile
 * gives: compute (arithmetic and activations), reading weights, and overhead. What differs between classes of layers stays
 * as it is in the profile, because a few networks cannot tell it. The fit is the least sum of squared relative errors with
 * no factor below zero, and a weak pull towards the ratios of the profile, for what the measurements leave open.
 */
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { TargetEstimate } from './cost';
import { estimate } from './estimate';
import { errorOf, rounded, seenIn, type HeldOut } from './heldOut';
import type { Precision } from './precision';
import type { MobileProfile } from './profile';

export interface Measurement {
  /** The network, and the sizes that it was measured at. */
  readonly name: string;
  /** Equal for measurements of one network at several sizes: they are left out together. */
  readonly network: string;
  /** The place in the table, for messages. */
  readonly where: string;
  readonly graph: Graph;
  readonly facts: Facts;
  readonly latencyMs: number;
}

/** Factors on the times of a profile. */
export interface Scales {
  readonly compute: number;
  readonly weights: number;
  readonly overhead: number;
}

export interface Calibration {
  readonly profile: MobileProfile;
  readonly scales: Scales;
  readonly heldOut: readonly HeldOut[];
  readonly warnings: readonly string[];
}

export const FEWEST_MEASUREMENTS = 3;

/** @throws WhittleError when the measurements are too few, or contradict each other */
export function calibrate(
  prior: MobileProfile,
  measurements: readonly Measurement[],
  precision?: Precision,
): Calibration {
  checkEnough(measurements);
  checkRepeats(measurements);
  const scales = fit(prior, measurements, precision);
  const fitted = scaled(prior, scales);
  const heldOut = measurements.map((measurement): HeldOut => {
    const others = measurements.filter(({ network }) => network !== measurement.network);
    const without = scaled(prior, fit(prior, others, precision));
    return {
      name: measurement.name,
      measuredMs: measurement.latencyMs,
      predictedMs: total(measurement, without, precision),
      fittedMs: total(measurement, fitted, precision),
    };
  });
  const doubts = checkFit(measurements, heldOut);
  return {
    profile: {
      ...fitted,
      basis: {
        status: 'calibrated',
        on: measurements.map(({ name }) => name).join(', '),
        errors: [errorOf(heldOut, 'one network left out at a time', precision)],
        limits: `Three constants were fitted to ${measurements.length} measurements; what differs between kinds of layers is that of ${prior.id}.`,
        saw: seenIn(measurements),
      },
    },
    scales,
    heldOut,
    warnings: [...doubts, ...dominated(prior, measurements, precision)],
  };
}

// ---- the fit

/** Times of the three groups, and what no factor changes, in ms. */
type Amounts = readonly [compute: number, weights: number, overhead: number, given: number];

const GROUPS: Readonly<Record<string, number>> = {
  arithmetic: 0,
  activations: 0,
  weights: 1,
  'kernel start': 2,
};
const GIVEN = 3;

function amountsOf({ layers, total: { fixedMs } }: TargetEstimate): Amounts {
  const amounts: [number, number, number, number] = [0, 0, fixedMs, 0];
  for (const { terms } of layers)
    for (const { name, ms } of terms) amounts[GROUPS[name] ?? GIVEN]! += ms;
  return amounts;
}

const estimateOf = (
  { graph, facts }: Measurement,
  profile: MobileProfile,
  precision: Precision | undefined,
): TargetEstimate => estimate(graph, facts, profile, precision ? { as: precision } : {});

const total = (
  measurement: Measurement,
  profile: MobileProfile,
  precision: Precision | undefined,
): number => estimateOf(measurement, profile, precision).total.latencyMs;

const MOST_ROUNDS = 20;
const SETTLED = 1e-4;

/** What hides behind what depends on the factors, so the fit is repeated until they stay. */
function fit(
  prior: MobileProfile,
  measurements: readonly Measurement[],
  precision: Precision | undefined,
): Scales {
  let scales: Scales = { compute: 1, weights: 1, overhead: 1 };
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const profile = scaled(prior, scales);
    const rows = measurements.map((measurement) => ({
      amounts: amountsOf(estimateOf(measurement, profile, precision)),
      latencyMs: measurement.latencyMs,
    }));
    const now = [scales.compute, scales.weights, scales.overhead] as const;
    const unscaled = rows.map(({ amounts, latencyMs }) => ({
      times: now.map((scale, i) => amounts[i]! / scale),
      targetMs: Math.max(0, latencyMs - amounts[GIVEN]),
      latencyMs,
    }));
    const next = leastSquares(unscaled);
    const change = Math.max(...next.map((scale, i) => Math.abs(scale / now[i]! - 1)));
    scales = { compute: next[0]!, weights: next[1]!, overhead: next[2]! };
    if (change < SETTLED) break;
  }
  return scales;
}

interface Row {
  /** At factors of one. */
  readonly times: readonly number[];
  readonly targetMs: number;
  readonly latencyMs: number;
}

/** How strongly, against one measurement, a factor is pulled to the one that would fit alone. */
const PULL = 0.03;
/** No factor may vanish: a rate must stay finite. */
const LEAST = 0.01;

function leastSquares(rows: readonly Row[]): number[] {
  const common = Math.exp(
    rows.reduce((sum, { times, targetMs }) => sum + Math.log(positiveRatio(targetMs, times)), 0) /
      rows.length,
  );
  const equations = [
    ...rows.map(({ times, targetMs, latencyMs }) => ({
      coefficients: times.map((time) => (time * common) / latencyMs),
      right: targetMs / latencyMs,
    })),
    ...[0, 1, 2].map((i) => ({
      coefficients: [0, 1, 2].map((j) => (i === j ? PULL : 0)),
      right: PULL,
    })),
  ];
  return nonNegative(equations).map((factor) => common * Math.max(LEAST, factor));
}

const positiveRatio = (targetMs: number, times: readonly number[]): number =>
  Math.max(targetMs, 1e-6) / Math.max(1e-9, times[0]! + times[1]! + times[2]!);

interface Equation {
  readonly coefficients: readonly number[];
  readonly right: number;
}

/** Non-negative least squares of three unknowns: the best of the solutions with some of them zero. */
function nonNegative(equations: readonly Equation[]): number[] {
  let best = { error: Infinity, factors: [0, 0, 0] };
  for (let subset = 1; subset < 8; subset++) {
    const free = [0, 1, 2].filter((i) => subset & (1 << i));
    const solution = solve(equations, free);
    if (!solution.every((factor) => factor >= 0)) continue;
    const factors = [0, 0, 0];
    free.forEach((i, at) => (factors[i] = solution[at]!));
    const error = equations.reduce((sum, { coefficients, right }) => {
      const value = coefficients.reduce((all, c, i) => all + c * factors[i]!, 0);
      return sum + (value - right) ** 2;
    }, 0);
    if (error < best.error) best = { error, factors };
  }
  return best.factors;
}

/** The normal equations of some of the unknowns, by elimination; the pull keeps them regular. */
function solve(equations: readonly Equation[], free: readonly number[]): number[] {
  const matrix = free.map((i) => [
    ...free.map((j) => equations.reduce((sum, { coefficients: c }) => sum + c[i]! * c[j]!, 0)),
    equations.reduce((sum, { coefficients: c, right }) => sum + c[i]! * right, 0),
  ]);
  for (let pivot = 0; pivot < free.length; pivot++)
    for (let row = 0; row < free.length; row++) {
      if (row === pivot) continue;
      const factor = matrix[row]![pivot]! / matrix[pivot]![pivot]!;
      for (let column = pivot; column <= free.length; column++)
        matrix[row]![column]! -= factor * matrix[pivot]![column]!;
    }
  return matrix.map((row, i) => row[free.length]! / row[i]!);
}

// ---- the profile

/** Of every precision alike: the ratios between them are not fitted. */
export function scaled(profile: MobileProfile, scales: Scales): MobileProfile {
  type Rates = MobileProfile['precisions']['fp32'];
  const rates = (of: Rates): Rates => {
    const slower = (rate: number | undefined) =>
      rate === undefined ? undefined : rounded(rate / scales.compute);
    const out: Record<string, number | undefined> = { ...of };
    for (const name of COMPUTE_RATES) out[name] = slower(of[name]);
    out.weightGbPerS = rounded(of.weightGbPerS / scales.weights);
    out.perKernelUs = rounded(of.perKernelUs * scales.overhead);
    if (of.perRunUs !== undefined) out.perRunUs = rounded(of.perRunUs * scales.overhead);
    return Object.fromEntries(
      Object.entries(out).filter(([, value]) => value !== undefined),
    ) as Rates;
  };
  const { fp32, fp16, int8 } = profile.precisions;
  return {
    ...profile,
    precisions: {
      fp32: rates(fp32),
      ...(fp16 && { fp16: rates(fp16) }),
      ...(int8 && { int8: rates(int8) }),
    },
  };
}

const COMPUTE_RATES = [
  'pointwiseGmacPerS',
  'spatialGmacPerS',
  'stridedGmacPerS',
  'largeGmacPerS',
  'shallowGmacPerS',
  'depthwiseGmacPerS',
  'attentionGmacPerS',
  'productGbPerS',
  'activationGbPerS',
  'movementGbPerS',
  'normalisationGbPerS',
  'gopPerS',
] as const;

// ---- measurements that cannot be right

function checkEnough(measurements: readonly Measurement[]): void {
  const distinct = new Set(measurements.map(({ network }) => network)).size;
  if (distinct >= FEWEST_MEASUREMENTS) return;
  throw new WhittleError(
    `latency_ms: ${FEWEST_MEASUREMENTS} networks must be measured, and there ${distinct === 1 ? 'is' : 'are'} ${distinct}`,
    {
      ...(measurements[0] && { where: measurements[0].where }),
      hint: 'Measure networks that differ: one of depthwise convolutions, one of dense ones, one with large fully connected layers',
    },
  );
}

/** A device repeats itself within a few percent; beyond this something else was measured. */
const REPEATS_WITHIN = 1.3;

function checkRepeats(measurements: readonly Measurement[]): void {
  for (const [i, one] of measurements.entries())
    for (const other of measurements.slice(i + 1)) {
      const ratio = one.latencyMs / other.latencyMs;
      if (one.name !== other.name || Math.max(ratio, 1 / ratio) <= REPEATS_WITHIN) continue;
      throw new WhittleError(
        `latency_ms: ${one.name} was measured twice, ${one.latencyMs} and ${other.latencyMs} ms`,
        {
          where: `${one.where} and ${other.where}`,
          hint: 'Measure again, and leave one of the two',
        },
      );
    }
}

/** No device is this far from the model: a unit, or another network, was written down. */
const IMPOSSIBLE = 10;
/** The fit to all of them leaves this much of one unexplained: it may be a limit of the device, such as its memory. */
const DOUBTFUL = 1.5;

/** @throws WhittleError for a measurement that the others rule out; names those that they make doubtful */
function checkFit(measurements: readonly Measurement[], heldOut: readonly HeldOut[]): string[] {
  return heldOut.flatMap(({ name, fittedMs, measuredMs }) => {
    const factor = Math.max(fittedMs / measuredMs, measuredMs / fittedMs);
    if (factor <= DOUBTFUL) return [];
    const { where } = measurements.find((measurement) => measurement.name === name)!;
    const what = `latency_ms: the measurements contradict each other: with the others, ${name} would take ${fittedMs.toPrecision(3)} ms, and ${measuredMs} were measured`;
    const hint = 'Check that all are of one device, precision, number of threads and batch size';
    if (factor > IMPOSSIBLE) throw new WhittleError(what, { where, hint });
    return [`${what} (${where}). ${hint}`];
  });
}

/** Pairs of which one does more of everything and yet was measured to be clearly faster. */
function dominated(
  prior: MobileProfile,
  measurements: readonly Measurement[],
  precision: Precision | undefined,
): string[] {
  const all = measurements.map((measurement) => ({
    measurement,
    amounts: amountsOf(estimateOf(measurement, prior, precision)),
  }));
  return all.flatMap(({ measurement: more, amounts }) =>
    all
      .filter(
        ({ measurement: less, amounts: fewer }) =>
          more.name !== less.name &&
          more.latencyMs * REPEATS_WITHIN < less.latencyMs &&
          amounts.every((amount, i) => amount >= fewer[i]!),
      )
      .map(
        ({ measurement: less }) =>
          `latency_ms: ${more.name} does more of everything than ${less.name} and was measured faster (${more.where}, ${less.where}). Measure both again`,
      ),
  );
}
