/**
 * What a layer does, whatever it runs on: the first of the two steps of a cost. Targets turn workloads into time and
 * energy; they never look at the graph.
 */
import type { ElementType } from '../onnx/schema';
import type { ZeroStructure } from './patterns';
import type { Placement } from '../graph/placement';

export type WorkloadKind =
  | 'conv'
  | 'matmul'
  | 'attention'
  | 'recurrent'
  | 'elementwise'
  | 'normalisation'
  | 'softmax'
  | 'pooling'
  | 'reduction'
  | 'resize'
  | 'movement'
  /** QuantizeLinear, DequantizeLinear and their kin. */
  | 'conversion'
  /** Views, constants and shape computations: nothing happens at run time. */
  | 'free'
  | 'control'
  | 'unknown';

/** Convolution (also transposed): spatial lists have one entry per spatial axis. */
export interface ConvLoops {
  readonly batch: number;
  readonly groups: number;
  /** Input and output channels in all, not per group. */
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly kernel: readonly number[];
  readonly input: readonly number[];
  /** Input extent with the padding that is applied. */
  readonly paddedInput: readonly number[];
  readonly output: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly transposed: boolean;
}

/** A window that slides over a picture without weights. */
export type PoolLoops = Pick<
  ConvLoops,
  'batch' | 'kernel' | 'input' | 'paddedInput' | 'output' | 'strides'
> & { readonly channels: number };

/** `batch` products of m×k by k×n. `constant`: which operand is a weight; null for a product of activations. */
export interface MatmulLoops {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly constant: 'a' | 'b' | null;
}

/** Zeros among the weights. */
export interface Sparsity {
  /** Share of weights that are not zero, 0 to 1. */
  readonly density: number;
  readonly estimated: boolean;
}

/** 4 where codes in bytes have at most 16 values. */
export interface UsedBits {
  readonly inputs: 4 | 8;
  readonly weights: 4 | 8;
}

/** A loop nest inside a layer, run `times` times for one run of the layer. */
export interface Part {
  readonly op: string;
  readonly times: number;
  readonly workload: Workload;
}

export interface Workload {
  readonly kind: WorkloadKind;
  /** Multiply-accumulates; null with `unknown` saying why. */
  readonly macs: number | null;
  /** Other elementary arithmetic; flops = 2·macs + ops. */
  readonly ops: number | null;
  readonly conv?: ConvLoops | undefined;
  readonly matmul?: MatmulLoops | undefined;
  /** Of pooling. */
  readonly window?: PoolLoops | undefined;
  /**
   * What the layer consists of, where it is more than one loop nest: the products of attention and of recurrent cells,
   * the nodes of a body of control flow. MACs, ops and bytes of the parts are included in the layer's.
   */
  readonly parts?: readonly Part[] | undefined;
  /** Elements of trained tensors that this layer is the first to read. */
  readonly parameters: number;
  /** Their stored bytes, packed, with scales and zero points. */
  readonly weightBytes: number;
  /** Bytes of trained tensors that one run reads, whoever read them first. */
  readonly weightReadBytes: number;
  /** Bytes of activations read and written; null while a shape is free. */
  readonly inputBytes: number | null;
  readonly outputBytes: number | null;
  /** What the arithmetic runs in: int8 weights behind a DequantizeLinear count as int8. */
  readonly weightType: ElementType | undefined;
  readonly inputType: ElementType | undefined;
  readonly outputType: ElementType | undefined;
  /** How a step laid the weights into crossbars. */
  readonly placement?: Placement | undefined;
  /** Reads the weights on first use; targets that make nothing of zeros do not ask. */
  readonly sparsity: () => Sparsity;
  /** Where the zeros lie: slower than their number, likewise on first use. */
  readonly structure: () => ZeroStructure;
  /** How many bits the codes of an integer product make use of; reads the weights, likewise on first use. */
  readonly usedBits: () => UsedBits;
  /** Why something here is not known. */
  readonly unknown?: string | undefined;
}
