/** Values in tests as text: `float32[batch,3,?]`. */
import type { Facts, ValueFacts } from '../../../../language/graph/facts';
import type { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { Dim, Shape, Tensor, ValueInfo } from '../../../../language/onnx/model';
import type { ElementType } from '../../../../language/onnx/schema';
import { float32Tensor, int64Tensor, makeTensor } from '../../../../language/onnx/tensor';
import { makeGraph, node, value } from '../../../models';

type Attributes = Parameters<typeof node>[3];

/** A value that is fed, in this notation; a constant; or an input left out. */
export type Input = string | Tensor | null;

export function parseValue(text: string): { type: ElementType; shape: Shape | undefined } {
  const [, type, dims] = /^(\w+)(?:\[(.*)\])?$/.exec(text) ?? [];
  const parts = dims === undefined || dims === '' ? [] : dims.split(',');
  const shape = parts.map((dim) => (dim === '?' ? null : /^\d+$/.test(dim) ? Number(dim) : dim));
  return { type: type as ElementType, shape: dims === undefined ? undefined : shape };
}

export const showDim = (dim: Dim): string => (dim === null ? '?' : String(dim));

export function show({ type, shape }: ValueFacts): string {
  const name = type.kind === 'tensor' ? type.elementType : type.kind;
  return shape ? `${name}[${shape.map(showDim).join(',')}]` : name;
}

export const declared = (name: string, text: string): ValueInfo => {
  const { type, shape } = parseValue(text);
  return value(name, shape, type);
};

/** The shapes that a graph declares for its inputs, as they are. */
export const declaredInputs = (graph: Graph): ReadonlyMap<string, Shape> =>
  new Map(
    graph.inputs.flatMap(({ name, type }) =>
      type.kind === 'tensor' && type.shape ? [[name, type.shape] as const] : [],
    ),
  );

export const infer = (graph: Graph): Facts => inferShapes(graph, { inputs: declaredInputs(graph) });

export interface Setting {
  readonly opset?: number;
  readonly domain?: string;
}

/** Infers one node; input k is called `in<k>`, output k `out<k>`. */
export function inferNode(
  op: string,
  inputs: readonly Input[],
  attributes: Attributes,
  outputs: number,
  { opset = 17, domain = '' }: Setting = {},
): { outputs: ValueFacts[]; problems: string[] } {
  const names = inputs.map((input, i) => (input === null ? '' : `in${i}`));
  const results = Array.from({ length: outputs }, (_, i) => `out${i}`);
  const graph = makeGraph({
    inputs: inputs.flatMap((input, i) =>
      typeof input === 'string' ? [declared(`in${i}`, input)] : [],
    ),
    weights: inputs.flatMap((input, i) =>
      input !== null && typeof input !== 'string' ? [{ ...input, name: `in${i}` }] : [],
    ),
    outputs: [],
    nodes: [node(op, names, results, attributes, '', domain)],
    opset,
  });
  const facts = infer(graph);
  return {
    outputs: results.map((name) => facts.value(name)),
    problems: facts.problems.map(({ reason }) => reason),
  };
}

// ---- constants

export const int64 = (...values: number[]): Tensor => int64Tensor('', values);
export const int64Scalar = (number: number): Tensor => int64Tensor('', [number], []);
export const int64Of = (dims: number[], ...values: number[]): Tensor =>
  int64Tensor('', values, dims);
export const int32 = (...values: number[]): Tensor =>
  makeTensor('', 'int32', [values.length], new Uint8Array(Int32Array.from(values).buffer));
export const floats = (...values: number[]): Tensor => float32Tensor('', values);
export const floatScalar = (number: number): Tensor => float32Tensor('', [number], []);
export const bools = (...values: number[]): Tensor =>
  makeTensor('', 'bool', [values.length], Uint8Array.from(values));
