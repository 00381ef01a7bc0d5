import { describe, expect, it } from 'vitest';
import { estimate } from '../../../language/cost/estimate';
import { fpgaCost } from '../../../language/cost/fpga';
import { totalMs, type Layer } from '../../../language/cost/phases';
import { atPrecision } from '../../../language/cost/precision';
import { makeGraph, node, value } from '../../models';
import { bundled, factsOf, workloadOf, type Case } from './subject';

const profile = bundled('fpga.zcu102-dpu');
const { overlay } = profile;
const cyclesPerMs = profile.clockMhz * 1e3;

/** As the overlay runs it, in bytes. */
const layerOf = (given: Case): Layer => ({
  op: given.op,
  workload: atPrecision(workloadOf(given), 'int8'),
});
const cyclesOf = (given: Case): number => {
  const roomy = {
    ...overlay,
    perLayerCycles: 0,
    activationBytesPerCycle: 1e12,
    weightBytesPerCycle: 1e12,
  };
  return totalMs(fpgaCost(layerOf(given), { ...profile, overlay: roomy }).phases) * cyclesPerMs;
};

const x = (...shape: number[]) => ({ shape });
const w = (...shape: number[]) => ({ shape, weight: true as const });
const same = { pads: [1, 1, 1, 1] };

describe('overlay', () => {
  it.each<[string, Case, number]>([
    // Rows × blocks of 8 columns × blocks of 16 channels in × blocks of 16 out × taps.
    [
      'convolution',
      { op: 'Conv', inputs: [x(1, 64, 28, 28), w(100, 64, 3, 3)], attributes: same },
      28 * 4 * 4 * 7 * 9,
    ],
    [
      'first convolution, three of sixteen lanes busy',
      { op: 'Conv', inputs: [x(1, 3, 32, 32), w(16, 3, 3, 3)], attributes: same },
      32 * 4 * 1 * 1 * 9,
    ],
    // Rows × blocks of 4 columns × blocks of 16 channels × taps.
    [
      'depthwise convolution',
      {
        op: 'Conv',
        inputs: [x(1, 40, 14, 14), w(40, 1, 3, 3)],
        attributes: { ...same, group: 40 },
      },
      14 * 4 * 3 * 9,
    ],
    [
      'grouped convolution',
      { op: 'Conv', inputs: [x(1, 64, 14, 14), w(64, 32, 1, 1)], attributes: { group: 2 } },
      2 * 14 * 2 * 2 * 2,
    ],
    [
      'transposed convolution, over its input',
      {
        op: 'ConvTranspose',
        inputs: [x(1, 16, 8, 8), w(16, 16, 2, 2)],
        attributes: { strides: [2, 2] },
      },
      8 * 1 * 1 * 1 * 4,
    ],
    ['fully connected layer', { op: 'Gemm', inputs: [x(1, 512), w(512, 1000)] }, 32 * 63],
    [
      'addition, 64 elements at a time',
      { op: 'Add', inputs: [x(1, 64, 14, 14), x(1, 64, 14, 14)] },
      (64 * 196) / 64,
    ],
    [
      'pooling, 256 window elements at a time',
      {
        op: 'MaxPool',
        inputs: [x(1, 64, 16, 16)],
        attributes: { kernel_shape: [2, 2], strides: [2, 2] },
      },
      (64 * 64 * 4) / 256,
    ],
    [
      'global pooling, 64 inputs at a time',
      { op: 'GlobalAveragePool', inputs: [x(1, 64, 7, 7)] },
      (64 * 49) / 64,
    ],
    [
      'mean over the whole picture, likewise',
      { op: 'ReduceMean', inputs: [x(1, 64, 7, 7)], attributes: { axes: [2, 3], keepdims: 0 } },
      (64 * 49) / 64,
    ],
  ])('%s', (_, given, cycles) => {
    expect(cyclesOf(given)).toBeCloseTo(cycles, 6);
  });

  it('takes the longer of cycles and traffic, and a fixed start', () => {
    const given: Case = { op: 'Gemm', inputs: [x(1, 512), w(512, 1024)] };
    const { phases } = fpgaCost(layerOf(given), profile);
    expect(phases.map(({ name, bound }) => [name, bound])).toEqual([
      ['activations', 'activation bandwidth'],
      ['weights', 'weight bandwidth'],
      ['layer start', 'overhead'],
    ]);
    const bytes = (512 + 1024) / 32.7 + (512 * 1024) / 22.4;
    expect(totalMs(phases)).toBeCloseTo((bytes + 5706) / cyclesPerMs, 9);
  });

  it('reaches its peak on a layer that fills it', () => {
    const given: Case = {
      op: 'Conv',
      inputs: [x(1, 128, 128, 128), w(256, 128, 3, 3)],
      attributes: same,
    };
    const cost = fpgaCost(layerOf(given), profile);
    const peak = 8 * 16 * 16 * cyclesPerMs;
    expect(cost.peakMacsPerMs).toBe(peak);
    expect(layerOf(given).workload.macs! / (totalMs(cost.phases) * peak)).toBeGreaterThan(0.99);
  });

  it('gives concatenation away, and what it cannot run to the processor beside it', () => {
    expect(
      fpgaCost(
        layerOf({ op: 'Concat', inputs: [x(1, 8), x(1, 8)], attributes: { axis: 1 } }),
        profile,
      ).phases,
    ).toEqual([]);
    const scores: Case = { op: 'MatMul', inputs: [x(4, 16, 32), x(4, 32, 16)] };
    const softmax: Case = { op: 'Softmax', inputs: [x(4, 16, 16)] };
    for (const given of [scores, softmax])
      expect(fpgaCost(layerOf(given), profile).phases.map(({ name }) => name)).toContain(
        'host call',
      );
  });

  it('names operators that it lacks, how many layers they are, and what to do', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 8])],
      outputs: [value('y')],
      nodes: [
        node('Sin', ['x'], ['a'], {}, 'first'),
        node('Sin', ['a'], ['b'], {}, 'second'),
        node('Relu', ['b'], ['y'], {}, 'relu'),
      ],
    });
    const { layers, warnings } = estimate(graph, factsOf(graph), profile);
    expect(layers.map(({ unsupported }) => unsupported)).toEqual([
      'fpga.zcu102-dpu does not run Sin',
      'fpga.zcu102-dpu does not run Sin',
      undefined,
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^fpga\.zcu102-dpu does not run Sin: 2 layers run on the processor beside it\. Replace the operator \(target\.legalize\), or assign them/,
      ),
    ]);
  });

  it('says when a design takes more than the device has', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 8])],
      outputs: [value('y')],
      nodes: [node('Relu', ['x'], ['y'])],
    });
    const crowded = { ...profile, overlay: { ...overlay, cores: 4 } };
    const { resources, warnings } = estimate(graph, factsOf(graph), crowded);
    expect(resources!.dsp).toBe(4 * 710);
    expect(warnings[0]).toBe('The overlay takes 2840 DSP and the device has 2520');
  });
});
