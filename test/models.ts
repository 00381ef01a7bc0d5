/** Models for tests, written by hand: what a test is about stands in the test. */
import { Graph } from '../language/graph/graph';
import type {
  AttributeValue,
  GraphRecord,
  Model,
  NodeRecord,
  Shape,
  Tensor,
  ValueInfo,
} from '../language/onnx/model';
import { readModelBytes } from '../language/onnx/read';
import type { ElementType } from '../language/onnx/schema';
import { MemorySource } from '../language/onnx/source';
import { float32Tensor, int64Tensor } from '../language/onnx/tensor';

type Attributes = Readonly<
  Record<string, number | string | readonly number[] | Tensor | GraphRecord>
>;

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
  name = '',
  domain = '',
): NodeRecord {
  const entries = Object.entries(attributes).map(
    ([key, value]) => [key, { name: key, value: attributeValue(value) }] as const,
  );
  return {
    name,
    op,
    domain,
    overload: '',
    inputs,
    outputs,
    attributes: new Map(entries),
    metadata: new Map(),
    carried: [],
  };
}

/** Whole numbers become ints, others floats; lists likewise. */
function attributeValue(value: Attributes[string]): AttributeValue {
  if (typeof value === 'number') return { kind: Number.isInteger(value) ? 'int' : 'float', value };
  if (typeof value === 'string') return { kind: 'string', value };
  if (Array.isArray(value))
    return { kind: value.every(Number.isInteger) ? 'ints' : 'floats', value: value as number[] };
  if ('nodes' in value) return { kind: 'graph', value };
  return { kind: 'tensor', value: value as Tensor };
}

export const value = (
  name: string,
  shape?: Shape,
  elementType: ElementType = 'float32',
): ValueInfo => ({
  name,
  type: { kind: 'tensor', elementType, ...(shape && { shape }) },
});

export interface ModelSpec {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly NodeRecord[];
  readonly weights?: readonly Tensor[];
  readonly valueInfos?: readonly ValueInfo[];
  readonly opset?: number;
}

const EMPTY = readModelBytes(Uint8Array.of(8, 8, 0x3a, 0)); // IR version 8 and an empty graph

export function makeModel({
  inputs,
  outputs,
  nodes,
  weights = [],
  valueInfos = [],
  opset = 17,
}: ModelSpec): Model {
  const graph: GraphRecord = {
    name: 'test',
    nodes,
    initializers: weights,
    inputs,
    outputs,
    valueInfos,
    carried: [],
  };
  return {
    ...EMPTY,
    opsets: new Map([['', opset]]),
    graph,
    span: { source: new MemorySource(new Uint8Array(0)), start: 0, end: 0 },
  };
}

export const makeGraph = (spec: ModelSpec): Graph => Graph.of(makeModel(spec));

/** A weight filled with repeatable values of both signs, none of them zero. */
export function weight(name: string, dims: readonly number[], seed = 1): Tensor {
  let state = seed;
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    const unit = state / 2147483648 - 0.5;
    return unit === 0 ? 0.25 : unit;
  };
  const count = dims.reduce((a, b) => a * b, 1);
  return float32Tensor(name, Array.from({ length: count }, next), [...dims]);
}

export const ints = (name: string, values: readonly number[]): Tensor => int64Tensor(name, values);
