/** What a step does to layers, in words and in the steps of the heat palette. */
import type { EffectsInView, SensitivityLayer, StepSensitivity } from '../../language/protocol';
import { HEAT_STEPS, type Heat } from '../canvas/heat';
import { plain, signedPercent } from '../format';
import { text } from '../strings';

/** The effect that a visible node shows: that of its most fragile layer. */
export interface NodeEffect {
  readonly heat: Heat;
  readonly words: string;
  /** How many of the measured layers it holds. */
  readonly layers: number;
  readonly stale: boolean;
}

export type NodeEffects = ReadonlyMap<string, NodeEffect>;

/** By visible node. Layers that the step leaves out have no colour, so that the rest stands out. */
export function nodeEffects(found: StepSensitivity, now: EffectsInView): NodeEffects {
  const steps = heatSteps(found);
  const nodes = new Map<string, NodeEffect>();
  found.layers.forEach((layer, row) => {
    const id = now.shown[row];
    if (id == null) return;
    const worked = now.worked?.[row] ?? true;
    const before = nodes.get(id);
    const layers = (before?.layers ?? 0) + 1;
    // The most fragile come first: the first one that the step works on speaks for the node.
    if (before && (before.heat !== null || !worked)) nodes.set(id, { ...before, layers });
    else {
      const effect = effectText(layer);
      nodes.set(id, {
        heat: worked ? steps[row]! : null,
        words: worked ? effect : text('effects.leftOut', { effect }),
        layers,
        stale: now.stale,
      });
    }
  });
  return nodes;
}

/** In the order of the layers. Errors span decades: each step is half of the next. Drops of a metric are spread evenly. */
export function heatSteps({ layers, byMetric }: StepSensitivity): readonly number[] {
  const largest = Math.max(0, ...layers.map((layer) => sizeOf(layer)).filter(Number.isFinite));
  return layers.map((layer) => {
    const size = sizeOf(layer);
    if (size === Infinity) return HEAT_STEPS - 1;
    if (size <= 0 || largest <= 0) return 0;
    const step = byMetric
      ? Math.floor((size / largest) * HEAT_STEPS)
      : HEAT_STEPS - 1 - Math.floor(Math.log2(largest / size));
    return Math.min(HEAT_STEPS - 1, Math.max(0, step));
  });
}

/** What is ranked: the error, or the drop of the metric; infinite where outputs are no numbers any more. */
function sizeOf({ error, drop }: SensitivityLayer): number {
  if (error === null) return Infinity;
  return error ?? drop ?? 0;
}

/** `46.5 dB`, `−1.2 %`: the second column of the table, and what nodes say. */
export function effectText({ error, sqnrDb, drop }: SensitivityLayer): string {
  if (drop !== undefined) return signedPercent(-drop);
  if (error === null) return text('effects.broken');
  return sqnrDb == null ? text('effects.equal') : `${sqnrDb.toFixed(1)}\u00a0dB`;
}

/** `2.23e−5`, or the metric itself: the first column. */
export function amountText({ error, metric }: SensitivityLayer): string {
  if (metric !== undefined) return plain(metric);
  return error == null ? '–' : plain(error);
}
