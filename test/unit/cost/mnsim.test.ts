/** Whole networks against MNSIM 2.0, whose results for seven configurations are in the fixtures. */
import { describe, expect, it } from 'vitest';
import { estimate } from '../../../language/cost/estimate';
import { meshDistances, tilePosition } from '../../../language/cost/mesh';
import type { ReramProfile } from '../../../language/cost/profile';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, factsOf, fixture, numbers } from './subject';

const mnsim = bundled('reram.mnsim');

/** What each configuration changes, in the units of a profile. */
const { analog, crossbar, energyPj } = mnsim;
const areaUm2 = mnsim.areaUm2!;
const stages = mnsim.stages!;
const CONFIGURATIONS: Record<string, Partial<ReramProfile>> = {
  default_x256_adc6b_w8a9: {},
  x128_adc6b_w8a9: {
    crossbar: { ...crossbar, rows: 128, columns: 128 },
    // The same current per cell.
    energyPj: { ...energyPj, crossbarRead: energyPj.crossbarRead / 4 },
  },
  // Another converter: eight bits in ten samples at 1.28 GS/s, 2 mW, 1200 µm².
  x256_isaac8b_w8a9: {
    analog: { ...analog, adcNs: 10 / 1.28 },
    stages: { ...stages, adcBits: 8 },
    energyPj: { ...energyPj, adc: (2 * 10) / 1.28 },
    areaUm2: { ...areaUm2, adc: 1200 },
  },
  x256_adc6b_w4a4: { floatBits: 5 },
  // Two bits in four samples at 1 GS/s, 7.8 µW, twice the area; inputs of eight bits.
  x256_adc6b_dac2_w8a8: {
    floatInputBits: 8,
    analog: { ...analog, dacBits: 2, dacNs: 4 },
    energyPj: { ...energyPj, dacRow: 7.8e-3 * 4 },
    areaUm2: { ...areaUm2, dac: 2 * areaUm2.dac },
  },
  x256_adcshare32_w8a9: { analog: { ...analog, adcs: 32 } },
  x256_1pol_w8a9: {
    crossbar: { ...crossbar, polarity: 'offset' },
    tile: { ...mnsim.tile, crossbars: 4 },
  },
};

const rows = fixture('mnsim-networks.csv');
const totals = fixture('mnsim-totals.csv');

describe('tiles on a mesh', () => {
  it('fills squares one inside the other', () => {
    const places = Array.from({ length: 10 }, (_, tile) => tilePosition(tile));
    expect(places.map(({ row, column }) => `${row}${column}`).join(' ')).toBe(
      '00 01 11 10 20 21 22 12 02 03',
    );
  });

  it('gathers where the way inside and the way on are shortest together', () => {
    // Tiles 00 01 | 11 10 20: from 01 it is one step inside and three to 20; from 00 one and two.
    expect(
      meshDistances([
        { tiles: 2, next: [1] },
        { tiles: 3, next: [] },
      ])[0],
    ).toEqual({
      inside: 1,
      onward: 2,
    });
  });
});

describe.each(totals)('$net, $config', (total) => {
  const profile = { ...mnsim, ...CONFIGURATIONS[total.config!] };
  const layers = rows.filter((row) => row.net === total.net && row.config === total.config);
  const graph = makeGraph(networkOf(layers));
  const result = estimate(graph, factsOf(graph), profile);
  const given = numbers(total);

  it('takes as many tiles and elements', () => {
    const sum = (of: 'tiles' | 'crossbars') =>
      result.layers.reduce((all, layer) => all + (layer[of] ?? 0), 0);
    expect(sum('tiles')).toBe(given.tiles);
    const polarities = profile.crossbar.polarity === 'differential' ? 2 : 1;
    const pooling = layers.filter(({ type }) => type === 'pooling').length;
    expect(sum('crossbars') / polarities + pooling).toBe(given.elements);
  });

  it('takes the time, layer by layer and in all', () => {
    layers.forEach((row, at) => {
      const own = result.layers.find(({ node: id }) => id === `layer${at}`)!;
      expect((own.latencyMs! * 1e6) / Number(row.latencyNs)).toBeCloseTo(1, 4);
    });
    expect((result.total.latencyMs * 1e6) / given.latencyNs!).toBeCloseTo(1, 4);
  });

  it('takes the time of all layers at once', () => {
    const { latencyMs, intervalMs } = result.pipeline!;
    expect(Math.abs((latencyMs * 1e6) / given.pipelinedNs! - 1)).toBeLessThan(0.0006);
    expect(intervalMs).toBeLessThan(latencyMs);
  });

  it('takes the energy, by component', () => {
    const parts = result.energyPartsMj!;
    const ratio = (part: string, nj: number) => (parts[part]! * 1e6) / nj;
    expect(ratio('adc', given.adcNj!)).toBeCloseTo(1, 3);
    expect(ratio('dac', given.dacNj!)).toBeCloseTo(1, 3);
    expect(ratio('crossbars', given.crossbarNj!)).toBeCloseTo(1, 3);
    expect(Math.abs(ratio('buffers', given.bufferNj!) - 1)).toBeLessThan(0.005);
    // Registers and selectors are a thousandth of the energy, and counted by one constant.
    expect(given.digitalNj! / given.energyNj!).toBeLessThan(0.006);
    expect(Math.abs((result.total.energyMj! * 1e6) / given.energyNj! - 1)).toBeLessThan(0.005);
  });

  it('takes the area, by component', () => {
    const area = result.areaMm2!;
    const ratio = (part: string, um2: number) => (area[part]! * 1e6) / um2;
    expect(ratio('crossbars', given.crossbarUm2!)).toBeCloseTo(1, 4);
    expect(ratio('adc', given.adcUm2!)).toBeCloseTo(1, 4);
    expect(ratio('dac', given.dacUm2!)).toBeCloseTo(1, 4);
    expect(ratio('buffers', given.bufferUm2!)).toBeCloseTo(1, 4);
    const all = Object.values(area).reduce((a, b) => a + b, 0);
    expect(Math.abs((all * 1e6) / given.areaUm2! - 1)).toBeLessThan(0.001);
  });
});

function networkOf(layers: readonly Record<string, string>[]): ModelSpec {
  const first = numbers(layers[0]!);
  const nodes: ModelSpec['nodes'][number][] = [];
  const weights: NonNullable<ModelSpec['weights']>[number][] = [];
  let last = 'x';
  layers.forEach((row, at) => {
    const it = numbers(row);
    const out = `y${at}`;
    const pad = Math.round(((it.outputSize! - 1) * it.stride! + it.kernel! - it.inputSize!) / 2);
    const pads = [pad, pad, pad, pad];
    const strides = [it.stride!, it.stride!];
    if (row.type === 'conv') {
      weights.push(
        weight(`w${at}`, [it.outputChannels!, it.inputChannels!, it.kernel!, it.kernel!]),
      );
      nodes.push(node('Conv', [last, `w${at}`], [out], { pads, strides }, `layer${at}`));
    } else if (row.type === 'pooling') {
      const kernel_shape = [it.kernel!, it.kernel!];
      nodes.push(node('MaxPool', [last], [out], { pads, strides, kernel_shape }, `layer${at}`));
    } else {
      if (layers[at - 1]!.type !== 'fc') {
        nodes.push(node('Flatten', [last], [`flat${at}`], {}, `flatten${at}`));
        last = `flat${at}`;
      }
      weights.push(weight(`w${at}`, [it.inputChannels!, it.outputChannels!]));
      nodes.push(node('Gemm', [last, `w${at}`], [out], {}, `layer${at}`));
    }
    last = out;
  });
  return {
    inputs: [value('x', [1, first.inputChannels!, first.inputSize!, first.inputSize!])],
    outputs: [value(last)],
    weights,
    nodes,
  };
}
