/**
 * Scales from calibration data. Decisions are scales alone, one for each matrix and two for each value that matrices read:
 * training the quantisers would decide the same numbers.
 */
import { greatestCommonDivisor } from '../../../graph/integers';
import type { AttentionCore } from '../../../graph/match/attention';
import { groupsOf, matrixOf, weightOf } from '../../linear';
import { Builder } from '../../builder';
import type { Activations, Evidence, StepRequest } from '../../pass';
import { chosenLayers } from '../weights/selection';
import { rankers, writeImportant } from './importance';
import type { Parameters } from './parameters';
import { codesOf, scaleOf } from './scales';

/** Of a value that layers read. */
export interface ActivationScales {
  readonly signed: boolean;
  readonly important: number;
  readonly others: number;
}

export interface Decisions {
  /** By value. */
  readonly activations: Readonly<Record<string, ActivationScales>>;
  /** By layer. */
  readonly weights: Readonly<Record<string, number>>;
  /** Nothing was decided yet. */
  readonly open: boolean;
}

export const WEIGHT_CODES = codesOf(4, true);

/** Samples looked at, values held in memory at once, and elements of one value. */
const SAMPLES = 32;
const VALUES_AT_ONCE = 8;
const ELEMENTS = 65_536;
/** What is less below zero is nothing but rounding. */
const BELOW_ZERO = -1e-5;

export async function planSquat(
  { graph, facts, sites, parameters: chosen }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { layers } = chosenLayers(graph, facts, sites, chosen);
  const rankerOf = rankers(graph, facts);
  const measured = graph.fork();
  const masks = new Map<string, string>();
  const groups = groupsOf(layers).map((group) => {
    const ranker = rankerOf(group.layers[0]!);
    const core = typeof ranker === 'string' ? undefined : ranker.core;
    return { ...group, mask: core && maskOf(core) };
  });
  const activations: Record<string, ActivationScales> = {};
  for (let i = 0; i < groups.length; i += VALUES_AT_ONCE) {
    const some = groups.slice(i, i + VALUES_AT_ONCE);
    const names = new Set(some.flatMap(({ value, mask }) => (mask ? [value, mask] : [value])));
    const seen = await evidence.activations([...names], SAMPLES, measured);
    for (const { value, mask, layers: members } of some) {
      evidence.progress(members[0]!.node);
      activations[value] = scalesOf(seen.get(value)!, mask ? seen.get(mask) : undefined, chosen);
    }
  }
  const weights = layers.map((layer) => {
    const { values } = matrixOf(weightOf(graph, layer), layer);
    return [layer.node, scaleOf(values, WEIGHT_CODES, chosen.scales)] as const;
  });
  return { activations, weights: Object.fromEntries(weights), open: false };

  function maskOf(core: AttentionCore): string {
    const { softmax } = core;
    let mask = masks.get(softmax.id);
    if (mask === undefined) {
      const build = new Builder(measured, softmax, `${softmax.outputs[0]!}/squat`);
      const important = writeImportant(measured, core, chosen);
      mask = build.cast(important, 'seen', 'float32');
      masks.set(softmax.id, mask);
    }
    return mask;
  }
}

/** Important tokens have their scale, the others theirs; all are important where nothing ranks them. */
function scalesOf(
  values: Activations,
  masks: Activations | undefined,
  { important, others, scales }: Parameters,
): ActivationScales {
  const total = values.reduce((sum, { data }) => sum + data.length, 0);
  let step = Math.max(1, Math.floor(total / ELEMENTS));
  // A step that shares no factor with the features meets all of them.
  while (greatestCommonDivisor(step, values[0]?.dims.at(-1) ?? 1) > 1) step++;
  const [those, rest]: [number[], number[]] = [[], []];
  values.forEach(({ data }, run) => {
    const mask = masks?.[run]?.data;
    const size = mask ? data.length / mask.length : data.length;
    for (let i = 0; i < data.length; i += step)
      (!mask || mask[Math.floor(i / size)]! > 0 ? those : rest).push(data[i]!);
  });
  const signed = [...those, ...rest].some((x) => x < BELOW_ZERO);
  const scale = (elements: readonly number[], bits: number) =>
    scaleOf(elements.length > 0 ? elements : those, codesOf(bits, signed), scales);
  return { signed, important: scale(those, important), others: scale(rest, others) };
}
