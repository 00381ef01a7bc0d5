import { describe, expect, it } from 'vitest';
import { asicCost, fold, sramPjPerByte } from '../../../language/cost/asic';
import { totalMs } from '../../../language/cost/phases';
import type { SystolicProfile } from '../../../language/cost/profile';
import type { Workload } from '../../../language/cost/workload';
import { bundled, fixture, numbers, workloadOf } from './subject';

const profile = bundled('asic.systolic-32x32-ws');
const layer = (workload: Workload) => ({ op: 'Conv', workload });

const CONV = workloadOf({
  op: 'Conv',
  inputs: [{ shape: [1, 64, 28, 28] }, { shape: [128, 64, 3, 3], weight: true }],
  attributes: { pads: [1, 1, 1, 1] },
});

describe('folding on a systolic array', () => {
  it('equals SCALE-Sim on every product that it simulated', () => {
    const rows = fixture('scalesim.csv');
    expect(rows.length).toBeGreaterThan(700);
    for (const row of rows) {
      const { rows: arrayRows = 0, columns = 0, m = 0, n = 0, k = 0, ...want } = numbers(row);
      const dataflow = row.dataflow as SystolicProfile['array']['dataflow'];
      const array = { rows: arrayRows, columns, dataflow, clockMhz: 1 };
      const { cycles, sram, rowFolds, columnFolds } = fold({ count: 1, m, n, k }, array);
      // The tool counts the way of the last outputs out of the array twice.
      const twice = dataflow === 'os' ? rowFolds * columnFolds * (arrayRows + columns) : 0;
      expect({ ...row, cycles, ...sram, ofmap: sram.ofmap + twice }).toEqual({
        ...row,
        cycles: want.cycles,
        ifmap: want.ifmap,
        filter: want.filter,
        ofmap: want.ofmap,
      });
    }
  });

  it('is worked out by hand for one fold and for four', () => {
    const array = { rows: 4, columns: 4, clockMhz: 1 };
    const square = { count: 1, m: 4, n: 4, k: 4 };
    // Skewed in (3 cycles), 4 products each, skewed out (3): 10 cycles, the last of them number 9.
    expect(fold(square, { ...array, dataflow: 'os' }).cycles).toBe(9);
    // The same after four cycles of loading weights.
    expect(fold(square, { ...array, dataflow: 'ws' }).cycles).toBe(13);
    expect(fold({ ...square, n: 8, k: 8 }, { ...array, dataflow: 'ws' })).toMatchObject({
      cycles: 4 * 14 - 1,
      sram: { ifmap: 4 * 8 * 2, filter: 64, ofmap: 4 * 8 * 2 },
    });
  });

  it('takes groups as products of their own', () => {
    const depthwise = workloadOf({
      op: 'Conv',
      inputs: [{ shape: [1, 32, 16, 16] }, { shape: [32, 1, 3, 3], weight: true }],
      attributes: { group: 32, pads: [1, 1, 1, 1] },
    });
    const one = fold({ count: 1, m: 256, n: 1, k: 9 }, profile.array);
    expect(asicCost(layer(depthwise), profile)).toMatchObject({
      cycles: 32 * one.cycles,
      sramAccesses: { ifmap: 32 * 256 * 9, filter: 32 * 9, ofmap: 32 * 256 },
    });
  });
});

describe('memory around the array', () => {
  const latency = (change: Partial<SystolicProfile>) =>
    totalMs(asicCost(layer(CONV), { ...profile, ...change }).phases);
  const roomy = { ifmap: 4096, filter: 4096, ofmap: 4096 };

  it('never gets slower with more bandwidth or more memory', () => {
    const bandwidths = [0.5, 1, 2, 5, 10, 50, 1000].map((dramGbPerS) => latency({ dramGbPerS }));
    expect(bandwidths).toEqual([...bandwidths].sort((a, b) => b - a));
    expect(bandwidths[0]).toBeGreaterThan(bandwidths[5]!);
    const sizes = [1, 4, 16, 64, 256, 1024].map((kib) =>
      latency({ dramGbPerS: 1, sramKib: { ifmap: kib, filter: kib, ofmap: kib } }),
    );
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(sizes[0]).toBeGreaterThan(sizes[5]!);
  });

  it('takes the array’s cycles alone when operands fit and memory keeps up', () => {
    const cost = asicCost(layer(CONV), { ...profile, sramKib: roomy, dramGbPerS: 1e6 });
    const { cycles } = fold({ count: 1, m: 784, n: 128, k: 576 }, profile.array);
    expect(cost.cycles).toBe(cycles);
    expect(cost.phases[0]).toMatchObject({ bound: 'compute', ms: cycles / 800e3 });
    expect(totalMs(cost.phases)).toBeCloseTo(cycles / 800e3, 6);
  });

  it('reads operands that fit once, and says what bounds the layer', () => {
    const cost = asicCost(layer(CONV), { ...profile, sramKib: roomy, dramGbPerS: 0.1 });
    const [activations, weights] = cost.phases;
    expect(activations).toMatchObject({
      ms: ((64 + 128) * 784 * 4) / 1e5,
      bound: 'activation bandwidth',
    });
    expect(weights).toMatchObject({ ms: (128 * 576 * 4) / 1e5, bound: 'weight bandwidth' });
  });
});

describe('energy of the array', () => {
  const quiet: SystolicProfile = { ...profile, leakageMw: 0 };
  const parts = { sramPerByte: [{ kib: 1, pj: 0 }], dramPerByte: 0, op: 0 };
  const macsOnly: SystolicProfile = { ...quiet, energyPj: { ...quiet.energyPj, ...parts } };
  const energyPj = (workload: Workload, on = macsOnly) =>
    asicCost(layer(workload), on).energyMj! * 1e9;
  const macs = CONV.macs!;

  it('is one multiplication and one addition for each MAC, by their width', () => {
    expect(energyPj(CONV)).toBeCloseTo(macs * 4.6, 0);
    const typed = (inputType: Workload['inputType'], weightType: Workload['weightType']) => ({
      ...CONV,
      inputType,
      weightType,
    });
    expect(energyPj(typed('float16', 'float16'))).toBeCloseTo(macs * 1.5, 0);
    expect(energyPj(typed('uint8', 'int8'))).toBeCloseTo(macs * (0.2 + 0.1), 0);
    expect(energyPj(typed('uint8', 'int4'))).toBeCloseTo(macs * (0.1 + 0.1), 0);
    expect(energyPj(typed('float32', 'int8'))).toBeCloseTo(macs * 4.6, 0);
  });

  it('is saved by zeros where the array gates them, the cycles are not', () => {
    const sparse: Workload = {
      ...CONV,
      sparsity: () => ({ density: 0.25, estimated: true }),
    };
    expect(energyPj(sparse)).toBeCloseTo((macs * 4.6) / 4, 0);
    expect(asicCost(layer(sparse), quiet)).toMatchObject({
      estimated: true,
      cycles: asicCost(layer(CONV), quiet).cycles,
    });
    expect(energyPj(sparse, { ...macsOnly, zeroGating: false })).toBeCloseTo(macs * 4.6, 0);
  });

  it('finds the energy of a memory between two known sizes', () => {
    const table = [
      { kib: 8, pj: 1 },
      { kib: 32, pj: 4 },
    ];
    expect([1, 8, 16, 32, 99].map((kib) => sramPjPerByte(kib, table))).toEqual([1, 1, 2, 4, 4]);
  });
});
