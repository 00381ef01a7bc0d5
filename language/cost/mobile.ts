/**
 * Processors of phones and boards, and of this machine: rates that kernels achieve, not peaks. A kernel's time is made of its arithmetic, its
 * activations, its weights and its start; what of these hides behind what is data of the profile. The classes of
 * convolutions are those between which achieved rates differ: 3×3 kernels may run as Winograd's, strided ones may not,
 * the first layer has too few channels to fill a vector, depthwise ones reuse nothing.
 */
import { elementBits } from '../onnx/schema';
import { hostCost } from './host';
import { isCode } from './measure';
import { product } from './operators/operator';
import { patternTitle } from './patterns';
import { phase, totalMs, type Cost, type Layer, type Phase } from './phases';
import type { PRODUCT_CLASSES, RatedProfile } from './profile';
import type { ConvLoops, Workload } from './workload';

type Rates = RatedProfile['precisions']['fp32'];
export type RateName = Exclude<keyof Rates, 'halfDepth' | 'perKernelUs' | 'perRunUs'>;

/** What a kernel asks of a processor: `amount` / the rate of that name, in ms. */
export interface Demand extends Omit<Phase, 'ms'> {
  readonly rate: RateName;
  /** Millions of MACs, operations or bytes. */
  readonly amount: number;
}

export function mobileCost(layer: Layer, profile: RatedProfile): Cost {
  const { fallback } = profile;
  if (fallback?.operators.includes(layer.op)) return hostCost(layer, fallback, profile.id);
  const { workload } = layer;
  const { name, rates } = ratesFor(workload, profile);
  const macs = workload.macs ?? 0;
  const start = phase('kernel start', rates.perKernelUs / 1e3, 'overhead');
  const work = demandsOf(workload, rates).map((demand) => timed(demand, rates));
  if (macs === 0)
    return {
      phases: overlapped(work, start, profile.overlap),
      energyMj: null,
      mapping: `${name} kernel`,
    };
  const sparse = sparseKernel(workload, name, profile);
  const narrow = narrowKernel(workload, name, profile);
  const done = work.map((phase) =>
    phase.name === ACTIVATIONS_TERM
      ? phase
      : { ...phase, ms: (phase.ms * sparse.share) / narrow.speedup },
  );
  return {
    phases: overlapped(done, start, profile.overlap),
    energyMj: null,
    peakMacsPerMs: bestRate(rates) * 1e6,
    mapping: `${name} ${CLASSES[classOf(workload)].title}${narrow.note}${sparse.note}`,
    ...(sparse.estimated && { estimated: true }),
  };
}

interface SparseKernel {
  /** Of the time that a dense kernel takes. */
  readonly share: number;
  readonly estimated: boolean;
  /** For the layer's mapping. */
  readonly note: string;
}

const DENSE_KERNEL: SparseKernel = { share: 1, estimated: false, note: '' };

/** Reads weights only where the profile has kernels for zeros. */
function sparseKernel(
  workload: Workload,
  precision: PrecisionName,
  { sparseKernels = [] }: RatedProfile,
): SparseKernel {
  const runs = sparseKernels.filter(
    ({ layers, precisions }) =>
      layers.includes(classOf(workload)) && precisions.includes(precision),
  );
  if (runs.length === 0) return DENSE_KERNEL;
  const { density, estimated } = workload.sparsity();
  const enough = runs.filter(({ fromZeros }) => density < 1 && 1 - density >= fromZeros);
  if (enough.length === 0) return { ...DENSE_KERNEL, estimated };
  const { pattern } = workload.structure();
  const shares = enough
    .filter(({ patterns }) => patterns.includes(pattern.kind))
    .map(({ costPerWeight, fixedShare }) => density * costPerWeight + fixedShare);
  const share = Math.min(1, ...shares);
  const note = share < 1 ? ` that leaves out zeros (${patternTitle(pattern)})` : '';
  return { share, estimated, note };
}

/** Reads weights only where the profile has kernels for codes of fewer bits. */
function narrowKernel(
  workload: Workload,
  precision: PrecisionName,
  { narrowKernels = [] }: RatedProfile,
): { readonly speedup: number; readonly note: string } {
  const none = { speedup: 1, note: '' };
  if (narrowKernels.length === 0 || precision !== 'int8' || classOf(workload) !== 'pointwise')
    return none;
  const used = workload.usedBits();
  const [fastest] = narrowKernels
    .filter(({ inputs, weights }) => inputs >= used.inputs && weights >= used.weights)
    .sort((a, b) => b.speedup - a.speedup);
  if (!fastest) return none;
  const { speedup, weights, inputs } = fastest;
  return { speedup, note: ` of ${weights}-bit weights and ${inputs}-bit activations` };
}

/** What a run takes beside its layers, at the precision of the heaviest of them. */
export function perRunMs(workloads: readonly Workload[], profile: RatedProfile): number {
  const macs = ({ macs }: Workload) => macs ?? 0;
  const [first, ...others] = workloads;
  if (!first) return 0;
  const heaviest = others.reduce((a, b) => (macs(b) > macs(a) ? b : a), first);
  return (ratesFor(heaviest, profile).rates.perRunUs ?? 0) / 1e3;
}

/** Integer arithmetic takes codes on both sides; narrower weights alone are widened first. */
export function ratesFor(
  { inputType, weightType }: Workload,
  { precisions }: Pick<RatedProfile, 'precisions'>,
): { name: PrecisionName; rates: Rates } {
  const isInteger =
    inputType !== undefined &&
    isCode(inputType) &&
    (weightType === undefined || isCode(weightType));
  if (isInteger && precisions.int8) return { name: 'int8', rates: precisions.int8 };
  const isHalf = inputType !== undefined && elementBits(inputType) === 16;
  if (isHalf && precisions.fp16) return { name: 'fp16', rates: precisions.fp16 };
  return { name: 'fp32', rates: precisions.fp32 };
}

// ---- classes of products

/** The rate of each, and the one that stands in for it where a profile does not give it. */
const CLASSES = {
  pointwise: { title: 'product of matrices', rates: ['pointwiseGmacPerS'] },
  spatial: { title: 'convolution', rates: ['spatialGmacPerS'] },
  strided: {
    title: 'convolution with a stride',
    rates: ['stridedGmacPerS', 'spatialGmacPerS'],
  },
  large: {
    title: 'convolution of a large kernel',
    rates: ['largeGmacPerS', 'spatialGmacPerS'],
  },
  shallow: {
    title: 'convolution of few channels',
    rates: ['shallowGmacPerS', 'spatialGmacPerS'],
  },
  depthwise: { title: 'depthwise convolution', rates: ['depthwiseGmacPerS'] },
  attention: {
    title: 'product of two activations',
    rates: ['attentionGmacPerS', 'pointwiseGmacPerS'],
  },
} as const satisfies Record<ProductClass, { title: string; rates: readonly RateName[] }>;

type ProductClass = (typeof PRODUCT_CLASSES)[number];
type PrecisionName = keyof RatedProfile['precisions'];

const rateOf = (kind: ProductClass, rates: Rates): RateName =>
  CLASSES[kind].rates.find((name) => rates[name] !== undefined)!;

/** Groups of at least this many channels run like dense convolutions. */
const WIDE_GROUP = 32;
/** A picture has three or four channels. */
const FEW_CHANNELS = 4;

function classOf({ conv, matmul }: Workload): ProductClass {
  if (conv) return classOfConv(conv);
  return matmul?.constant === null ? 'attention' : 'pointwise';
}

function classOfConv({ groups, inputChannels, kernel, strides }: ConvLoops): ProductClass {
  const depth = inputChannels / groups;
  if (groups > 1 && depth < WIDE_GROUP) return 'depthwise';
  if (kernel.every((size) => size === 1)) return 'pointwise';
  if (depth <= FEW_CHANNELS) return 'shallow';
  if (!kernel.every((size) => size === 3)) return 'large';
  return strides.some((stride) => stride > 1) ? 'strided' : 'spatial';
}

const bestRate = (rates: Rates): number =>
  Math.max(...(Object.keys(CLASSES) as ProductClass[]).map((kind) => rates[rateOf(kind, rates)]!));

/** The class and precision of a product, and what arithmetic of that class achieves at best. */
export function productRoof(
  workload: Workload,
  profile: RatedProfile,
): { precision: PrecisionName; title: string; gmacPerS: number } {
  const { name, rates } = ratesFor(workload, profile);
  const kind = classOf(workload);
  return { precision: name, title: CLASSES[kind].title, gmacPerS: rates[rateOf(kind, rates)]! };
}

// ---- terms

/** Without the start of the kernel. */
export function demandsOf(workload: Workload, rates: Rates): Demand[] {
  const macs = workload.macs ?? 0;
  return macs > 0 ? productWork(workload, macs, rates) : [otherWork(workload, rates)];
}

const demand = (name: string, rate: RateName, amount: number, bound: Demand['bound']): Demand => ({
  name,
  rate,
  amount: amount / 1e6,
  bound,
});

const timed = ({ name, rate, amount, bound }: Demand, rates: Rates): Phase =>
  phase(name, amount / rates[rate]!, bound);

function productWork(workload: Workload, macs: number, rates: Rates): Demand[] {
  const kind = classOf(workload);
  const shallowness = DEPTH_MATTERS.has(kind) ? (rates.halfDepth ?? 0) / depthOf(workload) : 0;
  return [
    demand('arithmetic', rateOf(kind, rates), macs * (1 + shallowness), 'compute'),
    ...(rates.productGbPerS === undefined
      ? []
      : [demand(ACTIVATIONS_TERM, 'productGbPerS', activationBytes(workload), ACTIVATIONS)]),
    demand('weights', 'weightGbPerS', workload.weightReadBytes, 'weight bandwidth'),
  ];
}

const ACTIVATIONS = 'activation bandwidth';
const ACTIVATIONS_TERM = 'activations';

const DEPTH_MATTERS: ReadonlySet<ProductClass> = new Set(['pointwise', 'spatial']);

/** How many products are added up for one output. */
function depthOf({ conv, matmul }: Workload): number {
  if (conv) return Math.max(1, (conv.inputChannels / conv.groups) * product(conv.kernel));
  return Math.max(1, matmul?.k ?? 1);
}

/** Whose activations move at a rate of their own, where the profile gives it. */
const TRAFFIC: Partial<Record<Workload['kind'], RateName>> = {
  movement: 'movementGbPerS',
  normalisation: 'normalisationGbPerS',
  softmax: 'normalisationGbPerS',
};

/** Traffic and arithmetic hide each other. */
function otherWork(workload: Workload, rates: Rates): Demand {
  const bytes = activationBytes(workload) + workload.weightReadBytes;
  const own = TRAFFIC[workload.kind];
  const rate = own && rates[own] !== undefined ? own : 'activationGbPerS';
  const traffic = demand('activations', rate, bytes, ACTIVATIONS);
  const arithmetic = demand('arithmetic', 'gopPerS', workload.ops ?? 0, 'compute');
  return timed(arithmetic, rates).ms > timed(traffic, rates).ms ? arithmetic : traffic;
}

const activationBytes = ({ inputBytes, outputBytes }: Workload): number =>
  (inputBytes ?? 0) + (outputBytes ?? 0);

function overlapped(
  work: readonly Phase[],
  start: Phase,
  overlap: RatedProfile['overlap'],
): Phase[] {
  if (overlap === 'launch') return totalMs(work) >= start.ms ? [...work] : [start];
  if (overlap === 'none') return [...work, start];
  const memory = work.filter(({ bound }) => bound !== 'compute');
  const arithmetic = work.filter(({ bound }) => bound === 'compute');
  return [...(totalMs(arithmetic) >= totalMs(memory) ? arithmetic : memory), start];
}
