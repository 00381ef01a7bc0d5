/** Which layers a step takes. */
import type { Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { linearOf, type Linear } from '../../linear';
import type { Refusal, Site } from '../../pass';
import type { Parameters } from './parameters';

export function chosenLayers(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  { head }: Pick<Parameters, 'head'>,
): { layers: Linear[]; refused: Refusal[] } {
  const layers: Linear[] = [];
  const refused: Refusal[] = [];
  const chosen = new Set(sites.map((site) => site.node));
  for (const node of graph.order) {
    if (!chosen.has(node.id)) continue;
    if (node.op === 'Gather') continue; // a table
    const layer = linearOf(graph, facts, node);
    if (typeof layer !== 'object')
      refused.push({ node: node.id, reason: layer ?? 'it has no constant weight' });
    else if (head === 'keep' && makesOutput(graph, node.outputs[0]!))
      refused.push({
        node: node.id,
        reason: 'it makes the model’s output; `head: quantise` takes it',
      });
    else layers.push(layer);
  }
  return { layers, refused };
}

const SHAPING = new Set(['Add', 'Cast', 'Reshape', 'Identity', 'Squeeze', 'Slice', 'Unsqueeze']);

/** Whether a value reaches graph outputs through nothing but a bias and shapes. */
function makesOutput(graph: Graph, value: string): boolean {
  if (graph.isOutput(value)) return true;
  const readers = graph.consumers(value);
  return (
    readers.length > 0 &&
    readers.every(({ op, outputs, inputs }) => {
      if (!SHAPING.has(op)) return false;
      if (op === 'Add' && !inputs.some((input) => graph.constant(input))) return false;
      return makesOutput(graph, outputs[0]!);
    })
  );
}
