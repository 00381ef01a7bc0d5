/** What lies between integer layers: operators that integers pass through. */
import { stringAttribute, type Graph, type Node } from '../../../graph/graph';

const COPIES = [
  ...['MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Identity', 'Resize'],
];

/** Operators that integer kernels exist for, or that integers pass through. */
const INTEGER_PATH = new Set([
  ...['AveragePool', 'GlobalAveragePool', 'Concat', 'Add', 'Relu', 'Clip'],
  ...COPIES,
]);

/** Whether only values that came in come out, so that both may share one scale. */
export const keepsScale = (node: Node): boolean =>
  COPIES.includes(node.op) &&
  (node.op !== 'Resize' || stringAttribute(node, 'mode', 'nearest') === 'nearest');

/** Whether a value gets to one of `layers`, through nothing but what integers pass. */
export function reachesInteger(
  graph: Graph,
  value: string,
  layers: ReadonlySet<string>,
  seen = new Set<string>(),
): boolean {
  if (seen.has(value)) return false;
  seen.add(value);
  return graph
    .consumers(value)
    .some(
      (reader) =>
        layers.has(reader.id) ||
        (INTEGER_PATH.has(reader.op) &&
          !(reader.op === 'Add' && reader.inputs.some((input) => graph.constant(input))) &&
          reader.outputs.some((output) => reachesInteger(graph, output, layers, seen))),
    );
}
