/** The second step of a cost: what a graph takes on a target, layer by layer. */
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { asicCost } from './asic';
import { valueBytes } from './constants';
import { confidenceOf } from './confidence';
import type { LayerCost, TargetEstimate } from './cost';
import { flowsBetween } from './flow';
import { fpgaCost } from './fpga';
import { kernels, type FusionRules, type Kernel } from './kernels';
import { peakBytes } from './liveness';
import { DENSE } from './measure';
import { mobileCost, perRunMs } from './mobile';
import { overMesh } from './meshed';
import { combined, concluded, summedParts, type Cost, type Layer } from './phases';
import { atPrecision, narrowedBytes, type Precision } from './precision';
import type { ReramProfile, TargetProfile } from './profile';
import { reramCost, tileAreaMm2 } from './reram';
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
  const placed = place(graph, work, target, options);
  const costs = new Map<string, LayerCost>();
  for (const kernel of placed) {
    costs.set(kernel.main.id, mainCost(kernel, unread));
    for (const node of kernel.absorbed)
      costs.set(node.id, {
        ...nothing(node, 'fused', kernel.profile),
        fusedInto: kernel.main.id,
      });
  }
  const flows = flowsBetween(graph, work, placed);
  overMesh(flows, costs, (workload) => unread.watch(workload));
  const layers = graph.order.map((node) => costs.get(node.id)!);

  const bytesOn = (value: string, profile: TargetProfile) =>
    bytesAt(value, work, profile.runsAt ?? options.as);
  const transfers = transfersBetween(flows, target, bytesOn);
  const activations = peakBytes(flows, (value) => bytesOn(value, target));
  const weightBytes = placed.reduce((sum, { workload }) => sum + workload.weightBytes, 0);
  const latencyMs = layers.reduce((sum, layer) => sum + (layer.latencyMs ?? 0), 0);
  const onTarget = placed.filter(({ profile }) => profile === target);
  const fixedMs =
    target.kind === 'mobile'
      ? perRunMs(
          onTarget.map(({ workload }) => workload),
          target,
        )
      : 0;
  const timed = placed.map(({ main, workload }) => ({ workload, cost: costs.get(main.id)! }));
  return {
    target: target.id,
    layers,
    transfers,
    confidence: confidenceOf(timed, target, target.runsAt ?? options.as),
    total: {
      latencyMs: latencyMs + transfers.latencyMs + fixedMs,
      fixedMs,
      energyMj: totalEnergy(layers),
      peakMemoryBytes: activations === null ? null : weightBytes + activations,
      partial: layers.some((layer) => layer.latencyMs === null),
      estimated: layers.some((layer) => layer.estimated),
    },
    ...(target.kind === 'fpga' && { resources: resourcesOf(target) }),
    ...(target.kind === 'reram' && componentsOf(target, layers)),
    warnings: [
      ...unread.warnings(),
      ...capacityWarnings(target, layers),
      ...unsupportedWarnings(target, layers),
    ],
  };
}

// ---- placing

function place(
  graph: Graph,
  work: Workloads,
  target: TargetProfile,
  { resolve, as }: EstimateOptions,
): PlacedKernel[] {
  const profiles = new Map<string, TargetProfile>();
  const profileOf = ({ assigned, id }: Node): TargetProfile => {
    if (assigned === undefined || assigned === target.id) return target;
    let profile = profiles.get(assigned);
    if (!profile) {
      if (!resolve) throw new WhittleError(`${id} is assigned to ${assigned}, which is not known`);
      const found = resolve(assigned);
      profile = found.id === target.id ? target : found;
      profiles.set(assigned, profile);
    }
    return profile;
  };
  const used = new Set([target, ...graph.order.map(profileOf)]);
  const all = [...used].flatMap((profile) => {
    const precision = profile.runsAt ?? as;
    const here = (node: Node) => profileOf(node) === profile;
    const grouped =
      used.size === 1
        ? allKernels(graph, work, profile.fusion)
        : kernels(graph, work, profile.fusion, here);
    return grouped.map(({ main, absorbed, workload }) => ({
      main,
      absorbed,
      workload: precision ? atPrecision(workload, precision) : workload,
      profile,
    }));
  });
  if (used.size === 1) return all;
  const position = new Map(graph.order.map((node, at) => [node, at]));
  return all.sort((a, b) => position.get(a.main)! - position.get(b.main)!);
}

const groupings = new WeakMap<Workloads, Map<FusionRules, readonly Kernel[]>>();

/** Of one state of a graph, kept with its workloads. */
function allKernels(graph: Graph, work: Workloads, rules: FusionRules): readonly Kernel[] {
  let own = groupings.get(work);
  if (!own) groupings.set(work, (own = new Map<FusionRules, readonly Kernel[]>()));
  let grouped = own.get(rules);
  if (!grouped) own.set(rules, (grouped = kernels(graph, work, rules)));
  return grouped;
}

function bytesAt(
  value: string,
  work: Workloads,
  precision: Precision | undefined,
): number | undefined {
  const facts = work.facts.value(value);
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
  return { ...nothing(main, 'free', profile), ...numbersOf(main.op, workload, profile, unread) };
}

type Numbers = Omit<LayerCost, 'node' | 'assigned' | 'fusedInto'>;
/** What a layer costs does not change while its workload does not: most layers of an edited model are known. */
const known = new WeakMap<Workload, WeakMap<TargetProfile, Numbers>>();

function numbersOf(
  op: string,
  workload: Workload,
  profile: TargetProfile,
  unread: UnreadWeights,
): Numbers {
  const before = known.get(workload)?.get(profile);
  if (before) return before;
  const unreadBefore = unread.count;
  const cost = costOf({ op, workload: unread.watch(workload) }, profile);
  const { phases: _, peakMacsPerMs: __, estimated = false, ...rest } = cost;
  const numbers = { ...rest, ...concluded(cost, workload.macs ?? 0), estimated };
  if (unread.count > unreadBefore) return numbers;
  let own = known.get(workload);
  if (!own) known.set(workload, (own = new WeakMap<TargetProfile, Numbers>()));
  own.set(profile, numbers);
  return numbers;
}

/** A node that takes no time of its own. */
function nothing(
  { id, assigned }: Node,
  bound: LayerCost['bound'],
  { kind }: TargetProfile,
): LayerCost {
  const cost: LayerCost = {
    node: id,
    latencyMs: 0,
    energyMj: HAS_ENERGY[kind] ? 0 : null,
    bound,
    utilisation: null,
    terms: NO_TERMS,
    estimated: false,
  };
  return assigned === undefined ? cost : { ...cost, assigned };
}

const NO_TERMS: LayerCost['terms'] = [];

/** Kinds whose profiles hold energies; of the others only time was measured. */
const HAS_ENERGY = { mobile: false, fpga: false, asic: true, reram: true };

function costOf(layer: Layer, profile: TargetProfile): Cost {
  const { parts, kind } = layer.workload;
  if (!parts) return singleCost(layer, profile);
  const costed = parts.map(({ op, times, workload }) => ({
    times,
    cost: costOf({ op, workload }, profile),
  }));
  return combined(costed, kind === 'control');
}

function singleCost(layer: Layer, profile: TargetProfile): Cost {
  switch (profile.kind) {
    case 'mobile':
      return mobileCost(layer, profile);
    case 'fpga':
      return fpgaCost(layer, profile);
    case 'asic':
      return asicCost(layer, profile);
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

// ---- totals

function totalEnergy(layers: readonly LayerCost[]): number | null {
  let total = 0;
  for (const { energyMj, latencyMs } of layers) {
    if (energyMj === null && latencyMs !== null) return null;
    total += energyMj ?? 0;
  }
  return total;
}

function resourcesOf({
  overlay,
  resourcesPerCore,
}: Extract<TargetProfile, { kind: 'fpga' }>): NonNullable<TargetEstimate['resources']> {
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
  if (target.kind !== 'fpga') return [];
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
