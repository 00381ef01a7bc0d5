/**
 * What stays float by rule, within a budget of MACs: what costs accuracy and brings next to nothing in integers. What is
 * measured beyond that is for `sensitivity.ts`.
 */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { endsInOutputs, isInput, type Layer, type Product } from '../../layers';
import { macsOf, totalMacs } from '../../macs';
import type { Site } from '../../pass';
import { foldable } from './folding';
import { reachesInteger } from './integerPath';
import { quantisableIn } from './sites';

export type Form = 'fast' | 'full';

/** Share of MACs that must end in integer kernels, with some room: of those with constant weights, or of all. */
const SHARE: Readonly<Record<Form, number>> = { fast: 0.975, full: 0.955 };

interface Candidate {
  readonly node: string;
  readonly found: Layer | Product;
  readonly macs: number;
}

/** Sites that a form leaves float, and how many MACs more may be left. */
export interface Floats {
  readonly nodes: readonly string[];
  readonly budget: number;
}

export function floatByRule(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  form: Form,
): Floats {
  const candidates = sites.flatMap(({ node }) => candidateAt(graph, facts, node));
  const products = candidates.filter(({ found }) => found.kind === 'product');
  const layers = candidates.filter(({ found }) => found.kind !== 'product');
  const taken = form === 'full' ? candidates : layers;
  const covered = macsIn(taken);
  const whole = form === 'full' ? totalMacs(graph, facts) : covered;
  let budget = Math.max(0, covered - SHARE[form] * whole);
  const nodes = form === 'full' ? [] : products.map(({ node }) => node);
  for (const group of [ending(graph, layers), isolated(graph, layers), starting(graph, layers)]) {
    const open = group.filter(({ node }) => !nodes.includes(node));
    if (macsIn(open) > budget) continue;
    budget -= macsIn(open);
    nodes.push(...open.map(({ node }) => node));
  }
  return { nodes, budget };
}

function candidateAt(graph: Graph, facts: Facts, id: string): Candidate[] {
  const node = graph.node(id);
  const found = node && quantisableIn({ graph, facts }, node);
  if (typeof found !== 'object') return [];
  return [{ node: id, found, macs: 'macs' in found ? found.macs : macsOf(facts, node!) }];
}

const macsIn = (candidates: readonly Candidate[]): number =>
  candidates.reduce((sum, { macs }) => sum + macs, 0);

/**
 * Convolutions whose result only float operators read, such as the one that makes patches: an integer convolution rounds
 * its result too, here for nobody.
 */
const isolated = (graph: Graph, layers: readonly Candidate[]): Candidate[] => {
  const sites = new Set(layers.map(({ node }) => node));
  return layers.filter(
    ({ node, found }) =>
      found.kind === 'conv' &&
      !reachesInteger(graph, foldable(graph, graph.node(node)!).fold.result, sites),
  );
};

/** Layers that make the model's output: their error is the error of the output, such as ties between peaks of a map. */
const ending = (graph: Graph, layers: readonly Candidate[]): Candidate[] =>
  layers.filter(({ node }) => endsInOutputs(graph, graph.node(node)!.outputs[0] ?? ''));

/** Products that read the model's input: all that follows rests on them. */
const starting = (graph: Graph, layers: readonly Candidate[]): Candidate[] =>
  layers.filter(
    ({ found }) =>
      found.kind !== 'conv' && 'activation' in found && isInput(graph, found.activation),
  );
