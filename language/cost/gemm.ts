/** Convolutions and products of stacks as plain products of matrices, the form that arrays and crossbars take. */
import { product } from './operators/operator';
import type { Workload } from './workload';

/** `count` products of M×K by K×N, one after another: M output pixels, N filters, K taps of a window. */
export interface Gemm {
  readonly count: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The products of a layer, if it has any; groups of a convolution are products of their own. */
export function gemmOf({ conv, matmul, macs }: Workload): Gemm | undefined {
  if (!macs) return undefined;
  if (matmul) return { count: matmul.batch, m: matmul.m, n: matmul.n, k: matmul.k };
  if (!conv) return undefined;
  const taps = product(conv.kernel);
  const inputs = conv.inputChannels / conv.groups;
  const outputs = conv.outputChannels / conv.groups;
  const pixels = conv.batch * product(conv.transposed ? conv.input : conv.output);
  return conv.transposed
    ? { count: conv.groups, m: pixels, n: outputs * taps, k: inputs }
    : { count: conv.groups, m: pixels, n: outputs, k: inputs * taps };
}
