import { describe, expect, it } from 'vitest';
import {
  bram18,
  buildable,
  cheapest,
  engineOf,
  foldedCycles,
  use,
  waysWithin,
  type Engine,
} from '../../../language/cost/dataflow';
import { budgetOf, designOf } from '../../../language/cost/dataflowDesign';
import { estimate } from '../../../language/cost/estimate';
import { atPrecision } from '../../../language/cost/precision';
import type { DataflowProfile } from '../../../language/cost/profile';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, constant, factsOf, workloadOf, type Case } from './subject';

const zcu104 = bundled('fpga.zcu104-dataflow');
const EVEN = { dsp: 1, lut: 1e-2, bram18: 1, uram: 1, trafficBytes: 1 };

const engine = (given: Case): Engine =>
  engineOf({ op: given.op, workload: atPrecision(workloadOf(given), 'int8') }, zcu104)!;
const x = (...shape: number[]) => ({ shape });
const w = (...shape: number[]) => ({ shape, weight: true as const });
const conv = engine({
  op: 'Conv',
  inputs: [x(1, 16, 14, 14), w(32, 16, 3, 3)],
  attributes: { pads: [1, 1, 1, 1] },
});

/** A value through codes of four bits. */
const narrowed = (from: string, to: string) => [
  node('QuantizeLinear', [from, 'scale', 'zero'], [`${to}_codes`]),
  node('DequantizeLinear', [`${to}_codes`, 'scale', 'zero'], [to]),
];
const parameter = (name: string) => node('DequantizeLinear', [`${name}_codes`, 'scale'], [name]);

/** VGG-10 for RadioML as FINN's examples build it, in int4: seven convolutions with pooling, three products. */
const RADIOML: ModelSpec = {
  inputs: [value('x', [1, 2, 1024, 1])],
  outputs: [value('scores')],
  weights: [
    ...Array.from({ length: 7 }, (_, i) =>
      constant(`k${i}_codes`, 'int4', [32, i === 0 ? 2 : 32, 3, 1]),
    ),
    constant('w0_codes', 'int4', [256, 128]),
    constant('w1_codes', 'int4', [128, 128]),
    constant('w2_codes', 'int4', [128, 24]),
    constant('zero', 'int4', [1], 0),
    weight('scale', []),
  ],
  nodes: [
    ...narrowed('x', 'p_0'),
    ...Array.from({ length: 7 }, (_, i) => [
      parameter(`k${i}`),
      node('Conv', [`p_${i}`, `k${i}`], [`c${i}`], { pads: [1, 0, 1, 0] }, `conv${i}`),
      node('MaxPool', [`c${i}`], [`p${i}`], { kernel_shape: [2, 1], strides: [2, 1] }, `pool${i}`),
      ...narrowed(`p${i}`, `p_${i + 1}`),
    ]).flat(),
    node('Flatten', ['p_7'], ['f_0']),
    ...Array.from({ length: 3 }, (_, i) => [
      parameter(`w${i}`),
      node('Gemm', [`f_${i}`, `w${i}`], [i === 2 ? 'scores' : `f${i}`], {}, `fc${i}`),
      ...(i === 2 ? [] : narrowed(`f${i}`, `f_${i + 1}`)),
    ]).flat(),
  ],
  opset: 21,
};

describe('an engine', () => {
  it('takes the cycles of FINN’s folding', () => {
    // 196 positions × 32/8 outputs × 144/9 inputs.
    expect(foldedCycles(conv, { pe: 8, simd: 9 })).toBe(196 * 4 * 16);
    // All at once: no faster than its input is read, a position per cycle.
    expect(foldedCycles(conv, { pe: 32, simd: 144 })).toBe(196);
    const depthwise = engine({
      op: 'Conv',
      inputs: [x(1, 16, 14, 14), w(16, 1, 3, 3)],
      attributes: { group: 16, pads: [1, 1, 1, 1] },
    });
    expect(foldedCycles(depthwise, { pe: 4, simd: 1 })).toBe(196 * 4 * 9);
    const product = engine({ op: 'Gemm', inputs: [x(1, 64), w(64, 10)] });
    expect(foldedCycles(product, { pe: 5, simd: 16 })).toBe(2 * 4);
  });

  // AMD UG573, table of simple dual port shapes.
  it.each([
    [16385, 1, 2],
    [8192, 2, 1],
    [4097, 4, 2],
    [2048, 9, 1],
    [1024, 18, 1],
    [513, 40, 3],
    [512, 36, 1],
    [100, 37, 2],
  ])('puts %i words of %i bits into %i halves of a block RAM', (words, width, halves) => {
    expect(bram18(words, width)).toBe(halves);
  });

  it('packs two products of bytes into a DSP slice, and four of int4', () => {
    const dsps = (bits: number) => {
      const narrow = { ...conv, weightBits: bits, inputBits: bits };
      const built = cheapest(waysWithin(buildable(narrow, zcu104), 196), { ...EVEN, lut: 1e6 })!;
      // All inputs and outputs at once; one requantiser for each output.
      expect(built).toMatchObject({ pe: 32, simd: 144, multipliers: 'DSP slices' });
      return built.use.dsp - 32;
    };
    expect(dsps(16)).toBe(32 * 144);
    expect(dsps(8)).toBe(16 * 144);
    expect(dsps(4)).toBe(8 * 144);
  });

  it('goes where resources are cheap', () => {
    const at = (prices: Partial<typeof EVEN>) =>
      cheapest(waysWithin(buildable(conv, zcu104), 20_000), { ...EVEN, ...prices })!;
    expect(at({ dsp: 1e3 }).multipliers).toBe('look-up tables');
    expect(at({ bram18: 1e3, lut: 10 }).memory).toBe('Ultra RAM');
    expect(at({ trafficBytes: 1e-9 }).memory).toBe('memory beside the device');
  });

  it('waits for the rows under its window, and for all of a vector', () => {
    // With a row of padding: a row and two positions.
    expect(conv.first).toBeCloseTo((14 + 2) / 196, 12);
    expect(conv.last).toBeCloseTo((14 + 2) / 196, 12);
    expect(conv.buffered).toBe(2 * 14 + 3);
    expect(engine({ op: 'Gemm', inputs: [x(1, 64), w(64, 10)] }).first).toBe(1);
    expect(engine({ op: 'GlobalAveragePool', inputs: [x(1, 8, 7, 7)] }).first).toBe(1);
  });
});

describe('a design', () => {
  const small: DataflowProfile = { ...zcu104, budget: { dsp: 60, lut: 20_000, bram: 20, uram: 0 } };

  it('has no engine slower than its interval and no resource beyond its budget', () => {
    for (const profile of [zcu104, small]) {
      const { built, total, intervalCycles, over } = designOf([conv, conv], use({}), profile);
      expect(over).toEqual([]);
      expect(Math.max(...built.map(({ cycles }) => cycles))).toBe(intervalCycles);
      const budget = budgetOf(profile, intervalCycles);
      for (const [name, count] of Object.entries(total))
        expect(count).toBeLessThanOrEqual(budget[name as keyof typeof budget]);
    }
  });

  it('is solved once for the same engines, and the same whatever was solved before', () => {
    const first = designOf([conv, conv], use({}), zcu104);
    const other = designOf([conv], use({}), zcu104);
    expect(designOf([conv, conv], use({}), zcu104)).toBe(first);
    expect(other.built).toHaveLength(1);
    expect(designOf([conv, conv], use({}), { ...zcu104 })).toEqual(first);
  });

  it('is slower on less, and as fast as possible with plenty', () => {
    const interval = (profile: DataflowProfile) =>
      designOf([conv, conv], use({}), profile).intervalCycles;
    const plenty = { ...zcu104, budget: { dsp: 1e5, lut: 1e8, bram: 1e4, uram: 0 } };
    expect(interval(plenty)).toBe(196);
    expect(interval(small)).toBeGreaterThan(4 * interval(zcu104));
  });

  it('names the resource and the layers of what does not fit, and what to do', () => {
    const graph = makeGraph(RADIOML);
    const tiny = { ...zcu104, budget: { dsp: 4, lut: 400, bram: 1, uram: 0 } };
    const { warnings, resources } = estimate(graph, factsOf(graph), tiny);
    expect(resources!.lut).toBeGreaterThan(400);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^The smallest design takes [\d,]+ LUT and 300 of fpga\.zcu104-dataflow can be used; most of it for fc0 \([\d,]+\), fc1 .* Narrow or prune/,
      ),
    );
  });
});

describe('a network on a dataflow design', () => {
  const graph = makeGraph(RADIOML);
  const found = estimate(graph, factsOf(graph), zcu104);

  it('reaches the published rate of VGG-10 on the ZCU104 within a tenth', () => {
    // FINN examples: some 230 000 frames/s at 250 MHz, where the folding allows one in 1,024 cycles.
    expect(found.pipeline!.intervalMs * 250e3).toBeCloseTo(1024, 6);
    expect(Math.abs(found.pipeline!.perSecond / 230e3 - 1)).toBeLessThan(0.1);
    expect(found.warnings).toEqual([]);
  });

  it('takes longer for one picture than from one to the next, and no longer than all engines in turn', () => {
    const inTurnMs = found.layers.reduce(
      (sum, { cycles }) => sum + ((cycles ?? 0) + 20) / 250e3,
      0,
    );
    expect(found.total.latencyMs).toBeGreaterThan(found.pipeline!.intervalMs);
    expect(found.total.latencyMs).toBeLessThan(inTurnMs);
  });

  it('says what makes a layer’s number', () => {
    const first = found.layers.find((layer) => layer.node === 'conv0')!;
    expect(first.mapping).toMatch(
      /^PE \d+ × SIMD \d+: 1,024 of the 1,024 cycles between pictures at 250 MHz \(100 %\), .* LUT.*; weights in .*, multiplied in /,
    );
    expect(first.terms.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(first.latencyMs!, 12);
    expect(first.resources!.lut).toBeGreaterThan(0);
  });

  it('counts branches that run side by side once', () => {
    const branches = makeGraph({
      inputs: [value('x', [1, 16, 8, 8])],
      outputs: [value('y')],
      weights: [weight('slow', [16, 16, 3, 3]), weight('quick', [16, 16, 1, 1])],
      nodes: [
        node('Conv', ['x', 'slow'], ['a'], { pads: [1, 1, 1, 1] }, 'long'),
        node('Conv', ['x', 'quick'], ['b'], {}, 'short'),
        node('Add', ['a', 'b'], ['y'], {}, 'sum'),
      ],
    });
    const { layers, total } = estimate(branches, factsOf(branches), zcu104);
    const hidden = layers.filter(({ bound }) => bound === 'hidden');
    expect(hidden.map(({ node: name, latencyMs }) => [name, latencyMs])).toEqual([['short', 0]]);
    expect(layers.reduce((sum, { latencyMs }) => sum + latencyMs!, 0)).toBeCloseTo(
      total.latencyMs,
      12,
    );
  });

  it('leaves to the processor beside it what has no engine, and says so', () => {
    const mixed = makeGraph({
      inputs: [value('x', [16, 16])],
      outputs: [value('y')],
      weights: [weight('w', [16, 16])],
      nodes: [
        node('MatMul', ['x', 'w'], ['a'], {}, 'product'),
        node('Softmax', ['a'], ['b'], {}, 'softmax'),
        node('MatMul', ['b', 'a'], ['y'], {}, 'scores'),
      ],
    });
    const { layers, warnings } = estimate(mixed, factsOf(mixed), zcu104);
    expect(layers.map(({ unsupported }) => unsupported)).toEqual([
      undefined,
      'fpga.zcu104-dataflow does not run Softmax',
      'fpga.zcu104-dataflow does not run MatMul of activations',
    ]);
    expect(warnings).toHaveLength(2);
  });
});
