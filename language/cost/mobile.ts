/**
 * Processors of phones and boards: rates that kernels achieve, not peaks. A kernel's time is made of its arithmetic, its
 * activations, its weights and its start; what of these hides behind what is data of the profile. The classes of
 * convolutions are those between which achieved rates differ: 3×3 kernels may run as Winograd's, strided ones may not,
 * the first layer has too few channels to fill a vector, depthwise ones reuse nothing.
 */
import { elementBits } from '../onnx/schema';
import { hostCost } from './host';
import { isCode } from './measure';
import { product } from './operators/operator';
import { patternTitle } from './patterns';
import { longest, phase, totalMs, type Cost, type Layer, type Phase } from './phases';
import type { MobileProfile, PRODUCT_CLASSES } from './profile';
import type { ConvLoops, Workload } from './workload';

type Rates = MobileProfile['precisions']['fp32'];

export function mobileCost(layer: Layer, profile: MobileProfile): Cost {
  const { fallback } = profile;
  if (fallback?.operators.includes(layer.op)) return hostCost(layer, fallback, profile.id);
  const { workload } = layer;
  const { name, rates } = ratesFor(workload, profile);
  const macs = workload.macs ?? 0;
  const start = phase('kernel start', rates.perKernelUs / 1e3, 'overhead');
  if (macs === 0)
    return {
      phases: overlapped(otherWork(workload, rates), start, profile.overlap),
      energyMj: null,
      mapping: `${name} kernel`,
    };
  const sparse = sparseKernel(workload, name, profile);
  const work = productWork(workload, macs, rates).map((phase) =>
    phase.name === ACTIVATIONS_TERM ? phase : { ...phase, ms: phase.ms * sparse.share },
  );
  return {
    phases: overlapped(work, start, profile.overlap),
    energyMj: null,
    peakMacsPerMs: bestRate(rates) * 1e6,
    mapping: `${name} ${CLASSES[classOf(workload)].title}${sparse.note}`,
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
  { sparseKernels = [] }: MobileProfile,
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

/** What a run takes beside its layers, at the precision of the heaviest of them. */
export function perRunMs(workloads: readonly Workload[], profile: MobileProfile): number {
  const macs = ({ macs }: Workload) => macs ?? 0;
  const [first, ...others] = workloads;
  if (!first) return 0;
  const heaviest = others.reduce((a, b) => (macs(b) > macs(a) ? b : a), first);
  return (ratesFor(heaviest, profile).rates.perRunUs ?? 0) / 1e3;
}

/** Integer arithmetic takes codes on both sides; narrower weights alone are widened first. */
function ratesFor(
  { inputType, weightType }: Workload,
  { precisions }: MobileProfile,
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

const CLASSES = {
  pointwise: { title: 'product of matrices', rate: (r: Rates) => r.pointwiseGmacPerS },
  spatial: { title: 'convolution', rate: (r: Rates) => r.spatialGmacPerS },
  strided: {
    title: 'convolution with a stride',
    rate: (r: Rates) => r.stridedGmacPerS ?? r.spatialGmacPerS,
  },
  large: {
    title: 'convolution of a large kernel',
    rate: (r: Rates) => r.largeGmacPerS ?? r.spatialGmacPerS,
  },
  shallow: {
    title: 'convolution of few channels',
    rate: (r: Rates) => r.shallowGmacPerS ?? r.spatialGmacPerS,
  },
  depthwise: { title: 'depthwise convolution', rate: (r: Rates) => r.depthwiseGmacPerS },
  attention: {
    title: 'product of two activations',
    rate: (r: Rates) => r.attentionGmacPerS ?? r.pointwiseGmacPerS,
  },
} as const satisfies Record<ProductClass, object>;

type ProductClass = (typeof PRODUCT_CLASSES)[number];
type PrecisionName = keyof MobileProfile['precisions'];

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
  Math.max(...Object.values(CLASSES).map(({ rate }) => rate(rates)));

// ---- terms

function productWork(workload: Workload, macs: number, rates: Rates): Phase[] {
  const kind = classOf(workload);
  const gmacPerS = CLASSES[kind].rate(rates);
  const shallowness = DEPTH_MATTERS.has(kind) ? (rates.halfDepth ?? 0) / depthOf(workload) : 0;
  const { productGbPerS, weightGbPerS } = rates;
  return [
    phase('arithmetic', (macs * (1 + shallowness)) / (gmacPerS * 1e6), 'compute'),
    ...(productGbPerS === undefined
      ? []
      : [phase(ACTIVATIONS_TERM, activationBytes(workload) / (productGbPerS * 1e6), ACTIVATIONS)]),
    phase('weights', workload.weightReadBytes / (weightGbPerS * 1e6), 'weight bandwidth'),
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

function otherWork(workload: Workload, rates: Rates): Phase[] {
  const bytes = activationBytes(workload) + workload.weightReadBytes;
  const { activationGbPerS, movementGbPerS = activationGbPerS } = rates;
  const gbPerS = workload.kind === 'movement' ? movementGbPerS : activationGbPerS;
  return [
    longest(
      phase('activations', bytes / (gbPerS * 1e6), ACTIVATIONS),
      phase('arithmetic', (workload.ops ?? 0) / (rates.gopPerS * 1e6), 'compute'),
    ),
  ];
}

const activationBytes = ({ inputBytes, outputBytes }: Workload): number =>
  (inputBytes ?? 0) + (outputBytes ?? 0);

function overlapped(
  work: readonly Phase[],
  start: Phase,
  overlap: MobileProfile['overlap'],
): Phase[] {
  if (overlap === 'launch') return totalMs(work) >= start.ms ? [...work] : [start];
  if (overlap === 'none') return [...work, start];
  const memory = work.filter(({ bound }) => bound !== 'compute');
  const arithmetic = work.filter(({ bound }) => bound === 'compute');
  return [...(totalMs(arithmetic) >= totalMs(memory) ? arithmetic : memory), start];
}
