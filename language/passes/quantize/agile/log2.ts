/**
 * Attention weights as powers of two: q = clip(round(−log2 p), 0, 15) and p̂ = 2^−q, 0 where round(−log2 p) is 16 or more. Shen
 * et al.: Agile-Quant. AAAI 2024, logarithmic quantisation of softmax.
 */
import type { Graph, Node } from '../../../graph/graph';
import { floatBytes, Inserter } from '../../inserter';

const FLOAT32 = 1;
const LEVELS = 16;
/** 1 where the smallest attention weight that is not nothing, 2^−15, is 1. */
export const LARGEST_POWER = 2 ** (LEVELS - 1);

/** Lets the readers of a Softmax see its result in 4 bits. */
export function quantiseSoftmax(graph: Graph, softmax: Node): void {
  const inserter = new Inserter(graph);
  const output = softmax.outputs[0]!;
  const plain = graph.freshValue(`${output}/plain`);
  const near = graph.renameOutput(softmax.id, output, plain);
  const insert = (op: string, inputs: readonly string[], part: string) =>
    inserter.insert(op, inputs, graph.freshValue(`${output}/${part}`), near);
  const number = (name: string, value: number) =>
    inserter.constant(`${output}/${name}`, 'float32', [], () => floatBytes([value]));
  const bits = insert(
    'Mul',
    [insert('Log', [plain], 'log'), number('per_bit', -1 / Math.LN2)],
    'bits',
  );
  const code = insert('Round', [bits], 'code');
  const power = insert(
    'Exp',
    [insert('Mul', [code, number('bit', -Math.LN2)], 'exponent')],
    'power',
  );
  const isKept = insert('Less', [code, number('levels', LEVELS)], 'is_kept');
  const kept = inserter.insert('Cast', [isKept], graph.freshValue(`${output}/kept`), near, {
    attributes: { to: { kind: 'int', value: FLOAT32 } },
  });
  inserter.insert('Mul', [power, kept], output, near);
}
