/** How operators are counted: what a counting rule may ask about its node, and what it answers. */
import { Untold } from '../../errors';
import type { NodeRecord } from '../../onnx/model';
import type { ElementType } from '../../onnx/schema';
import type { ConvLoops, MatmulLoops, PoolLoops, WorkloadKind } from '../workload';

/** One operator of the table: how it is counted and what its inputs are for. */
export interface Operator {
  readonly kind: WorkloadKind;
  readonly count: (node: NodeReading) => Count;
  /** Inputs that hold trained tensors, whatever their type and size. */
  readonly weights?: readonly number[];
  /** Scales, zero points and running statistics: stored and read with the weights, but not trained. */
  readonly companions?: readonly number[];
  /** Inputs that only say how: never trained, never read in bulk. */
  readonly settings?: readonly number[];
  /** What it multiplies in, where that is not the type of its input. */
  readonly arithmetic?: ElementType;
}

/** What a rule sees of its node. Shapes are numbers; a rule that asks for one that is not known stops there. */
export interface NodeReading {
  readonly node: NodeRecord;
  /** Whether an optional input is given. */
  has(input: number): boolean;
  /** @throws NotKnown while a dimension is free */
  input(index: number): readonly number[];
  /** @throws NotKnown while a dimension is free */
  output(index?: number): readonly number[];
  inputType(index: number): ElementType | undefined;
  /** Whether an input never changes between runs. */
  isConstant(index: number): boolean;
  /** The numbers of a small input whose value is known. */
  known(index: number): readonly number[] | undefined;
}

export interface Count {
  /** Multiply-accumulates; default 0. */
  readonly macs?: number;
  /** Other elementary arithmetic. */
  readonly ops: number;
  readonly conv?: ConvLoops;
  readonly matmul?: MatmulLoops;
  readonly window?: PoolLoops;
  /** The input that the multiplier reads, and the one that holds its weights. */
  readonly data?: number;
  readonly weight?: number;
  /** A weight whose tensor packs several elements into each of its own. */
  readonly packed?: { readonly elements: number; readonly type: ElementType };
  /** Reads no more of its inputs than it writes: Gather, Slice. */
  readonly selects?: boolean;
  /** What the operator consists of, where it is more than one loop nest. */
  readonly parts?: readonly CountedPart[];
}

/** A loop nest inside an operator, run `times` times. Bytes are the part's own share of the operator's traffic. */
export interface CountedPart {
  readonly op: string;
  readonly kind: WorkloadKind;
  readonly times: number;
  readonly macs: number;
  readonly ops: number;
  readonly matmul?: MatmulLoops;
  /** Elements of activations read and written. */
  readonly reads: number;
  readonly writes: number;
  /** Elements of weights read. */
  readonly weights?: number;
}

/** Thrown by a rule that cannot count its node, with the reason for people. */
export class NotKnown extends Untold {
  override readonly name = 'NotKnown';
}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Requantisation of one output: multiply, round, add the zero point, saturate. */
export const REQUANTISE_OPS = 4;
