/** What is known of each value of a graph without running it: the result of shape and constant inference. */
import type { Shape, ValueType } from '../onnx/model';
import type { Node } from './graph';

/** The elements of a small tensor whose value is known, each a number, a symbolic dimension, or unknown. */
export interface KnownElements {
  readonly dims: readonly number[];
  readonly elements: readonly (number | string | null)[];
}

export interface ValueFacts {
  readonly type: ValueType;
  /** Of a tensor; undefined when not even the rank is known. */
  readonly shape: Shape | undefined;
  /** Known of shape computations and small constants only. */
  readonly elements: KnownElements | undefined;
}

/** A graph run inside a node: a body of If, Loop or Scan, or a function of the model. */
export interface InnerFacts {
  readonly attribute: string;
  readonly nodes: readonly Node[];
  readonly facts: Facts;
  /** How often it runs for one run of the node; null: depends on data. An If runs one of its branches. */
  readonly times: number | null;
}

export interface Facts {
  value(name: string): ValueFacts;
  inner(node: Node): readonly InnerFacts[];
  /** Operators that were not understood, and contradictions with what the file declares. */
  readonly problems: readonly { readonly node: string; readonly reason: string }[];
}

/** Sizes for free dimensions: by symbol (`batch: 1`) or for a whole input (`image: [1, 3, 32, 32]`). */
export type ShapeBindings = Readonly<Record<string, number | readonly number[]>>;

/** The shape as numbers, or undefined while anything in it is free. */
export function fixedShape(shape: Shape | undefined): readonly number[] | undefined {
  return shape?.every((dim) => typeof dim === 'number') ? shape : undefined;
}
