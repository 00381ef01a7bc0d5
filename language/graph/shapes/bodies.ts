/** The graphs inside nodes: bodies of control flow, and functions that the model itself defines. */
import type {
  Attribute,
  AttributeValue,
  FunctionRecord,
  GraphRecord,
  Model,
  NodeRecord,
  ValueInfo,
} from '../../onnx/model';
import { Graph } from '../graph';

const graphs = new WeakMap<GraphRecord, Graph>();

/** A body as a graph of its own, the same object each time; what it captures is not in it. */
export function graphOfBody(model: Model, body: GraphRecord): Graph {
  let graph = graphs.get(body);
  if (!graph) {
    graph = Graph.of({ ...model, graph: body });
    graphs.set(body, graph);
  }
  return graph;
}

const functionTables = new WeakMap<Model, ReadonlyMap<string, FunctionRecord>>();

const keyOf = (domain: string, name: string, overload: string): string =>
  `${domain}:${name}:${overload}`;

/** The function of the model that a node calls. */
export function functionOf(model: Model, node: NodeRecord): FunctionRecord | undefined {
  if (model.functions.length === 0) return undefined;
  let table = functionTables.get(model);
  if (!table) {
    table = new Map(model.functions.map((f) => [keyOf(f.domain, f.name, f.overload), f]));
    functionTables.set(model, table);
  }
  return table.get(keyOf(node.domain, node.op, node.overload));
}

const plainBodies = new WeakMap<FunctionRecord, GraphRecord>();
const calledBodies = new WeakMap<NodeRecord, GraphRecord>();

/** The body of a function with the attributes of a call in place of the references to them. */
export function bodyOfFunction(called: FunctionRecord, call: NodeRecord): GraphRecord {
  const cached = plainBodies.get(called) ?? calledBodies.get(call);
  if (cached) return cached;
  const nodes = called.nodes.map((node) => resolveNode(node, called, call));
  const body: GraphRecord = {
    name: called.name,
    nodes,
    initializers: [],
    inputs: called.inputs.map(untyped),
    outputs: called.outputs.map(untyped),
    valueInfos: called.valueInfos,
    carried: [],
  };
  if (nodes.every((node, i) => node === called.nodes[i])) plainBodies.set(called, body);
  else calledBodies.set(call, body);
  return body;
}

const untyped = (name: string): ValueInfo => ({ name, type: { kind: 'unknown' } });

/** The node itself where nothing in it refers to the call. */
function resolveNode(node: NodeRecord, called: FunctionRecord, call: NodeRecord): NodeRecord {
  const attributes = new Map<string, Attribute>();
  let changed = false;
  for (const [name, attribute] of node.attributes) {
    const value = resolveValue(attribute.value, called, call);
    changed ||= value !== attribute.value;
    if (value) attributes.set(name, value === attribute.value ? attribute : { name, value });
  }
  return changed ? { ...node, attributes } : node;
}

/** Undefined for a reference to what neither the call nor the function gives: the attribute is left out. */
function resolveValue(
  value: AttributeValue,
  called: FunctionRecord,
  call: NodeRecord,
): AttributeValue | undefined {
  if (value.kind === 'reference')
    return (call.attributes.get(value.value) ?? called.defaults.get(value.value))?.value;
  if (value.kind !== 'graph') return value;
  const nodes = value.value.nodes.map((node) => resolveNode(node, called, call));
  const same = nodes.every((node, i) => node === value.value.nodes[i]);
  return same ? value : { kind: 'graph', value: { ...value.value, nodes } };
}
