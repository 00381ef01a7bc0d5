/** Which layers a step takes, by the values that they read. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { endsInOutputs, isInput, quantisable, type Layer } from '../../layers';
import type { Refusal, Site } from '../../pass';
import type { Parameters } from './parameters';
import type { Form } from './polish';
import { shapeOf, type Shape } from './rows';

export interface ShapedLayer extends Layer {
  readonly shape: Shape;
}

/** Layers that read the same value along the same axis, in the order of the graph. */
export interface Group {
  readonly value: string;
  /** Of the value's channels. */
  readonly axis: number;
  readonly rank: number;
  readonly channels: number;
  readonly layers: readonly ShapedLayer[];
  /** Reads the model's inputs, or makes its outputs. */
  readonly isEnd: boolean;
}

/** Ends in 8 bits are rounded as they are. */
export const mayPolish = ({ isEnd }: Group, { polish, ends }: Parameters): boolean =>
  polish !== 'off' && !(isEnd && ends === 8);

/**
 * Codes of 8 bits that are not polished have one scale: ONNX Runtime turns them into integer kernels, which need that.
 */
export function formOf(group: Group, { scales, bits, ends }: Parameters, polished: boolean): Form {
  const own = group.isEnd ? ends : bits;
  const single = scales === 'per-tensor' || (own === 8 && !polished);
  return { bits: own, polished, axis: single ? undefined : group.axis };
}

/** The layer at a node, why it is none, or undefined where nobody would expect one. */
export function layerAt(graph: Graph, facts: Facts, id: string): Layer | string | undefined {
  const found = quantisable(graph, facts, graph.node(id)!);
  if (typeof found !== 'object') return found;
  if (found.kind === 'product') return undefined;
  if (facts.value(found.activation).shape === undefined)
    return 'the rank of its input is not known';
  return found;
}

export function groupsOf(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
): { groups: readonly Group[]; refused: readonly Refusal[] } {
  const chosen = new Set(sites.map(({ node }) => node));
  const refused: Refusal[] = [];
  const groups = new Map<string, Group & { layers: ShapedLayer[] }>();
  for (const node of graph.order) {
    if (!chosen.has(node.id)) continue;
    const layer = layerAt(graph, facts, node.id);
    if (typeof layer !== 'object') {
      refused.push({ node: node.id, reason: layer ?? 'it has no constant weight' });
      continue;
    }
    const isEnd = isInput(graph, layer.activation) || endsInOutputs(graph, node.outputs[0] ?? '');
    const rank = facts.value(layer.activation).shape!.length;
    const axis = layer.kind === 'conv' ? 1 : rank - 1;
    const shape = shapeOf(graph, layer);
    const channels =
      layer.kind === 'conv' ? shape.groups * layer.weight.tensor.dims[1]! : shape.rows;
    const key = `${axis} ${isEnd} ${layer.activation}`;
    const group = groups.get(key);
    if (group) group.layers.push({ ...layer, shape });
    else
      groups.set(key, {
        value: layer.activation,
        axis,
        rank,
        channels,
        layers: [{ ...layer, shape }],
        isEnd,
      });
  }
  return { groups: [...groups.values()], refused };
}
