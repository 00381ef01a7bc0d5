/** Rounding that looks at calibration data. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { roles } from '../../../graph/match/roles';
import { toBase64 } from '../../base64';
import { foldingPlaces } from '../../fold';
import { groupsOf, matrixOf, weightOf, type Group, type Linear } from '../../linear';
import type { Evidence, Gram, StepRequest } from '../../pass';
import { scaleRows, searchClips, searchScales } from '../rounding/awq';
import { roundInOrder } from '../rounding/inOrder';
import { encodeRounded, NOTHING, type Decisions, type LayerDecision } from './decisions';
import { formatOf, type Parameters } from './parameters';
import { chosenLayers } from './selection';
import { quantiseLayer } from './write';

export async function planGptq(
  { graph, facts, sites, parameters: chosen }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { layers } = chosenLayers(graph, facts, sites, chosen);
  const decided: Record<string, LayerDecision> = {};
  const current = graph.fork();
  const how = { formatOf: (rows: number) => formatOf(chosen, rows), damping: chosen.damping };
  await roundInOrder(current, layers, evidence, how, (layer, rounded) => {
    decided[layer.node] = encodeRounded(rounded);
    quantiseLayer(current, layer, chosen, () => rounded, false);
  });
  return { ...NOTHING, layers: decided };
}

export async function planAwq(
  { graph, facts, sites, parameters: chosen }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { layers } = chosenLayers(graph, facts, sites, chosen);
  const groups = groupsOf(layers);
  const whole = unclipped(graph, facts, layers, chosen.clip);
  const grams = await evidence.grams(groups.map(({ value }) => value));
  const means = await meanMagnitudes(groups, evidence);
  const decided: Record<string, LayerDecision> = {};
  const scalings: { value: string; factors: readonly number[] }[] = [];
  for (const { value, layers: members } of groups) {
    evidence.progress(members[0]!.node);
    const gram = grams.get(value)!;
    const matrices = members.map((layer) => matrixOf(weightOf(graph, layer), layer));
    const format = formatOf(chosen, gram.size);
    const canScale = placesFor(graph, value, members) !== undefined;
    const factors = canScale
      ? searchScales(matrices, means.get(value)!, gram, format)
      : new Float32Array(gram.size).fill(1);
    if (canScale) scalings.push({ value, factors: Array.from(factors) });
    const scaled = divided(gram, factors);
    members.forEach((layer, i) => {
      if (whole.has(layer.node)) return;
      const steps = searchClips(scaleRows(matrices[i]!, factors), scaled, format);
      decided[layer.node] = { kind: 'clipped', steps: toBase64(steps) };
    });
  }
  return { layers: decided, scalings, open: false };
}

/**
 * Layers whose ranges stay whole. Those that make queries or keys do in the authors’ program too: what clipping costs there is
 * decided by the product of the two, not by their own outputs.
 */
function unclipped(
  graph: Graph,
  facts: Facts,
  layers: readonly Linear[],
  clip: Parameters['clip'],
): ReadonlySet<string> {
  if (clip === 'off') return new Set(layers.map(({ node }) => node));
  const { attentions } = roles(graph, facts).findings;
  return new Set(attentions.flatMap(({ q, k }) => [q, k].flatMap((linear) => linear?.node ?? [])));
}

/** So many samples tell which channels are large. */
const SAMPLES = 32;

/** Mean |x| of each input channel. */
async function meanMagnitudes(
  groups: readonly Group[],
  evidence: Evidence,
): Promise<ReadonlyMap<string, Float64Array>> {
  const values = groups.map(({ value }) => value);
  const seen = await evidence.activations(values, SAMPLES);
  return new Map(
    groups.map(({ value, layers }) => {
      const { rows } = layers[0]!;
      const sums = new Float64Array(rows);
      let count = 0;
      for (const { data } of seen.get(value)!) {
        for (let i = 0; i < data.length; i++) sums[i % rows]! += Math.abs(data[i]!);
        count += data.length / rows;
      }
      return [value, sums.map((sum) => sum / count)] as const;
    }),
  );
}

/** The Gram matrix of activations divided by `factors`. */
function divided({ rows, size, data }: Gram, factors: Float32Array): Gram {
  const out = new Float64Array(data.length);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      out[i * size + j] = data[i * size + j]! / (factors[i]! * factors[j]!);
  return { rows, size, data: out };
}

export const placesFor = (graph: Graph, value: string, layers: readonly Linear[]) =>
  foldingPlaces(graph, value, layers[0]!.rows, new Set(layers.map(({ node }) => node)));
