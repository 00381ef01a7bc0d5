/**
 * How far an estimate can be trusted: the error of the profile on networks that it was not fitted to, widened by the share
 * of the time that this network spends in kinds of layers that the calibration never saw.
 */
import type { Confidence, LayerCost } from './cost';
import { product } from './operators/operator';
import type { Precision } from './precision';
import type { Family, TargetProfile } from './profile';
import type { Workload } from './workload';

/** A layer's kind and how long it takes. */
export interface Timed {
  readonly workload: Workload;
  readonly cost: Pick<LayerCost, 'latencyMs'>;
}

/** Beyond this share of unseen work an estimate says nothing that was checked. */
export const NOT_VALIDATED = 0.25;
/** Less than this does not change a stated error by what anybody could notice. */
export const NEGLIGIBLE = 0.02;
/** An unseen layer may take half or twice of what is modelled for it. */
const UNSEEN_LOW = -0.5;
const UNSEEN_HIGH = 1;

export function confidenceOf(
  layers: readonly Timed[],
  profile: TargetProfile,
  precision: Precision | undefined,
): Confidence {
  const { basis } = profile;
  if (basis.status === 'analytical')
    return { ...NO_ERROR, note: `analytical, not validated: ${basis.note}` };
  const [lowError, highError] = heldOut(basis.errors, precision);
  const { share, families } = unseenWork(layers, basis.saw);
  const stated = { unseenShare: share, unseen: families };
  if (share < NEGLIGIBLE) return { lowError, highError, ...stated, note: 'validated' };
  const what = `${Math.round(100 * share)} % of its time is in ${families.join(', ')}, which the calibration did not see`;
  return {
    lowError: lowError * (1 - share) + UNSEEN_LOW * share,
    highError: highError * (1 - share) + UNSEEN_HIGH * share,
    ...stated,
    note:
      share > NOT_VALIDATED
        ? `not validated for this kind of network: ${what}`
        : `wider error: ${what}`,
  };
}

const NO_ERROR = { lowError: null, highError: null, unseenShare: 0, unseen: [] } as const;

interface HeldOut {
  readonly precision?: 'fp32' | 'fp16' | 'int8' | undefined;
  readonly lowError: number;
  readonly highError: number;
}

/** The widest of the intervals that apply; of all where none was measured at this precision. */
function heldOut(
  errors: readonly HeldOut[],
  precision: Precision | undefined,
): [low: number, high: number] {
  const matching = errors.filter((error) => (error.precision ?? precision) === precision);
  const used = matching.length > 0 ? matching : errors;
  return [
    Math.min(...used.map(({ lowError }) => lowError)),
    Math.max(...used.map(({ highError }) => highError)),
  ];
}

function unseenWork(
  layers: readonly Timed[],
  saw: readonly Family[] | undefined,
): { share: number; families: Family[] } {
  if (!saw) return { share: 0, families: [] };
  const unseenMs = new Map<Family, number>();
  let totalMs = 0;
  for (const { workload, cost } of layers) {
    const ms = cost.latencyMs ?? 0;
    totalMs += ms;
    const family = familyOf(workload);
    if (family && !saw.includes(family)) unseenMs.set(family, (unseenMs.get(family) ?? 0) + ms);
  }
  const unseen = [...unseenMs].sort((a, b) => b[1] - a[1]);
  const ms = unseen.reduce((sum, [, own]) => sum + own, 0);
  return { share: totalMs > 0 ? ms / totalMs : 0, families: unseen.map(([family]) => family) };
}

/** What kind of load a layer is; undefined for what takes no time or has a body of its own. */
export function familyOf({ kind, conv, matmul }: Workload): Family | undefined {
  if (conv) {
    if (conv.groups === 1) return 'convolution';
    return conv.inputChannels === conv.groups ? 'depthwise convolution' : 'grouped convolution';
  }
  if (matmul) {
    if (matmul.constant === null) return 'attention';
    return product([matmul.batch, matmul.m]) === 1 ? 'product of one row' : 'product of many rows';
  }
  return OTHERS[kind];
}

const OTHERS: Readonly<Record<Workload['kind'], Family | undefined>> = {
  conv: 'convolution',
  matmul: 'product of many rows',
  attention: 'attention',
  recurrent: 'recurrent',
  elementwise: 'elementwise',
  normalisation: 'normalisation',
  softmax: 'softmax',
  pooling: 'pooling',
  reduction: 'reduction',
  resize: 'resize',
  movement: 'movement',
  conversion: 'conversion',
  free: undefined,
  control: undefined,
  unknown: undefined,
};
