import { describe, expect, it } from 'vitest';
import type { NodeRecord, Shape } from '../../../../language/onnx/model';
import { tensorNumbers } from '../../../../language/onnx/tensor';
import int8 from '../../../../language/passes/quantize/int8';
import { makeGraph, node, value, weight } from '../../../models';
import { baseOf } from '../../recipe/subject';

interface Case {
  readonly what: string;
  readonly input: Shape;
  readonly layer: NodeRecord;
  readonly dims: readonly number[];
  readonly outputs: number;
  /** Which input channel of which output an element of the weight multiplies. */
  readonly place: (i: number) => { readonly input: number; readonly output: number };
}

const CASES: readonly Case[] = [
  {
    what: 'a Gemm',
    input: [2, 6],
    layer: node('Gemm', ['x', 'w'], ['y'], {}, 'layer'),
    dims: [6, 4],
    outputs: 4,
    place: (i) => ({ input: Math.floor(i / 4), output: i % 4 }),
  },
  {
    what: 'a Gemm stored the other way',
    input: [2, 6],
    layer: node('Gemm', ['x', 'w'], ['y'], { transB: 1 }, 'layer'),
    dims: [4, 6],
    outputs: 4,
    place: (i) => ({ input: i % 6, output: Math.floor(i / 6) }),
  },
  {
    what: 'a convolution in groups',
    input: [1, 6, 5, 5],
    layer: node('Conv', ['x', 'w'], ['y'], { group: 2 }, 'layer'),
    dims: [4, 3, 2, 2],
    outputs: 4,
    place: (i) => {
      const output = Math.floor(i / 12);
      return { input: (output < 2 ? 0 : 3) + (Math.floor(i / 4) % 3), output };
    },
  },
];

describe('bias correction', () => {
  it.each(CASES)(
    'of $what keeps the mean of every output',
    ({ input, layer, dims, outputs, place }) => {
      const graph = makeGraph({
        inputs: [value('x', input)],
        outputs: [value('y')],
        nodes: [layer],
        weights: [weight('w', dims)],
      });
      const original = tensorNumbers(graph.constant('w')!);
      const { facts } = baseOf(graph);
      const means = [3, -1, 0.5, 2, 4, -2];
      const request = {
        graph,
        facts,
        sites: [{ node: 'layer', entry: 0 }],
        parameters: int8.parameters.parse({ weights: 'per-tensor', biasCorrection: 'on' }),
      };
      const range = { min: -4, max: 4 };
      int8.rewrite(request, {
        ranges: { x: range, y: range },
        float: [],
        smoothings: [],
        means: { x: means },
      });
      const numbers = (name: string) => tensorNumbers(graph.constant(name)!);
      const [scale] = numbers('w_scale');
      const [biasScale] = numbers('layer_bias_scale');
      const error = new Float64Array(outputs);
      numbers('w_quantized').forEach((code, i) => {
        const { input: channel, output } = place(i);
        error[output]! += (code * scale! - original[i]!) * means[channel]!;
      });
      expect(Math.max(...error.map(Math.abs))).toBeGreaterThan(3 * biasScale!);
      numbers('layer_bias_quantized').forEach((code, output) =>
        expect(Math.abs(error[output]! + code * biasScale!)).toBeLessThan(biasScale!),
      );
    },
  );
});
