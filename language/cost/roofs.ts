/**
 * What no layer can exceed on a target: the rates of its arithmetic and of its memories, for a roofline chart (Williams,
 * Waterman, Patterson, CACM 2009). Only those that bear on the products of a model.
 */
import { gemmOf } from './gemm';
import type { Host } from './host';
import { productRoof } from './mobile';
import type { BlockedProfile, OverlayProfile, RatedProfile, TargetProfile } from './profile';
import type { Workload } from './workload';

/** The flat part: what arithmetic of a kind achieves at best. */
export interface ComputeRoof {
  readonly name: string;
  readonly gmacPerS: number;
}

/** The slope: how fast data can come. */
export interface MemoryRoof {
  readonly name: string;
  readonly gbPerS: number;
}

export interface Roofs {
  readonly compute: readonly ComputeRoof[];
  readonly memory: readonly MemoryRoof[];
}

/** A layer with products, as its target runs it. */
export interface Product {
  readonly workload: Workload;
  /** Left to the processor beside the target. */
  readonly elsewhere: boolean;
}

/** Why a target has no roofline; undefined where it has one. */
export function noRoofline(profile: TargetProfile): string | undefined {
  if (profile.kind === 'fpga' && profile.design === 'dataflow')
    return 'In a dataflow design every layer has an engine and weights of its own: no roof is shared. The interval of the slowest engine bounds them all; the terms of each layer tell how it keeps up.';
  if (profile.kind !== 'reram') return undefined;
  return 'On ReRAM weights stay in the crossbars: no traffic of weights bounds a layer, and the arithmetic of a layer grows with the crossbars that hold it. Conversions and the way between tiles make the time; the terms of each layer tell them.';
}

/** Nothing for targets without a roofline. Equal roofs are told once. */
export function roofsOf(profile: TargetProfile, products: readonly Product[]): Roofs {
  const own = products
    .filter(({ elsewhere }) => !elsewhere)
    .flatMap(({ workload }) => leaves(workload));
  const beside = products.length > 0 && products.some(({ elsewhere }) => elsewhere);
  const { compute, memory } = ownRoofs(profile, own);
  const host = beside ? hostRoofs(besideOf(profile)) : NO_ROOFS;
  return {
    compute: toldOnce([...compute, ...host.compute], ({ gmacPerS }) => gmacPerS),
    memory: toldOnce([...memory, ...host.memory], ({ gbPerS }) => gbPerS),
  };
}

const NO_ROOFS: Roofs = { compute: [], memory: [] };

/** The products inside a layer: attention and bodies of loops consist of several. */
function leaves(workload: Workload): Workload[] {
  const { parts, macs } = workload;
  if (parts) return parts.flatMap((part) => leaves(part.workload));
  return (macs ?? 0) > 0 ? [workload] : [];
}

function ownRoofs(profile: TargetProfile, products: readonly Workload[]): Roofs {
  if (products.length === 0) return NO_ROOFS;
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return ratedRoofs(profile, products);
    case 'fpga':
      return profile.design === 'dataflow' ? NO_ROOFS : overlayRoofs(profile, products);
    case 'asic': {
      if (profile.design === 'blocked') return blockedRoofs(profile);
      const { array, dramGbPerS, vectorOpsPerCycle } = profile;
      const rate = (macsPerCycle: number) => (macsPerCycle * array.clockMhz) / 1e3;
      const onArray = { name: 'array', gmacPerS: rate(array.rows * array.columns) };
      const onVectors = { name: 'vector unit', gmacPerS: rate(vectorOpsPerCycle / 2) };
      const isVector = products.some((product) => gemmOf(product) === undefined);
      return {
        compute: isVector ? [onArray, onVectors] : [onArray],
        memory: [{ name: 'DRAM', gbPerS: dramGbPerS }],
      };
    }
    case 'reram':
      return NO_ROOFS;
  }
}

/** By class of product and precision, as far as the model has them. */
function ratedRoofs(profile: RatedProfile, products: readonly Workload[]): Roofs {
  const roofs = products.map((product) => productRoof(product, profile));
  const precisions = [...new Set(roofs.map(({ precision }) => precision))];
  const named = (name: string, precision: string) =>
    precisions.length > 1 ? `${name}, ${precision}` : name;
  const memory = precisions.flatMap((precision) => {
    const { productGbPerS, weightGbPerS } = profile.precisions[precision]!;
    return [
      ...(productGbPerS === undefined
        ? []
        : [{ name: named('activations', precision), gbPerS: productGbPerS }]),
      { name: named('weights', precision), gbPerS: weightGbPerS },
    ];
  });
  return {
    compute: roofs.map(({ title, precision, gmacPerS }) => ({
      name: named(title, precision),
      gmacPerS,
    })),
    memory,
  };
}

function overlayRoofs({ overlay, clockMhz }: OverlayProfile, products: readonly Workload[]): Roofs {
  const { inputChannels, outputChannels, pixels, depthwisePixels } = overlay;
  const rate = (perCycle: number) => (perCycle * clockMhz) / 1e3;
  const compute = products.map(({ conv }) => {
    if (!conv)
      return { name: 'product of matrices', gmacPerS: rate(inputChannels * outputChannels) };
    const isDepthwise = conv.groups > 1 && conv.inputChannels === conv.groups;
    return isDepthwise
      ? { name: 'depthwise convolution', gmacPerS: rate(depthwisePixels * inputChannels) }
      : { name: 'convolution', gmacPerS: rate(pixels * inputChannels * outputChannels) };
  });
  return {
    compute,
    memory: [
      { name: 'activations', gbPerS: rate(overlay.activationBytesPerCycle) },
      { name: 'weights', gbPerS: rate(overlay.weightBytesPerCycle) },
    ],
  };
}

/** Of activations there is no roof: blocks read what their windows touch, some of it again, and leave out the rest. */
function blockedRoofs({ unit, cores, clockMhz, storage }: BlockedProfile): Roofs {
  const rate = (perCycle: number) => (perCycle * clockMhz) / 1e3;
  const macs = unit.height * unit.width * unit.depth * unit.inputs * cores;
  return {
    compute: [{ name: 'units', gmacPerS: rate(macs) }],
    memory: [{ name: 'weights', gbPerS: rate(storage.bytesPerCycle) }],
  };
}

function besideOf(profile: TargetProfile): Host | undefined {
  if (profile.kind === 'fpga') return profile.host;
  if (profile.kind === 'asic') return profile.design === 'blocked' ? profile.host : undefined;
  return profile.kind === 'mobile' || profile.kind === 'host' ? profile.fallback : undefined;
}

function hostRoofs(host: Host | undefined): Roofs {
  if (!host) return NO_ROOFS;
  return {
    compute: [{ name: 'processor beside it', gmacPerS: host.gmacPerS }],
    memory: [{ name: 'memory of the processor beside it', gbPerS: host.gbPerS }],
  };
}

/** The highest first; of roofs at one height, the names together. */
function toldOnce<R extends { readonly name: string }>(
  roofs: readonly R[],
  height: (roof: R) => number,
): R[] {
  const byHeight = new Map<number, { roof: R; names: Set<string> }>();
  for (const roof of roofs) {
    const known = byHeight.get(height(roof));
    if (known) known.names.add(roof.name);
    else byHeight.set(height(roof), { roof, names: new Set([roof.name]) });
  }
  return [...byHeight.values()]
    .map(({ roof, names }) => ({ ...roof, name: [...names].join(' · ') }))
    .sort((a, b) => height(b) - height(a));
}
