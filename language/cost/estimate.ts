/** The second step of a cost: what a graph takes on a target, layer by layer. */
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { asicCost } from './asic';
import { blockedCost } from './blocked';
import { valueBytes } from './constants';
import { confidenceOf } from './confidence';
import type { LayerCost, Resources, TargetEstimate } from './cost';
import { dataflowCost } from './dataflow';
import type { Flows } from './flow';
import { fpgaCost } from './fpga';
import type { Kernel } from './kernels';
import { peakBytes } from './liveness';
import { DENSE } from './measure';
import { mobileCost, perRunMs } from './mobile';
import { overMesh } from './meshed';
import { combined, concluded, summedParts, type Cost, type Layer } from './phases';
import { overPipeline, type Pipeline } from './pipelined';
import { madeOnce, place } from './placing';
import { narrowedBytes, type Precision } from './precision';
import type { DataflowProfile, OverlayProfile, ReramProfile, TargetProfile } from './profile';
import { reramCost, tileAreaMm2 } from './reram';
import { throughRows } from './streamed';
import { transfersBetween } from './transfers';
import { UNSTRUCTURED } from './patterns';
import type { Workload } from './workload';
import { workloads, type Workloads } from './workloads';

export interface EstimateOptions {
  /** Finds the profile that a layer was assigned to. */
  readonly resolve?: (id: string) => TargetProfile;
  /** Costs the model as if its floating point were this narrow; hardware of one precision ignores it. */
  readonly as?: Precision;
}

/** A kernel on its target, with the workload as that target runs it. */
export interface PlacedKernel extends Kernel {
  readonly profile: TargetProfile;
}

/**
 * Latency and energy of every node of `graph.order`. A layer takes no time of its own where it is part of the kernel of
 * another. Equal graphs give equal numbers, bit for bit.
 * @throws WhittleError when a layer is assigned to a target that cannot be found
 */
export function estimate(
  graph: Graph,
  facts: Facts,
  target: TargetProfile,
  options: EstimateOptions = {},
): TargetEstimate {
  const work = workloads(graph, facts);
  const unread = new UnreadWeights();
  const placement = place(graph, work, target, options);
  const { placed, flows } = placement;
  const layers = [...placement.costs];
  for (const kernel of placement.uncosted) {
    const { main, absorbed, places, profile } = kernel;
    layers[places[0]!] = mainCost(kernel, unread);
    for (let i = 0; i < absorbed.length; i++)
      layers[places[i + 1]!] = fusedCost(absorbed[i]!, main, profile);
  }
  if (unread.count === 0) {
    placement.costs = [...layers];
    placement.uncosted = [];
  }
  overMesh(flows, layers, (workload) => unread.watch(workload));
  const bytesOn = (value: number, profile: TargetProfile) =>
    bytesAt(value, work, profile.runsAt ?? options.as);
  const design = pipelineOf(flows, layers, target, (value) => bytesOn(value, target));
  const timed = placed.map(({ places, workload }) => ({ workload, cost: layers[places[0]!]! }));
  const transfers = transfersBetween(flows, target, bytesOn);
  const activations = peakBytes(flows, (value) => bytesOn(value, target));
  const weightBytes = placed.reduce((sum, { workload }) => sum + workload.weightBytes, 0);
  const latencyMs = layers.reduce((sum, layer) => sum + (layer.latencyMs ?? 0), 0);
  const onTarget = placed.filter(({ profile }) => profile === target);
  const perRun =
    target.kind === 'mobile' || target.kind === 'host'
      ? perRunMs(
          onTarget.map(({ workload }) => workload),
          target,
        )
      : 0;
  const unknown = placed.filter(({ places }) => layers[places[0]!]!.latencyMs === null);
  const startsMs = unknown.reduce((sum, { profile }) => sum + leastStartMs(profile), 0);
  const fixedMs = perRun + startsMs;
  const total = latencyMs + transfers.latencyMs + fixedMs;
  const atOnce =
    target.kind === 'reram'
      ? throughRows(flows, work.links, layers, target, (workload) => unread.watch(workload))
      : design && { ...design.pipeline, latencyMs: total };
  return {
    target: target.id,
    layers,
    transfers,
    confidence: confidenceOf(timed, target, target.runsAt ?? options.as),
    total: {
      latencyMs: total,
      fixedMs,
      energyMj: totalEnergy(layers),
      peakMemoryBytes: activations === null ? null : weightBytes + activations,
      partial: layers.some((layer) => layer.latencyMs === null),
      estimated: layers.some((layer) => layer.estimated),
    },
    ...(isOverlay(target) && { resources: resourcesOf(target) }),
    ...(design && { resources: design.resources }),
    ...(atOnce && { pipeline: atOnce }),
    ...(target.kind === 'reram' && componentsOf(target, layers)),
    warnings: [
      ...unread.warnings(),
      ...(design?.warnings ?? []),
      ...capacityWarnings(target, layers),
      ...unsupportedWarnings(target, layers),
    ],
  };
}

function bytesAt(
  value: number,
  work: Workloads,
  precision: Precision | undefined,
): number | undefined {
  const facts = work.values[value]!;
  const bytes = valueBytes(facts);
  const type = facts.type.kind === 'tensor' ? facts.type.elementType : undefined;
  return bytes === undefined || !precision ? bytes : narrowedBytes(bytes, type, precision);
}

// ---- costing a kernel

function mainCost({ main, workload, profile }: PlacedKernel, unread: UnreadWeights): LayerCost {
  if (workload.kind === 'free') return nothing(main, 'free', profile);
  if (workload.unknown !== undefined) {
    const base = nothing(main, 'unknown', profile);
    return { ...base, latencyMs: null, energyMj: null, unknown: workload.unknown };
  }
  const knownCosts = madeOnce(costsOn, profile, () => new WeakMap<Workload, LayerCost>());
  const known = knownCosts.get(workload);
  if (known?.node === main.id && known.assigned === main.assigned) return known;
  const unreadBefore = unread.count;
  const cost = layerCost(main, unread.watch(workload), profile);
  if (unread.count === unreadBefore) knownCosts.set(workload, cost);
  return cost;
}

/** What a layer costs does not change while its workload does not: most layers of an edited model are known. */
const costsOn = new WeakMap<TargetProfile, WeakMap<Workload, LayerCost>>();

function layerCost(main: Node, workload: Workload, profile: TargetProfile): LayerCost {
  const cost = costOf({ op: main.op, workload }, profile);
  const { latencyMs, bound, utilisation, terms } = concluded(cost, workload.macs ?? 0);
  return {
    ...nothing(main, bound, profile),
    latencyMs,
    energyMj: cost.energyMj,
    utilisation,
    terms,
    mapping: cost.mapping,
    estimated: cost.estimated ?? false,
    unsupported: cost.unsupported,
    cycles: cost.cycles,
    sramAccesses: cost.sramAccesses,
    crossbars: cost.crossbars,
    tiles: cost.tiles,
    energyPartsMj: cost.energyPartsMj,
  };
}

/**
 * A node that takes no time of its own. All fields, given or not: costs that are copied from it are of one form, which
 * makes them cheap to look at by the thousand.
 */
const nothing = (
  { id, assigned }: Node,
  bound: LayerCost['bound'],
  { kind }: TargetProfile,
): LayerCost => ({
  node: id,
  latencyMs: 0,
  energyMj: HAS_ENERGY[kind] ? 0 : null,
  bound,
  utilisation: null,
  terms: NO_TERMS,
  mapping: undefined,
  fusedInto: undefined,
  assigned,
  estimated: false,
  unknown: undefined,
  unsupported: undefined,
  cycles: undefined,
  sramAccesses: undefined,
  resources: undefined,
  crossbars: undefined,
  tiles: undefined,
  energyPartsMj: undefined,
});

const fusedCost = (node: Node, { id }: Node, profile: TargetProfile): LayerCost => ({
  ...nothing(node, 'fused', profile),
  fusedInto: id,
});

const NO_TERMS: LayerCost['terms'] = [];

/** Kinds whose profiles hold energies; of the others only time was measured. */
const HAS_ENERGY = { mobile: false, host: false, fpga: false, asic: true, reram: true };

function costOf(layer: Layer, profile: TargetProfile): Cost {
  const { parts, kind } = layer.workload;
  if (!parts || isDataflow(profile)) return singleCost(layer, profile);
  const costed = parts.map(({ op, times, workload }) => ({
    times,
    cost: costOf({ op, workload }, profile),
  }));
  return combined(costed, kind === 'control');
}

function singleCost(layer: Layer, profile: TargetProfile): Cost {
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return mobileCost(layer, profile);
    case 'fpga':
      return isOverlay(profile) ? fpgaCost(layer, profile) : dataflowCost(layer, profile);
    case 'asic':
      return profile.design === 'blocked' ? blockedCost(layer, profile) : asicCost(layer, profile);
    case 'reram':
      return reramCost(layer, profile);
  }
}

/** Weights that cannot be read (a file that is absent) count as dense, and the estimate says so. */
class UnreadWeights {
  readonly #reasons = new Map<Workload, string>();

  get count(): number {
    return this.#reasons.size;
  }

  watch(workload: Workload): Workload {
    return {
      ...workload,
      sparsity: () => this.#attempt(workload, workload.sparsity, DENSE),
      structure: () => this.#attempt(workload, workload.structure, UNSTRUCTURED),
    };
  }

  warnings(): string[] {
    const [first] = this.#reasons.values();
    if (first === undefined) return [];
    const layers = this.count === 1 ? 'a layer' : `${this.count} layers`;
    return [`The weights of ${layers} cannot be read and count as dense: ${first}`];
  }

  #attempt<T>(workload: Workload, read: () => T, dense: T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof WhittleError)) throw error;
      this.#reasons.set(workload, error.message);
      return dense;
    }
  }
}

// ---- FPGA designs

const isDataflow = (profile: TargetProfile): profile is DataflowProfile =>
  profile.kind === 'fpga' && profile.design === 'dataflow';

const isOverlay = (profile: TargetProfile): profile is OverlayProfile =>
  profile.kind === 'fpga' && profile.design !== 'dataflow';

/** Times the layers of dataflow designs, and says what that of the target is as a whole. */
function pipelineOf(
  flows: Flows<PlacedKernel>,
  costs: LayerCost[],
  target: TargetProfile,
  bytesOf: (value: number) => number | undefined,
): Pipeline | undefined {
  const designs = new Set(flows.flows.map(({ kernel }) => kernel.profile).filter(isDataflow));
  if (isDataflow(target)) designs.add(target);
  const pipelines = new Map(
    [...designs].map((profile) => [profile, overPipeline(flows, costs, profile, bytesOf)] as const),
  );
  return isDataflow(target) ? pipelines.get(target) : undefined;
}

// ---- totals

/** What a layer takes of which nothing is known: its start, at the least, or one step of the hardware. */
function leastStartMs(profile: TargetProfile): number {
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return profile.precisions.fp32.perKernelUs / 1e3;
    case 'fpga':
      return (
        Math.max(1, isOverlay(profile) ? profile.overlay.perLayerCycles : 0) /
        (profile.clockMhz * 1e3)
      );
    case 'asic':
      return 1 / ((profile.design === 'blocked' ? profile : profile.array).clockMhz * 1e3);
    case 'reram':
      return profile.analog.adcNs / 1e6;
  }
}

function totalEnergy(layers: readonly LayerCost[]): number | null {
  let total = 0;
  for (const { energyMj, latencyMs } of layers) {
    if (energyMj === null && latencyMs !== null) return null;
    total += energyMj ?? 0;
  }
  return total;
}

function resourcesOf({ overlay, resourcesPerCore }: OverlayProfile): Resources {
  const { cores } = overlay;
  return {
    dsp: cores * resourcesPerCore.dsp,
    lut: cores * resourcesPerCore.lut,
    bram: cores * resourcesPerCore.bram,
  };
}

/** Energy and area by component. */
function componentsOf(
  target: ReramProfile,
  layers: readonly LayerCost[],
): Pick<TargetEstimate, 'areaMm2' | 'energyPartsMj'> {
  const tiles = layers.reduce((sum, layer) => sum + (layer.tiles ?? 0), 0);
  const areaMm2 = tileAreaMm2(tiles, target);
  const energyPartsMj = summedParts(
    layers.map(({ energyPartsMj: parts }) => ({ times: 1, parts })),
  );
  return { energyPartsMj, ...(areaMm2 && { areaMm2 }) };
}

function capacityWarnings(target: TargetProfile, layers: readonly LayerCost[]): string[] {
  if (target.kind === 'reram') {
    const tiles = layers.reduce((sum, layer) => sum + (layer.tiles ?? 0), 0);
    if (tiles <= target.tiles) return [];
    return [
      `The weights take ${tiles} tiles and the chip has ${target.tiles}: they would have to be loaded in turns, which is not counted`,
    ];
  }
  if (!isOverlay(target)) return [];
  const used = resourcesOf(target);
  return (['dsp', 'lut', 'bram'] as const)
    .filter((resource) => used[resource] > target.budget[resource])
    .map(
      (resource) =>
        `The overlay takes ${used[resource]} ${resource.toUpperCase()} and the device has ${target.budget[resource]}`,
    );
}

/** What the target leaves to the processor beside it, once per reason, with what can be done about it. */
function unsupportedWarnings({ id }: TargetProfile, layers: readonly LayerCost[]): string[] {
  const byReason = new Map<string, number>();
  for (const { unsupported } of layers)
    if (unsupported) byReason.set(unsupported, (byReason.get(unsupported) ?? 0) + 1);
  return [...byReason].map(
    ([reason, count]) =>
      `${reason}: ${count} ${count === 1 ? 'layer runs' : 'layers run'} on the processor beside it. ` +
      `Replace the operator (target.legalize), or assign ${count === 1 ? 'it' : 'them'} to another target than ${id} (target.partition)`,
  );
}
