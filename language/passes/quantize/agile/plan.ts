/**
 * Channels are refined first, and attention multiplied in integers; then layers are rounded in order, each seeing what those
 * before it make in integers.
 */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import type { Tensor } from '../../../onnx/model';
import { groupsOf, matrixOf, weightOf, type Group, type Linear } from '../../linear';
import type { Evidence, Refusal, Site, StepRequest } from '../../pass';
import { canFold, smooth, type Smoothing } from '../../smoothing';
import { roundInOrder } from '../rounding/inOrder';
import { roundToNearest, type Rounded } from '../rounding/blockwise';
import { decodeRounded, encodeRounded, type LayerDecision } from '../weights/decisions';
import { quantiseLayer as writeFloat } from '../weights/write';
import { chosenLayers } from '../weights/selection';
import { attentionProducts, quantiseAttention, type AttentionProduct } from './attention';
import { formatOf, type Parameters } from './parameters';
import { refinement } from './trip';
import { TokenWiseWriter } from './write';

export interface Decisions {
  /** By node; of gptq. */
  readonly layers: Readonly<Record<string, LayerDecision>>;
  /** Values divided by powers of two. */
  readonly refinements: readonly Smoothing[];
  /** Nothing was decided yet. */
  readonly open: boolean;
}

/** Samples that refinement looks at, and how many values are held in memory at once. */
const SAMPLES = 16;
const VALUES_AT_ONCE = 8;

export async function planAgile(
  request: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Decisions> {
  const { graph, parameters: chosen } = request;
  const refinements = chosen.refine === 'auto' ? await planRefinements(request, evidence) : [];
  if (chosen.rounding === 'rtn') return { layers: {}, refinements, open: false };
  const current = graph.fork();
  const { layers } = preparedLayers({ ...request, graph: current }, refinements);
  const decided: Record<string, LayerDecision> = {};
  const write = layerWriter(current, chosen, false);
  const how = { formatOf, damping: chosen.damping };
  await roundInOrder(current, layers, evidence, how, (layer, rounded) => {
    decided[layer.node] = encodeRounded(rounded);
    write(layer, () => rounded);
  });
  return { layers: decided, refinements, open: false };
}

/** Layers as they are when their turn to be rounded comes: refined, and behind attention in integers. */
export function preparedLayers(
  { graph, facts, sites, parameters }: StepRequest<Parameters>,
  refinements: readonly Smoothing[],
): { layers: Linear[]; refused: Refusal[] } {
  const { products, others } = sortedSites(graph, facts, sites);
  refineAll(graph, groupsOf(chosenLayers(graph, facts, others, parameters).layers), refinements);
  const left = quantiseAttention(graph, facts, products, parameters);
  const { layers, refused } = chosenLayers(graph, facts, others, parameters);
  return { layers, refused: [...refused, ...left] };
}

function sortedSites(graph: Graph, facts: Facts, sites: readonly Site[]) {
  const products: AttentionProduct[] = [];
  const others: Site[] = [];
  const known = attentionProducts(graph, facts);
  for (const site of sites) {
    const product = known.get(site.node);
    if (typeof product === 'object') products.push(product);
    else others.push(site);
  }
  return { products, others };
}

async function planRefinements(
  { graph, facts, sites, parameters }: StepRequest<Parameters>,
  evidence: Evidence,
): Promise<Smoothing[]> {
  const { activations: bits } = parameters;
  if (bits === 16) return [];
  const { others } = sortedSites(graph, facts, sites);
  const groups = groupsOf(chosenLayers(graph, facts, others, parameters).layers);
  const free = groups.filter((group) => canFold(graph, group));
  const out: Smoothing[] = [];
  for (let i = 0; i < free.length; i += VALUES_AT_ONCE) {
    const some = free.slice(i, i + VALUES_AT_ONCE);
    const seen = await evidence.activations(
      some.map(({ value }) => value),
      SAMPLES,
    );
    for (const { value, layers } of some) {
      evidence.progress(layers[0]!.node);
      const matrices = layers.map((layer) => matrixOf(weightOf(graph, layer), layer));
      const factors = refinement(seen.get(value)!, matrices, bits);
      if (factors) out.push({ value, factors });
    }
  }
  return out;
}

function refineAll(
  graph: Graph,
  groups: readonly Group[],
  refinements: readonly Smoothing[],
): void {
  const factors = new Map(refinements.map((refinement) => [refinement.value, refinement.factors]));
  for (const group of groups)
    if (factors.has(group.value)) smooth(graph, group, factors.get(group.value));
}

/** Writes layers by the bits of the activations that they read. */
export function layerWriter(
  graph: Graph,
  { activations: bits }: Parameters,
  open: boolean,
): (layer: Linear, rounded: () => Rounded) => void {
  if (bits === 16)
    return (layer, rounded) => writeFloat(graph, layer, WEIGHTS_ALONE, rounded, open);
  const writer = new TokenWiseWriter(graph, open);
  return (layer, rounded) => writer.quantiseLayer(layer, bits, rounded);
}

/** As the pass for weights alone writes the same codes. */
const WEIGHTS_ALONE = {
  method: 'gptq',
  bits: 4,
  block: 'channel',
  symmetric: false,
  arithmetic: 'exact',
  head: 'keep',
  damping: 0.01,
} as const;

export function roundedLayer(
  weight: Tensor,
  layer: Linear,
  decision: LayerDecision | undefined,
): Rounded {
  const format = formatOf(layer.rows);
  if (decision?.kind === 'rounded') return decodeRounded(layer, format, decision);
  return roundToNearest(matrixOf(weight, layer), format);
}
