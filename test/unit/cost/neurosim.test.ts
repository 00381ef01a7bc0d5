/** VGG-8 at 8 and at 4 bits against DNN+NeuroSim 1.3: the constants of the profile are from the first alone. */
import { describe, expect, it } from 'vitest';
import { estimate } from '../../../language/cost/estimate';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, factsOf } from './subject';

/** Of its summary: 58.7334 and 31.6335 mm²; 1.35931 and 0.993021 ms; 47.0464 and 13.1474 µJ. */
const NEUROSIM = {
  8: { areaMm2: 58.7334, latencyMs: 1.35931, energyMj: 0.0470464 },
  4: { areaMm2: 31.6335, latencyMs: 0.993021, energyMj: 0.0131474 },
};

describe('NeuroSim', () => {
  const at = (bits: 8 | 4) => {
    const graph = makeGraph(vgg8());
    const profile = { ...bundled('reram.neurosim-22nm'), floatBits: bits };
    const { layers, areaMm2 = {} } = estimate(graph, factsOf(graph), profile);
    // Pooling is not counted in its table.
    const onCrossbars = layers.filter(({ crossbars }) => crossbars);
    return {
      areaMm2: Object.values(areaMm2).reduce((a, b) => a + b, 0),
      latencyMs: onCrossbars.reduce((sum, layer) => sum + layer.latencyMs!, 0),
      energyMj: onCrossbars.reduce((sum, layer) => sum + layer.energyMj!, 0),
    };
  };
  const eight = at(8);
  const four = at(4);

  it.each(['areaMm2', 'latencyMs', 'energyMj'] as const)('%s', (of) => {
    expect(Math.abs(eight[of] / NEUROSIM[8][of] - 1)).toBeLessThan(0.05);
    expect(Math.abs(four[of] / NEUROSIM[4][of] - 1)).toBeLessThan(0.12);
    const ratio = four[of] / eight[of] / (NEUROSIM[4][of] / NEUROSIM[8][of]);
    expect(Math.abs(ratio - 1)).toBeLessThan(0.15);
  });
});

function vgg8(): ModelSpec {
  const nodes: ModelSpec['nodes'][number][] = [];
  const weights: NonNullable<ModelSpec['weights']>[number][] = [];
  let last = 'x';
  const add = (
    op: string,
    name: string,
    attributes: Parameters<typeof node>[3],
    dims?: number[],
  ) => {
    if (dims) weights.push(weight(`${name}.w`, dims));
    nodes.push(node(op, dims ? [last, `${name}.w`] : [last], [name], attributes, name));
    last = name;
  };
  const channels = [3, 128, 128, 256, 256, 512, 512];
  for (let i = 1; i < channels.length; i++) {
    add('Conv', `conv${i}`, { pads: [1, 1, 1, 1] }, [channels[i]!, channels[i - 1]!, 3, 3]);
    if (i % 2 === 0) add('MaxPool', `pool${i}`, { kernel_shape: [2, 2], strides: [2, 2] });
  }
  add('Flatten', 'flat', {});
  add('Gemm', 'fc7', {}, [8192, 1024]);
  add('Gemm', 'fc8', {}, [1024, 10]);
  return { inputs: [value('x', [1, 3, 32, 32])], outputs: [value(last)], weights, nodes };
}
