/** Which kernels a model runs as, and on which targets. */
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import type { Links } from '../graph/links';
import { PLACEMENT_KEY, placementOf } from '../graph/placement';
import type { LayerCost } from './cost';
import type { EstimateOptions, PlacedKernel } from './estimate';
import { flowsBetween, type Flows } from './flow';
import { Grouping, kernels, type Kernel } from './kernels';
import { atPrecision, type Precision } from './precision';
import type { TargetProfile } from './profile';
import type { Workload } from './workload';
import { workloads, type Workloads } from './workloads';

/** What runs as one kernel, on which target, and as that target runs it. */
export const placedKernels = (
  graph: Graph,
  facts: Facts,
  target: TargetProfile,
  options: EstimateOptions = {},
): readonly PlacedKernel[] => place(graph, workloads(graph, facts), target, options).placed;

export interface Placement {
  readonly placed: readonly PlacedKernel[];
  readonly flows: Flows<PlacedKernel>;
  /** By node, as far as known: costs of kernels that were placed so before. */
  costs: readonly LayerCost[];
  /** Kernels whose costs are not among them. */
  uncosted: readonly PlacedKernel[];
}

export function place(
  graph: Graph,
  work: Workloads,
  target: TargetProfile,
  { resolve, as }: EstimateOptions,
): Placement {
  const assigned = assignments(work, target, resolve);
  if (assigned.size === 0) return placeAll(graph, work, target, as);
  const profileOf = (at: number) => assigned.get(at) ?? target;
  const placed = [...new Set([target, ...assigned.values()])].flatMap((profile) =>
    kernels(graph, work, profile.fusion, (at) => profileOf(at) === profile).map((kernel) =>
      placedOn(profile, kernel, as),
    ),
  );
  placed.sort((a, b) => a.places[0]! - b.places[0]!);
  const costs = new Array<LayerCost>(work.nodes.length);
  return { placed, flows: flowsBetween(graph, work, placed), costs, uncosted: placed };
}

/** The nodes that run on another target, by their place in the order. */
function assignments(
  { nodes, assigned: places }: Workloads,
  target: TargetProfile,
  resolve: EstimateOptions['resolve'],
): ReadonlyMap<number, TargetProfile> {
  const found = new Map<number, TargetProfile>();
  const profiles = new Map<string, TargetProfile>();
  for (const at of places) {
    const { id, assigned } = nodes[at]!;
    if (assigned === undefined || assigned === target.id) continue;
    if (!resolve) throw new WhittleError(`${id} is assigned to ${assigned}, which is not known`);
    const profile = madeOnce(profiles, assigned, () => resolve(assigned));
    if (profile.id !== target.id) found.set(at, profile);
  }
  return found;
}

function placedOn(
  profile: TargetProfile,
  { main, absorbed, places, workload }: Kernel,
  as: Precision | undefined,
): PlacedKernel {
  const precision = profile.runsAt ?? as;
  const narrowed = precision ? atPrecision(workload, precision) : workload;
  const run = profile.kind === 'reram' ? laid(narrowed, main) : narrowed;
  return { main, absorbed, places, workload: run, profile };
}

const laidWorkloads = new WeakMap<Workload, Map<string, Workload>>();

/** With the way that a step laid the weights into crossbars; the same object while nothing of it has changed. */
function laid(workload: Workload, { metadata }: Node): Workload {
  const text = metadata.get(PLACEMENT_KEY);
  const placement = text === undefined ? undefined : placementOf(metadata);
  if (!placement) return workload;
  const known = madeOnce(laidWorkloads, workload, () => new Map<string, Workload>());
  return madeOnce(known, text!, () => ({ ...workload, placement }));
}

// ---- everything on one target

interface Standing extends Placement {
  /** By kernel, where it stands among the flows; −1: it does nothing. */
  readonly flowOf: Int32Array;
  readonly work: Workloads;
  readonly grouping: Grouping;
}

/** The last placement of graphs with these links: the next state differs from it in a few kernels. */
const latest = new WeakMap<Links, Map<TargetProfile, Map<string, Standing>>>();

function placeAll(
  graph: Graph,
  work: Workloads,
  target: TargetProfile,
  as: Precision | undefined,
): Placement {
  const own = madeOnce(latest, work.links, () => new Map<TargetProfile, Map<string, Standing>>());
  const byPrecision = madeOnce(own, target, () => new Map<string, Standing>());
  const before = byPrecision.get(as ?? '');
  if (before?.work === work) return before;
  const grouping = before?.grouping.again(graph, work);
  const standing =
    before && grouping
      ? placedAgain(before, grouping, work, target, as)
      : placedFirst(graph, work, target, as);
  byPrecision.set(as ?? '', standing);
  return standing;
}

function placedFirst(
  graph: Graph,
  work: Workloads,
  target: TargetProfile,
  as: Precision | undefined,
): Standing {
  const grouping = new Grouping(graph, work, target.fusion);
  const placed = grouping.kernels.map((kernel) => placedOn(target, kernel, as));
  const flows = flowsBetween(graph, work, placed);
  const flowOf = new Int32Array(placed.length).fill(-1);
  let at = 0;
  for (let i = 0; i < placed.length; i++)
    if (flows.flows[at]?.kernel === placed[i]) flowOf[i] = at++;
  const costs = new Array<LayerCost>(work.nodes.length);
  return { work, grouping, placed, flows, flowOf, costs, uncosted: placed };
}

/** With equal grouping the same values are stored: only kernels that changed are placed anew. */
function placedAgain(
  before: Standing,
  grouping: Grouping,
  work: Workloads,
  target: TargetProfile,
  as: Precision | undefined,
): Standing {
  const { flowOf, costs } = before;
  const placed = [...before.placed];
  const flows = [...before.flows.flows];
  const fresh: PlacedKernel[] = [];
  for (let i = 0; i < placed.length; i++) {
    if (grouping.kernels[i] === before.grouping.kernels[i]) continue;
    const kernel = (placed[i] = placedOn(target, grouping.kernels[i]!, as));
    fresh.push(kernel);
    const at = flowOf[i]!;
    if (at !== -1) flows[at] = { ...flows[at]!, kernel };
  }
  const still = new Set(before.uncosted.length > 0 ? placed : []);
  const uncosted = [...before.uncosted.filter((kernel) => still.has(kernel)), ...fresh];
  const all = { ...before.flows, flows };
  return { work, grouping, placed, flows: all, flowOf, costs, uncosted };
}

/** What a map holds at a key, made where it holds nothing. */
export function madeOnce<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
