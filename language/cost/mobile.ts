/**
 * Processors of phones: a roofline per kernel with rates that were achieved, not peaks. A kernel takes as long as the
 * slower of its arithmetic and its weights (products) or its traffic (everything else), and a fixed time to start.
 */
import { elementBits } from '../onnx/schema';
import { isCode } from './measure';
import { longest, phase, type Cost, type Layer, type Phase } from './phases';
import type { MobileProfile } from './profile';
import type { Workload } from './workload';

type Rates = MobileProfile['precisions']['fp32'];

export function mobileCost({ workload }: Layer, profile: MobileProfile): Cost {
  const { name, rates } = ratesFor(workload, profile);
  const start = phase('kernel start', rates.perKernelUs / 1e3, 'overhead');
  const macs = workload.macs ?? 0;
  const best = Math.max(rates.pointwiseGmacPerS, rates.spatialGmacPerS, rates.depthwiseGmacPerS);
  const work = macs > 0 ? productPhase(workload, macs, rates) : otherPhase(workload, rates);
  return {
    phases: [work, start],
    energyMj: null,
    ...(macs > 0 && { peakMacsPerMs: best * 1e6 }),
    mapping: macs > 0 ? `${name} ${CLASSES[classOf(workload)].title}` : `${name} kernel`,
  };
}

/** Integer arithmetic takes codes on both sides; narrower weights alone are widened first. */
function ratesFor(
  { inputType, weightType }: Workload,
  { precisions }: MobileProfile,
): { name: string; rates: Rates } {
  const isInteger =
    inputType !== undefined &&
    isCode(inputType) &&
    (weightType === undefined || isCode(weightType));
  if (isInteger && precisions.int8) return { name: 'int8', rates: precisions.int8 };
  const isHalf = inputType !== undefined && elementBits(inputType) === 16;
  if (isHalf && precisions.fp16) return { name: 'fp16', rates: precisions.fp16 };
  return { name: 'fp32', rates: precisions.fp32 };
}

const CLASSES = {
  pointwise: { title: 'product of matrices', rate: 'pointwiseGmacPerS' },
  spatial: { title: 'convolution', rate: 'spatialGmacPerS' },
  depthwise: { title: 'depthwise convolution', rate: 'depthwiseGmacPerS' },
} as const;

/** Groups of at least this many channels run like dense convolutions. */
const WIDE_GROUP = 32;

function classOf({ conv }: Workload): keyof typeof CLASSES {
  if (!conv) return 'pointwise';
  if (conv.groups > 1 && conv.inputChannels / conv.groups < WIDE_GROUP) return 'depthwise';
  return conv.kernel.every((size) => size === 1) ? 'pointwise' : 'spatial';
}

function productPhase(workload: Workload, macs: number, rates: Rates): Phase {
  const rate = rates[CLASSES[classOf(workload)].rate];
  return longest(
    phase('arithmetic', macs / (rate * 1e6), 'compute'),
    phase('weights', workload.weightReadBytes / (rates.weightGbPerS * 1e6), 'weight bandwidth'),
  );
}

function otherPhase(workload: Workload, rates: Rates): Phase {
  const bytes = (workload.inputBytes ?? 0) + (workload.outputBytes ?? 0) + workload.weightReadBytes;
  return longest(
    phase('activations', bytes / (rates.activationGbPerS * 1e6), 'activation bandwidth'),
    phase('arithmetic', (workload.ops ?? 0) / (rates.gopPerS * 1e6), 'compute'),
  );
}
