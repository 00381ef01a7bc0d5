import { describe, expect, it } from 'vitest';
import { randomStream } from '../../../../language/data/random';
import type { Graph } from '../../../../language/graph/graph';
import {
  adaround,
  leastErrorScales,
  nearest,
} from '../../../../language/passes/quantize/rounding/adaround';
import {
  convolutionWindow,
  productsOf,
} from '../../../../language/passes/quantize/rounding/patches';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { planStep } from '../../../../language/recipe/planning';
import { runSteps } from '../../../../language/recipe/run';
import { makeGraph, node, value, weight } from '../../../models';
import { stepsOf } from '../../recipe/subject';
import { sample, testDataset, testHost } from '../../runtime/host';
import { open } from '../subject';

const host = testHost();
const [rows, columns] = [48, 16];

/** Inputs that hang together, as those of real layers do. */
function layer() {
  const random = randomStream('adaround');
  const normal = () => random() + random() + random() + random() - 2;
  const directions = Array.from({ length: 8 * rows }, normal);
  const inputs = Array.from({ length: 600 }, () => {
    const strengths = Array.from({ length: 8 }, normal);
    return Float64Array.from({ length: rows }, (_, k) =>
      Math.max(
        0,
        strengths.reduce((sum, s, i) => sum + s * directions[i * rows + k]!, 0.3 * normal()),
      ),
    );
  });
  const gram = new Float64Array(rows * rows);
  for (const x of inputs)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < rows; j++) gram[i * rows + j]! += x[i]! * x[j]!;
  const weights = Float32Array.from({ length: rows * columns }, () => 0.1 * normal());
  return { inputs, gram, weights };
}

describe('AdaRound', () => {
  it('leaves far less error in the outputs than rounding to nearest, with codes next to the weights', () => {
    const { inputs, gram, weights } = layer();
    const shape = { rows, columns, weights, limit: 7 };
    const scales = leastErrorScales(shape);
    const errorOf = (codes: Int8Array) => {
      let error = 0;
      for (const x of inputs)
        for (let column = 0; column < columns; column++) {
          let difference = 0;
          for (let row = 0; row < rows; row++) {
            const at = row * columns + column;
            difference += x[row]! * (weights[at]! - codes[at]! * scales[column]!);
          }
          error += difference ** 2;
        }
      return error;
    };
    const plain = nearest(shape, scales);
    const learned = adaround({ ...shape, scales, gram, cross: gram }, 500);
    expect(errorOf(learned)).toBeLessThan(0.5 * errorOf(plain));
    learned.forEach((code, i) => {
      const real = weights[i]! / scales[i % columns]!;
      if (Math.abs(real) < 7) expect(Math.abs(code - real)).toBeLessThanOrEqual(1);
    });
  });

  it('makes up for what the layers before changed', () => {
    const { inputs, gram, weights } = layer();
    const shape = { rows, columns, weights, limit: 7 };
    const scales = leastErrorScales(shape);
    // x̂ = 1.05 x: the weights that come nearest are smaller.
    const cross = gram.map((product) => 1.05 * product);
    const changed = gram.map((product) => 1.05 ** 2 * product);
    const sumOf = (codes: Int8Array) =>
      inputs.reduce((sum, x) => {
        for (let row = 0; row < rows; row++)
          for (let column = 0; column < columns; column++) {
            const at = row * columns + column;
            sum += Math.sign(weights[at]!) * x[row]! * codes[at]! * scales[column]!;
          }
        return sum;
      }, 0);
    const aware = adaround({ ...shape, scales, gram: changed, cross }, 300);
    const unaware = adaround({ ...shape, scales, gram, cross: gram }, 300);
    expect(sumOf(aware)).toBeLessThan(0.98 * sumOf(unaware));
  });

  it('multiplies what a convolution multiplies', () => {
    const attributes = { group: 2, strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2] };
    const conv = makeGraph({
      inputs: [value('x')],
      outputs: [value('y')],
      nodes: [node('Conv', ['x', 'w'], ['y'], attributes, 'conv')],
      weights: [weight('w', [4, 2, 3, 2])],
    }).node('conv')!;
    const window = convolutionWindow(conv, [4, 2, 3, 2]);
    const data = Float32Array.from({ length: 2 * 4 * 5 * 6 }, (_, i) => Math.sin(i));
    const run = { dims: [2, 4, 5, 6], data };
    const places = window.over(run);
    expect(places.count).toBe(2 * 3 * 5); // (5 + 3 − 3) / 2 + 1, and (6 + 1 − 3) + 1
    const patch = [0, 1].flatMap((group) => [...places.row(15 + 5 + 2, group)]); // second sample, place 1, 2
    const at = (channel: number, y: number, x: number) =>
      y < 5 && x < 6 ? data[((4 + channel) * 5 + y) * 6 + x]! : 0;
    const expected = [0, 1, 2, 3].flatMap((channel) =>
      [1, 2, 3].flatMap((y) => [2, 4].map((x) => at(channel, y, x))),
    );
    expect(patch).toEqual(expected);
    const [first] = productsOf(window, [run], [run]);
    expect(first!.gram).toHaveLength(144);
    for (let i = 0; i < 12; i++) expect(first!.gram[i * 12 + i]).toBeGreaterThan(0);
  });

  it('beats the nearest codes of 4 bits on a real model', { timeout: 120_000 }, async () => {
    const base = open(sample('shapes-resnet.onnx'), { batch: 16 });
    const data = {
      dataset: testDataset('shapes-resnet.calibration.dataset.yaml'),
      folder: '.',
      samples: 32,
    };
    const signal = new AbortController().signal;
    const options = {
      data,
      sizes: { image: [16, 3, 32, 32] },
      signal,
      onProgress: () => undefined,
      runtimeEntry: host.entry,
    };
    const written = async (rounding: string): Promise<Graph> => {
      const steps = stepsOf({
        pass: 'quantize.adaround',
        at: '/layer1/layer1.0/**',
        rounding,
        iterations: 100,
        samples: 32,
      });
      const { outcomes } = await runSteps(
        base,
        steps,
        (prepared) => planStep(prepared, options),
        signal,
      );
      return outcomes[0]!.situation.graph;
    };
    const graphs = [await written('nearest'), await written('learned')];
    const [plain, learned] = await gatherEvidence(base, options).deviations(graphs);
    expect(learned!).toBeLessThan(0.7 * plain!);
    expect(learned!).toBeGreaterThan(0);
  });
});
