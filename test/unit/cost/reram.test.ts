import { describe, expect, it } from 'vitest';
import { analogTime, mapWeights } from '../../../language/cost/crossbar';
import { reramCost } from '../../../language/cost/reram';
import type { Placement } from '../../../language/graph/placement';
import { totalMs } from '../../../language/cost/phases';
import type { ReramProfile } from '../../../language/cost/profile';
import { bundled, fixture, numbers, workloadOf } from './subject';

const isaac = bundled('reram.isaac');

/** MNSIM's default hardware: one-bit cells, whole kernels, positive and negative planes, stages one after another. */
const mnsimAnalog: ReramProfile['analog'] = {
  dacBits: 1,
  dacs: 128,
  dacNs: 3,
  readNs: 3.16,
  adcs: 128,
  adcNs: 8,
  pipelined: false,
};
const mnsimCrossbar: ReramProfile['crossbar'] = {
  rows: 256,
  columns: 256,
  cellBits: 1,
  polarity: 'differential',
  slices: 'apart',
  compaction: false,
  wholeKernels: true,
};

/** Columns of the table that are numbers. */
interface MnsimRow {
  readonly kernel: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly positions: number;
  readonly weightBits: number;
  readonly inputBits: number;
  readonly crossbarSize: number;
  readonly polarities: number;
  readonly dacBits: number;
  readonly adcs: number;
  readonly adcNs: number;
  readonly pes: number;
  readonly tiles: number;
  readonly activeRows: number;
  readonly activeColumns: number;
  readonly dacTotalNs: number;
  readonly crossbarTotalNs: number;
  readonly adcTotalNs: number;
}

describe('analog path', () => {
  it('takes the time of the published example', () => {
    const time = analogTime({ activeRows: 252, activeColumns: 256 }, 9, mnsimAnalog);
    expect(time).toMatchObject({ reads: 36, adcNs: 288, dacNs: 108 });
    expect(time.crossbarNs).toBeCloseTo(113.76, 9);
    expect(time.intervalNs).toBeCloseTo(288 + 108 + 113.76, 9);
  });

  it('takes the longest stage where stages overlap', () => {
    // 16 input bits, 100 ns to read and 128 conversions of 0.78 ns at the same time.
    expect(analogTime({ activeRows: 128, activeColumns: 128 }, 16, isaac.analog).intervalNs).toBe(
      1600,
    );
    expect(analogTime({ activeRows: 128, activeColumns: 128 }, 8, isaac.analog).intervalNs).toBe(
      800,
    );
  });

  it('equals MNSIM in elements, tiles and stages on every layer', () => {
    const rows = fixture('mnsim.csv');
    expect(rows.length).toBe(140);
    for (const row of rows) {
      const given = numbers(row) as unknown as MnsimRow;
      const isDifferential = given.polarities === 2;
      const crossbar: ReramProfile['crossbar'] = {
        ...mnsimCrossbar,
        rows: given.crossbarSize,
        columns: given.crossbarSize,
        polarity: isDifferential ? 'differential' : 'offset',
      };
      const area = given.kernel ** 2;
      const gemm = {
        count: 1,
        m: given.positions,
        n: given.outputChannels,
        k: given.inputChannels * area,
      };
      const mapping = mapWeights(gemm, { crossbar }, given.weightBits, area);
      const elements = mapping.crossbars / given.polarities;
      const { dacBits, adcs, adcNs } = given;
      const time = analogTime(mapping, given.inputBits, {
        ...mnsimAnalog,
        dacBits,
        dacNs: dacBits + 2,
        adcs,
        adcNs,
      });
      expect({
        row,
        pes: elements,
        tiles: Math.ceil(elements / 4),
        activeRows: mapping.activeRows,
        activeColumns: mapping.activeColumns,
        dacTotalNs: given.positions * time.dacNs,
      }).toEqual({
        row,
        pes: given.pes,
        tiles: given.tiles,
        activeRows: given.activeRows,
        activeColumns: given.activeColumns,
        dacTotalNs: given.dacTotalNs,
      });
      expect(given.positions * time.adcNs).toBeCloseTo(given.adcTotalNs, 3);
      // The tool adds the wires: 13 millionths.
      expect(given.crossbarTotalNs / (given.positions * time.crossbarNs)).toBeCloseTo(1, 4);
    }
  });
});

describe('mapping', () => {
  const map = (m: number, n: number, k: number, bits: number, count = 1) =>
    mapWeights({ count, m, n, k }, isaac, bits);

  it('slices weights into cells and spreads them over crossbars', () => {
    // 300 rows over arrays of 128; 40 outputs × 8 cells over 128 columns.
    expect(map(1, 40, 300, 16)).toMatchObject({
      slices: 8,
      rowBlocks: 3,
      columnBlocks: 3,
      crossbars: 9,
    });
    // Half the bits, half the columns.
    expect(map(1, 40, 300, 8)).toMatchObject({
      slices: 4,
      rowBlocks: 3,
      columnBlocks: 2,
      crossbars: 6,
    });
  });

  it('puts depthwise channels into one crossbar along its diagonal', () => {
    // 9 rows and 8 columns each: 14 by rows, 16 by columns.
    expect(map(196, 1, 9, 16, 64)).toMatchObject({
      activeRows: 126,
      activeColumns: 112,
      crossbars: Math.ceil(64 / 14),
    });
  });

  it('doubles crossbars for two polarities, which take the sign', () => {
    const differential = {
      ...isaac,
      crossbar: { ...isaac.crossbar, polarity: 'differential' as const },
    };
    expect(mapWeights({ count: 1, m: 1, n: 128, k: 128 }, differential, 9)).toMatchObject({
      slices: 4,
      crossbars: 2 * 4,
    });
  });
});

describe('signs', () => {
  const as = (polarity: ReramProfile['crossbar']['polarity']) => ({
    ...isaac,
    crossbar: { ...isaac.crossbar, polarity },
  });
  const gemm = { count: 1, m: 1, n: 16, k: 128 };

  it('take a bit of every weight, two columns, or two crossbars', () => {
    // 16 outputs of 8 bits: 4 cells each with an offset, 4 for 7 bits of either sign.
    expect(mapWeights(gemm, as('offset'), 8)).toMatchObject({ activeColumns: 64, crossbars: 1 });
    expect(mapWeights(gemm, as('two-column'), 8)).toMatchObject({
      activeColumns: 128,
      crossbars: 1,
    });
    expect(mapWeights(gemm, as('differential'), 8)).toMatchObject({
      activeColumns: 64,
      crossbars: 2,
    });
    // 64 outputs of 9 bits: 5 cells with an offset, 4 for either sign.
    const wide = { ...gemm, n: 64 };
    const crossbars = (['offset', 'two-column', 'differential'] as const).map(
      (polarity) => mapWeights(wide, as(polarity), 9).crossbars,
    );
    expect(crossbars).toEqual([3, 4, 4]);
  });

  it('lie as a step has laid them, with so many copies', () => {
    const conv = workloadOf({
      op: 'Conv',
      inputs: [{ shape: [1, 64, 16, 16] }, { shape: [128, 64, 3, 3], weight: true }],
      attributes: { pads: [1, 1, 1, 1] },
    });
    const cost = (placement: Placement) =>
      reramCost({ op: 'Conv', workload: { ...conv, placement } }, isaac);
    // 5 blocks of rows; 128 outputs × 15 cells of one bit, in two crossbars.
    const laid = cost({ cellBits: 1, polarity: 'differential', copies: 4 });
    expect(laid.crossbars).toBe(4 * 2 * 5 * 15);
    expect(laid.mapping).toContain('4 copies');
    // Cells hold no more than they do.
    expect(cost({ cellBits: 4, polarity: 'offset', copies: 1 }).crossbars).toBe(40);
  });
});

describe('a layer on crossbars', () => {
  const conv = workloadOf({
    op: 'Conv',
    inputs: [{ shape: [1, 64, 16, 16] }, { shape: [128, 64, 3, 3], weight: true }],
    attributes: { pads: [1, 1, 1, 1] },
  });
  const fast = { ...isaac, tile: { ...isaac.tile, bufferGbPerS: 1e9, linkGbPerS: 1e9 } };

  it('takes a step per output position after the pipeline has filled', () => {
    const cost = reramCost({ op: 'Conv', workload: conv }, fast);
    // 576 rows: 5 blocks; 128 × 8 columns: 8 blocks. 256 positions of 16 reads, 22 stages of one read.
    expect(cost).toMatchObject({ crossbars: 40, tiles: 1 });
    expect(totalMs(cost.phases)).toBeCloseTo((256 * 1600 + 22 * 100) * 1e-6, 12);
  });

  it('makes copies where there are more positions than steps allowed', () => {
    const cost = reramCost({ op: 'Conv', workload: conv }, { ...fast, stepsPerLayer: 64 });
    expect(cost).toMatchObject({ crossbars: 160, tiles: 2 });
    expect(totalMs(cost.phases)).toBeCloseTo((64 * 1600 + 2200) * 1e-6, 12);
  });

  it('spends most of its energy on conversions', () => {
    const energy = (change: Partial<ReramProfile['energyPj']>) =>
      reramCost(
        { op: 'Conv', workload: conv },
        { ...isaac, energyPj: { ...isaac.energyPj, ...change } },
      ).energyMj!;
    const nothing = {
      adc: 0,
      dacRow: 0,
      shiftAdd: 0,
      crossbarRead: 0,
      bufferPerBit: 0,
      linkPerBit: 0,
      op: 0,
    };
    // 256 positions × 16 reads × 5 blocks of rows × (1024 columns + one of the offset in each of 8 blocks).
    expect(energy({ ...nothing, adc: 1 }) * 1e9).toBeCloseTo(256 * 16 * 5 * (1024 + 8), 3);
    // 576 rows driven in each of 8 blocks of columns.
    expect(energy({ ...nothing, dacRow: 1 }) * 1e9).toBeCloseTo(256 * 16 * 576 * 8, 3);
    // 36 of 40 crossbars' worth of cells.
    expect(energy({ ...nothing, crossbarRead: 1 }) * 1e9).toBeCloseTo(256 * 16 * 36, 3);
    expect(energy({ adc: 0 })).toBeLessThan(0.6 * energy({}));
  });

  it('saves reads of zero weights only where zeros draw no current', () => {
    const sparse = {
      ...conv,
      sparsity: () => ({ density: 0.5, estimated: false }),
    };
    const differential = {
      ...isaac,
      crossbar: { ...isaac.crossbar, polarity: 'differential' as const },
    };
    const energy = (workload: typeof conv, on: ReramProfile) =>
      reramCost({ op: 'Conv', workload }, on).energyMj!;
    expect(energy(sparse, isaac)).toBe(energy(conv, isaac));
    expect(energy(sparse, differential)).toBeLessThan(energy(conv, differential));
  });

  it('does products of two activations in digital units', () => {
    const scores = workloadOf({
      op: 'MatMul',
      inputs: [{ shape: [4, 16, 32] }, { shape: [4, 32, 16] }],
    });
    const cost = reramCost({ op: 'MatMul', workload: scores }, isaac);
    expect(cost).toMatchObject({ crossbars: 0, tiles: 0 });
    expect(cost.phases[0]).toMatchObject({ name: 'digital units', ms: scores.macs! / 32e6 });
  });
});
