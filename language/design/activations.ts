/** Which values of the model go in and out of a visible node, to be measured. */
import { WhittleError } from '../errors';
import type { Graph, Node } from '../graph/graph';
import type { ValueType } from '../onnx/model';
import type { AskedActivations } from '../recipe/activations';
import { viewRequest, type Look, type Subject } from './design';
import { layersShown } from './view';

/** Of a block, no more of either side: what is shown is to be read. */
const MOST = 6;

/** @throws WhittleError where the node is not of the model itself */
export function askedActivations(subject: Subject, look: Look, id: string): AskedActivations {
  const { graph, facts } = subject.bound;
  const layers = layersShown(viewRequest(subject, look));
  const nodes = (layers.get(id) ?? []).flatMap((layer) => graph.node(layer) ?? []);
  if (nodes.length === 0)
    throw new WhittleError(`${id} is put in by the recipe`, {
      hint: 'Activations are those of the model before it: apply the recipe, and look at the result',
    });
  const members = new Set(nodes.map((node) => node.id));
  const drawn = new Set([...layers.values()].flat());
  const named = (names: readonly string[], side: 'input' | 'output') =>
    [...new Set(names)]
      .filter((name) => isFloat(facts.value(name).type))
      .slice(0, MOST)
      .map((name) => ({ name, side }));
  const outputs = nodes.flatMap(({ outputs: made }) => made);
  // Shapes are read off many values, by nodes that are not drawn: such a value stays inside.
  const left = outputs.filter((value) =>
    isLeft(graph, value, (node) => drawn.has(node) && !members.has(node)),
  );
  const read = outputs.filter((value) => isLeft(graph, value, (node) => !members.has(node)));
  return {
    values: [
      ...named(
        nodes.flatMap((node) => inputsFrom(graph, node, members)),
        'input',
      ),
      ...named(left.length > 0 ? left : read, 'output'),
    ],
    nodes: [...members],
  };
}

const isFloat = (type: ValueType): boolean =>
  type.kind !== 'tensor' || type.elementType === 'unknown' || type.elementType.includes('float');

const inputsFrom = (graph: Graph, { inputs }: Node, members: ReadonlySet<string>): string[] =>
  inputs.filter((value) => {
    if (!value || graph.constant(value)) return false;
    const producer = graph.producer(value);
    return !producer || !members.has(producer.id);
  });

/** Whether a value is an output of the model, or something that counts reads it. */
const isLeft = (graph: Graph, value: string, counts: (node: string) => boolean): boolean =>
  graph.outputs.some(({ name }) => name === value) ||
  graph.consumers(value).some(({ id }) => counts(id));
