/** The report of an apply: what was done, what it changed, and how every number came about. */
import { statSync } from 'node:fs';
import { arch, cpus, platform, release } from 'node:os';
import { counts } from '../cost/counts';
import type { TargetEstimate } from '../cost/cost';
import { estimate } from '../cost/estimate';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { rooflineBetween } from '../cost/roofline';
import { workloads } from '../cost/workloads';
import type { Situation } from '../passes/pass';
import {
  MADE_UP_INPUTS,
  type BudgetReport,
  type Change,
  type Fidelity,
  type LayerReport,
  type ModelReport,
  type NumberKind,
  type Report,
  type StepReport,
} from '../protocol';
import type { ApplyJob } from './apply';
import { DEFAULT_TARGET, targetProfile } from './bundled';
import type { Provenance } from './decisions';
import { fileHash, textHash } from './files';
import { atLeast, type BoundModel } from './opened';
import { needsCalibration, type Recipe } from './recipe';
import { isMadeUp } from './schema';
import type { Run } from './run';
import type { Checks } from './verify';

export interface ReportRequest {
  readonly job: ApplyJob;
  readonly base: BoundModel;
  readonly run: Run;
  readonly seconds: readonly number[];
  readonly provenance: Provenance;
  /** The written model, where it lies now. */
  readonly written: string;
  readonly checks: Checks;
}

/** A state of the model with its cost on each target. */
interface Costed {
  readonly counted: Situation;
  readonly costs: readonly TargetEstimate[];
}

export async function makeReport(request: ReportRequest): Promise<Report> {
  const { job, base, run, seconds, provenance, written, checks } = request;
  const profiles = recipeTargets(job.recipe, job.folder);
  const resolve = (id: string) => targetProfile(id, job.folder);
  const isLeast = base.free.length > 0;
  const known = new Map<Situation, Costed>();
  const costOf = (situation: Situation): Costed => {
    let found = known.get(situation);
    if (!found) {
      const counted = atLeast(base, situation);
      const costs = profiles.map((profile) =>
        estimate(counted.graph, counted.facts, profile, { resolve }),
      );
      known.set(situation, (found = { counted, costs }));
    }
    return found;
  };
  const [first, last] = [costOf(base), costOf(run.outcomes.at(-1)?.situation ?? base)];
  const budget = budgetReports(job.recipe, checks.fidelity, (id) => {
    const at = profiles.findIndex((profile) => profile.id === resolve(id).id);
    const { graph, facts } = last.counted;
    return (last.costs[at] ?? estimate(graph, facts, resolve(id), { resolve })).total;
  });
  return {
    version: 1,
    createdAt: new Date().toISOString(),
    model: { path: job.model, bytes: statSync(job.model).size, sha256: provenance.model },
    recipe: {
      path: job.recipeFile ?? '',
      bytes: Buffer.byteLength(job.recipeText),
      sha256: textHash(job.recipeText),
    },
    output: { path: job.output, bytes: statSync(written).size, sha256: await fileHash(written) },
    environment: environment(checks.runtime),
    steps: run.attempts.map(({ before, outcome, guard, rolledBack }, i): StepReport => {
      const { step, sites, skipped, situation } = outcome;
      const [old, fresh] = [costOf(before).costs, costOf(situation).costs];
      const opset = { before: before.graph.opset, after: situation.graph.opset };
      return {
        pass: step.pass.id,
        title: step.pass.title,
        sites: sites.length,
        skipped,
        seconds: seconds[i] ?? 0,
        latencyMs: byTarget(profiles, (t) => latencyChange(old[t]!, fresh[t]!)),
        ...(needsCalibration(step) && { calibration: calibrationName(job.recipe) }),
        ...(opset.before !== opset.after && { operatorSet: opset }),
        ...(guard && { guard }),
        ...(rolledBack && { rolledBack }),
      };
    }),
    before: modelReport(first.counted, statSync(job.model).size, profiles, first.costs, isLeast),
    after: modelReport(last.counted, statSync(written).size, profiles, last.costs, isLeast),
    fidelity: checks.fidelity,
    measured: checks.measured,
    kinds: KINDS,
    checks: checks.checks,
    ...(budget.length && { budget }),
    rooflines: profiles.map((profile, at) => {
      const costed = ({ counted: { graph, facts }, costs }: Costed) => ({
        graph,
        facts,
        cost: costs[at]!,
      });
      return rooflineBetween(costed(first), costed(last), profile, resolve);
    }),
    layers: layerReports(first.counted, last.counted, profiles, first.costs, last.costs),
  };
}

/** The file as the recipe names it, where it does not describe the data itself. */
function calibrationName({ calibration }: Recipe): string {
  if (!calibration || isMadeUp(calibration.dataset)) return MADE_UP_INPUTS;
  const { dataset } = calibration;
  return typeof dataset === 'string' ? dataset : 'data described in the recipe';
}

/** By where numbers stand in the report. */
const KINDS: Readonly<Record<string, NumberKind>> = {
  '*.bytes': 'exact',
  '*.fileBytes': 'exact',
  '*.macs': 'exact',
  '*.parameters': 'exact',
  '*.weightBytes': 'exact',
  'steps.latencyMs': 'modelled',
  'steps.seconds': 'measured',
  '*.targets.latencyMs': 'modelled',
  '*.targets.energyMj': 'modelled',
  'layers.latencyMs': 'modelled',
  rooflines: 'modelled',
  fidelity: 'measured',
  measured: 'measured',
};

/** A number that is not known breaks its budget. */
function budgetReports(
  { budget }: Pick<Recipe, 'budget'>,
  { drop }: Fidelity,
  totalOf: (target: string) => TargetEstimate['total'],
): BudgetReport[] {
  const reports: BudgetReport[] = [];
  if (budget?.latency) {
    const { target, max: limit } = budget.latency;
    const actual = totalOf(target).latencyMs;
    const kept = actual <= limit;
    reports.push({ what: 'latency', target, limit, actual, kind: 'modelled', kept });
  }
  if (budget?.drop !== undefined) {
    const limit = budget.drop;
    const kept = drop !== undefined && drop <= limit;
    reports.push({ what: 'drop', limit, actual: drop ?? null, kind: 'measured', kept });
  }
  return reports;
}

/** The targets that a recipe names, or the one that is shown when nobody chose. */
export function recipeTargets(
  { targets }: Pick<Recipe, 'targets'>,
  folder: string,
): TargetProfile[] {
  return (targets.length ? targets : [DEFAULT_TARGET]).map((id) => targetProfile(id, folder));
}

function environment(runtime: string | undefined): Record<string, string> {
  const processor = cpus()[0]?.model.trim() ?? 'unknown';
  return {
    processor: `${processor}, ${cpus().length} cores`,
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    ...(runtime && { 'onnx runtime': runtime }),
  };
}

function modelReport(
  { graph, facts }: Situation,
  fileBytes: number,
  profiles: readonly TargetProfile[],
  estimates: readonly TargetEstimate[],
  isLeast: boolean,
): ModelReport {
  const { macs, parameters, weightBytes, partial } = counts(graph, facts);
  return {
    fileBytes,
    macs,
    parameters,
    weightBytes,
    partial: partial || isLeast,
    targets: profiles.map((profile, t) => {
      const { total } = estimates[t]!;
      return {
        id: profile.id,
        title: profile.title,
        basis: describeBasis(profile),
        latencyMs: total.latencyMs,
        energyMj: total.energyMj,
        partial: total.partial || isLeast,
      };
    }),
  };
}

const byTarget = (
  profiles: readonly TargetProfile[],
  change: (target: number) => Change,
): Record<string, Change> => Object.fromEntries(profiles.map(({ id }, t) => [id, change(t)]));

const latencyChange = (before: TargetEstimate, after: TargetEstimate): Change => ({
  before: before.total.latencyMs,
  after: after.total.latencyMs,
  ...((before.total.partial || after.total.partial) && { partial: true }),
});

/** Layers of the original, each with everything that replaced or serves it afterwards. */
function layerReports(
  before: Situation,
  after: Situation,
  profiles: readonly TargetProfile[],
  first: readonly TargetEstimate[],
  last: readonly TargetEstimate[],
): LayerReport[] {
  const [old, fresh] = [layerSums(before, first), layerSums(after, last)];
  const nothing: LayerSums = { macs: 0, weightBytes: 0, latencyMs: profiles.map(() => 0) };
  return before.graph.order
    .filter((node) => isWorth(old.get(node.id)) || isWorth(fresh.get(node.id)))
    .map((node) => {
      const [a, b] = [old.get(node.id) ?? nothing, fresh.get(node.id) ?? nothing];
      return {
        name: node.id,
        op: node.op,
        macs: { before: a.macs, after: b.macs },
        weightBytes: { before: a.weightBytes, after: b.weightBytes },
        latencyMs: byTarget(profiles, (t) => ({ before: a.latencyMs[t]!, after: b.latencyMs[t]! })),
      };
    });
}

interface LayerSums {
  macs: number | null;
  weightBytes: number;
  readonly latencyMs: (number | null)[];
}

/** By the layer of the original that each node came from. */
function layerSums(
  { graph, facts }: Situation,
  estimates: readonly TargetEstimate[],
): Map<string, LayerSums> {
  const work = workloads(graph, facts);
  const sums = new Map<string, LayerSums>();
  const add = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);
  graph.order.forEach((node, position) => {
    const sum = sums.get(node.origin) ?? {
      macs: 0,
      weightBytes: 0,
      latencyMs: estimates.map(() => 0),
    };
    const { macs, weightBytes } = work.of(node.id);
    sum.macs = add(sum.macs, macs);
    sum.weightBytes += weightBytes;
    estimates.forEach(({ layers }, t) => {
      sum.latencyMs[t] = add(sum.latencyMs[t]!, layers[position]!.latencyMs);
    });
    sums.set(node.origin, sum);
  });
  return sums;
}

const isWorth = (sums: LayerSums | undefined): boolean =>
  sums !== undefined &&
  (sums.macs !== 0 || sums.weightBytes > 0 || sums.latencyMs.some((latency) => latency !== 0));
