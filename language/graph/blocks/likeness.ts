/** What a node is, apart from what it is called and what it reads. */
import type { AttributeValue } from '../../onnx/model';
import type { Graph, Node } from '../graph';

/** Equal for nodes of one operator with the same attributes and weights of the same shapes, wherever they stand. */
export const likeness = (node: Node, graph: Graph): string =>
  [operatorKey(node), ...node.inputs.map((input) => weightKey(input, graph))].join(' ');

const operatorKeys = new WeakMap<Node, string>();

function operatorKey(node: Node): string {
  let key = operatorKeys.get(node);
  if (key === undefined) {
    const attributes = [...node.attributes.values()].map(
      ({ name, value }) => `${name}=${attributeKey(value)}`,
    );
    key = [node.domain, node.op, ...attributes.sort()].join(' ');
    operatorKeys.set(node, key);
  }
  return key;
}

function attributeKey(value: AttributeValue): string {
  switch (value.kind) {
    case 'tensor':
      return value.value.dims.join('×');
    case 'int':
    case 'float':
    case 'string':
    case 'ints':
    case 'floats':
    case 'strings':
    case 'reference':
      return JSON.stringify(value.value);
    default:
      return value.kind;
  }
}

/** Type and shape of a constant input, stored as codes or not. */
function weightKey(input: string, graph: Graph): string {
  const producer = graph.producer(input);
  const tensor = graph.constant(producer?.op === 'DequantizeLinear' ? producer.inputs[0]! : input);
  return tensor ? `${tensor.elementType}[${tensor.dims.join('×')}]` : '·';
}
