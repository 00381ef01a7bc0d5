import { describe, expect, it } from 'vitest';
import { estimate } from '../../../language/cost/estimate';
import { withoutGain } from '../../../language/cost/gains';
import type { SystolicProfile, MobileProfile, TargetProfile } from '../../../language/cost/profile';
import { float32Tensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value } from '../../models';
import { bundled, factsOf } from './subject';

const [OUTPUTS, INPUTS] = [64, 64];

/** A 1×1 convolution whose weights are zero where the rule says so. */
function network(isZero: (output: number, input: number) => boolean = () => false, size = 28) {
  const weights = Array.from({ length: OUTPUTS * INPUTS }, (_, at) =>
    isZero(Math.floor(at / INPUTS), at % INPUTS) ? 0 : 0.5,
  );
  return makeGraph({
    inputs: [value('x', [1, INPUTS, size, size])],
    outputs: [value('y')],
    weights: [float32Tensor('w', weights, [OUTPUTS, INPUTS, 1, 1])],
    nodes: [node('Conv', ['x', 'w'], ['y'], {}, 'conv')],
  });
}

const costed = (graph: ReturnType<typeof network>, target: TargetProfile) => {
  const facts = factsOf(graph);
  return { graph, facts, cost: estimate(graph, facts, target) };
};
const reasons = (after: ReturnType<typeof network>, target: TargetProfile) =>
  withoutGain(costed(network(), target), costed(after, target), target);
const layerOf = (graph: ReturnType<typeof network>, target: TargetProfile) =>
  costed(graph, target).cost.layers[0]!;

const twoOfFour = (o: number, i: number) => (i + o) % 4 > 1;
const scattered = (o: number, i: number) => (o * 7 + i * 13 + ((o * i) % 5)) % 10 < 9;

const cpu = bundled('mobile.pixel3-cpu');
const sparseCpu: MobileProfile = {
  ...cpu,
  sparseKernels: [
    {
      patterns: ['unstructured', 'block', 'channel'],
      layers: ['pointwise'],
      precisions: ['fp32'],
      fromZeros: 0.8,
      costPerWeight: 2.5,
      fixedShare: 0.1,
    },
  ],
};
const array = bundled('asic.systolic-32x32-ws');
const sparseArray: SystolicProfile = {
  ...array,
  structuredSparsity: { of: [4], metadataBits: 2 },
};

describe('zeros', () => {
  it.each([
    ['mobile.pixel3-cpu', /unstructured.* has no sparse kernels/],
    ['fpga.zcu102-dpu', /multiplied like any other weight on the overlay/],
    ['asic.systolic-32x32-ws', /save the energy of a multiplication and not its cycle/],
    ['reram.isaac', /only rows and columns without any weight are left out/],
  ] as const)('gain no time on %s, and it says why', (id, reason) => {
    const found = reasons(network(scattered), bundled(id));
    expect(found).toHaveLength(1);
    expect(found[0]!.reason).toMatch(reason);
    expect(found[0]!.layers).toEqual(['conv']);
  });

  it('gain with kernels for them, where there are enough', () => {
    const dense = layerOf(network(), sparseCpu);
    const sparse = layerOf(network(scattered), sparseCpu);
    // What is kept at 2.5 times the cost, and a tenth of the dense time.
    const kept = Array.from({ length: OUTPUTS * INPUTS }, (_, at) =>
      scattered(Math.floor(at / INPUTS), at % INPUTS) ? 0 : 1,
    ).reduce<number>((a, b) => a + b, 0);
    const arithmetic = (layer: typeof dense) =>
      layer.terms.find(({ name }) => name === 'arithmetic')!.ms;
    expect(arithmetic(sparse) / arithmetic(dense)).toBeCloseTo(
      (2.5 * kept) / (OUTPUTS * INPUTS) + 0.1,
      9,
    );
    expect(sparse.mapping).toMatch(/leaves out zeros \(unstructured\)/);
    expect(reasons(network(scattered), sparseCpu)).toEqual([]);
    expect(reasons(network(twoOfFour), sparseCpu)[0]!.reason).toMatch(/2:4, 50 %.*too few/);
  });

  it('of two in four shorten the sum on an array that knows them', () => {
    expect(layerOf(network(twoOfFour), sparseArray).cycles).toBe(
      Math.ceil(layerOf(network(), array).cycles! / 2 - 1),
    );
    expect(layerOf(network(twoOfFour), array).cycles).toBe(layerOf(network(), array).cycles);
    expect(layerOf(network(scattered), sparseArray).cycles).toBe(layerOf(network(), array).cycles);
  });

  it('of whole rows and columns are left out of crossbars', () => {
    const isaac = bundled('reram.isaac');
    const crossbars = (isZero?: Parameters<typeof network>[0]) =>
      layerOf(network(isZero), { ...isaac, crossbar: { ...isaac.crossbar, rows: 16 } }).crossbars!;
    expect(crossbars((o) => o >= 16)).toBe(crossbars() / 4);
    expect(crossbars((_, i) => i % 2 === 1)).toBe(crossbars() / 2);
    expect(crossbars(scattered)).toBe(crossbars());
  });

  it('that were there before are nobody’s step', () => {
    const graph = network(scattered);
    expect(withoutGain(costed(graph, cpu), costed(graph, cpu), cpu)).toEqual([]);
  });
});

describe('fewer channels', () => {
  const slice = (outputs: number) =>
    makeGraph({
      inputs: [value('x', [1, INPUTS, 28, 28])],
      outputs: [value('y')],
      weights: [float32Tensor('w', new Array(outputs * INPUTS).fill(0.5), [outputs, INPUTS, 1, 1])],
      nodes: [node('Conv', ['x', 'w'], ['y'], {}, 'conv')],
    });

  it.each([
    ['asic.systolic-32x32-ws', /rounded up to folds of 32×32/],
    ['reram.isaac', /every output position takes the same reads/],
  ] as const)('inside one block of %s gain nothing', (id, reason) => {
    expect(reasons(slice(63), bundled(id))[0]?.reason).toMatch(reason);
  });
});
