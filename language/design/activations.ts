/** Which values of the model go in and out of a visible node, to be measured. */
import { WhittleError } from '../errors';
import type { Graph, Node } from '../graph/graph';
import type { AskedActivations } from '../recipe/activations';
import { viewRequest, type Look, type Subject } from './design';
import { layersShown } from './view';

/** Of a block, no more of either side: what is shown is to be read. */
const MOST = 6;

/** @throws WhittleError where the node is not of the model itself */
export function askedActivations(subject: Subject, look: Look, id: string): AskedActivations {
  const { graph } = subject.bound;
  const request = viewRequest(subject, look);
  const shown = layersShown(request).get(id) ?? [];
  const nodes = shown.flatMap((layer) => graph.node(layer) ?? []);
  if (nodes.length === 0)
    throw new WhittleError(`${id} is put in by the recipe`, {
      hint: 'Activations are those of the model before it: apply the recipe, and look at the result',
    });
  const members = new Set(nodes.map((node) => node.id));
  const inputs = nodes.flatMap((node) => inputsFrom(graph, node, members));
  const outputs = nodes.flatMap((node) => outputsTo(graph, node, members));
  const named = (names: readonly string[], side: 'input' | 'output') =>
    [...new Set(names)].slice(0, MOST).map((name) => ({ name, side }));
  return {
    values: [...named(inputs, 'input'), ...named(outputs, 'output')],
    nodes: [...members],
  };
}

const inputsFrom = (graph: Graph, { inputs }: Node, members: ReadonlySet<string>): string[] =>
  inputs.filter((value) => {
    if (!value || graph.constant(value)) return false;
    const producer = graph.producer(value);
    return !producer || !members.has(producer.id);
  });

const outputsTo = (graph: Graph, { outputs }: Node, members: ReadonlySet<string>): string[] =>
  outputs.filter(
    (value) =>
      graph.outputs.some(({ name }) => name === value) ||
      graph.consumers(value).some(({ id }) => !members.has(id)),
  );
