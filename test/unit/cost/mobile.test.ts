import { describe, expect, it } from 'vitest';
import { mobileCost } from '../../../language/cost/mobile';
import { totalMs } from '../../../language/cost/phases';
import { atPrecision } from '../../../language/cost/precision';
import type { MobileProfile } from '../../../language/cost/profile';
import { bundled, workloadOf, type Case } from './subject';

const rates = {
  pointwiseGmacPerS: 30,
  spatialGmacPerS: 24,
  stridedGmacPerS: 20,
  shallowGmacPerS: 10,
  depthwiseGmacPerS: 4,
  weightGbPerS: 10,
  activationGbPerS: 5,
  gopPerS: 15,
  perKernelUs: 25,
};
const profile: MobileProfile = {
  ...bundled('mobile.pixel3-cpu'),
  precisions: { fp32: rates, int8: { ...rates, pointwiseGmacPerS: 80, perKernelUs: 5 } },
};
const { fp32, int8 } = profile.precisions;

const x = (...shape: number[]) => ({ shape });
const w = (...shape: number[]) => ({ shape, weight: true as const });
const start = fp32.perKernelUs / 1e3;

/** Time after the start, on fp32. */
const working = (given: Case): number =>
  totalMs(mobileCost({ op: given.op, workload: workloadOf(given) }, profile).phases) - start;

describe('mobile processor', () => {
  it.each<[string, Case, number]>([
    [
      '3×3 convolution',
      { op: 'Conv', inputs: [x(1, 64, 30, 30), w(64, 64, 3, 3)] },
      (28 * 28 * 64 * 576) / (fp32.spatialGmacPerS * 1e6),
    ],
    [
      '1×1 convolution',
      { op: 'Conv', inputs: [x(1, 64, 28, 28), w(128, 64, 1, 1)] },
      (784 * 128 * 64) / (fp32.pointwiseGmacPerS * 1e6),
    ],
    [
      'depthwise convolution',
      { op: 'Conv', inputs: [x(1, 64, 30, 30), w(64, 1, 3, 3)], attributes: { group: 64 } },
      (784 * 64 * 9) / (fp32.depthwiseGmacPerS * 1e6),
    ],
    [
      'groups of 32 channels, as wide as dense ones',
      { op: 'Conv', inputs: [x(1, 64, 30, 30), w(64, 32, 3, 3)], attributes: { group: 2 } },
      (784 * 64 * 288) / (fp32.spatialGmacPerS * 1e6),
    ],
    [
      'product with one row, bound by its weights',
      { op: 'Gemm', inputs: [x(1, 1024), w(1024, 1000)] },
      (1024 * 1000 * 4) / (fp32.weightGbPerS * 1e6),
    ],
    [
      'product with many rows, bound by arithmetic',
      { op: 'MatMul', inputs: [x(1, 197, 192), w(192, 768)] },
      (197 * 192 * 768) / (fp32.pointwiseGmacPerS * 1e6),
    ],
    [
      'addition, bound by its traffic',
      { op: 'Add', inputs: [x(1, 64, 28, 28), x(1, 64, 28, 28)] },
      (3 * 64 * 784 * 4) / (fp32.activationGbPerS * 1e6),
    ],
  ])('%s', (_, given, ms) => {
    expect(working(given)).toBeCloseTo(ms, 9);
  });

  it('runs codes on integer kernels, and narrow weights alone in floating point', () => {
    const conv = workloadOf({ op: 'Conv', inputs: [x(1, 64, 28, 28), w(128, 64, 1, 1)] });
    const quantised = mobileCost({ op: 'Conv', workload: atPrecision(conv, 'int8') }, profile);
    expect(quantised.mapping).toBe('int8 product of matrices');
    expect(quantised.phases[0]!.ms).toBeCloseTo(
      (784 * 128 * 64) / (int8!.pointwiseGmacPerS * 1e6),
      9,
    );
    const weightsOnly = mobileCost(
      { op: 'Conv', workload: { ...conv, weightType: 'int4' } },
      profile,
    );
    expect(weightsOnly.mapping).toBe('fp32 product of matrices');
  });

  it.each<[string, Case, number]>([
    [
      'with a stride',
      { op: 'Conv', inputs: [x(1, 64, 57, 57), w(64, 64, 3, 3)], attributes: { strides: [2, 2] } },
      (784 * 64 * 576) / 20e6,
    ],
    [
      'of a picture',
      { op: 'Conv', inputs: [x(1, 3, 30, 30), w(64, 3, 3, 3)] },
      (784 * 64 * 27) / 10e6,
    ],
  ])('has a rate of its own for a convolution %s', (_, given, ms) => {
    expect(working(given)).toBeCloseTo(ms, 9);
  });

  it('hides what the profile says it hides', () => {
    const given: Case = { op: 'Conv', inputs: [x(1, 64, 28, 28), w(128, 64, 1, 1)] };
    const layer = { op: given.op, workload: workloadOf(given) };
    const time = (overlap: MobileProfile['overlap'], perKernelUs: number) =>
      totalMs(
        mobileCost(layer, {
          ...profile,
          overlap,
          precisions: { fp32: { ...rates, perKernelUs, productGbPerS: 1 } },
        }).phases,
      );
    const arithmetic = (784 * 128 * 64) / 30e6;
    const memory = (784 * (64 + 128) * 4) / 1e6 + (128 * 64 * 4) / 10e6;
    expect(time('none', 25)).toBeCloseTo(arithmetic + memory + 0.025, 9);
    expect(time('memory', 25)).toBeCloseTo(Math.max(arithmetic, memory) + 0.025, 9);
    expect(time('launch', 25)).toBeCloseTo(arithmetic + memory, 9);
    expect(time('launch', 5000)).toBeCloseTo(5, 9);
  });

  it('hands what it cannot run to the processor beside it, and says why', () => {
    const softmax: Case = { op: 'Softmax', inputs: [x(1, 1000)] };
    const fallback = { operators: ['Softmax'], gmacPerS: 1, gopPerS: 1, gbPerS: 1, perCallUs: 200 };
    const cost = mobileCost(
      { op: 'Softmax', workload: workloadOf(softmax) },
      { ...profile, fallback },
    );
    expect(cost.unsupported).toBe('mobile.pixel3-cpu does not run Softmax');
    expect(totalMs(cost.phases)).toBeGreaterThan(0.2);
  });

  it('has no measured energy, and says so', () => {
    const relu = workloadOf({ op: 'Relu', inputs: [x(8)] });
    expect(mobileCost({ op: 'Relu', workload: relu }, profile).energyMj).toBeNull();
  });
});
