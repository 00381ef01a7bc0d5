import { describe, expect, it } from 'vitest';
import {
  accessesOf,
  blockedCost,
  blockOf,
  taskCycles,
  type Task,
} from '../../../language/cost/blocked';
import { estimate } from '../../../language/cost/estimate';
import { totalMs } from '../../../language/cost/phases';
import { atPrecision } from '../../../language/cost/precision';
import type { BlockedProfile } from '../../../language/cost/profile';
import { makeGraph, node, value, weight } from '../../models';
import { bundled, factsOf, fixture, numbers, workloadOf, type Case } from './subject';

const u55 = bundled('asic.ethos-u55-256');
const PROFILES: Readonly<Record<string, BlockedProfile>> = {
  'u55-128': bundled('asic.ethos-u55-128'),
  'u55-256': u55,
  'u65-512': bundled('asic.ethos-u65-512'),
};

/** A row of the table, which Vela's own functions made for layers that nets have. */
function taskOf(row: Record<string, string>): Task {
  const it = numbers(row);
  const extent = (height: string, width: string, depth: string) => ({
    height: it[height]!,
    width: it[width]!,
    depth: it[depth]!,
  });
  const [kernelHeight, kernelWidth, stride, dilation] = [
    it.kernelHeight!,
    it.kernelWidth!,
    it.stride!,
    it.dilation!,
  ];
  return {
    kind: row.kind as Task['kind'],
    work: row.work as Task['work'],
    output: extent('height', 'width', 'depth'),
    input: extent('inputHeight', 'inputWidth', 'inputDepth'),
    kernel: { height: kernelHeight, width: kernelWidth },
    span: {
      height: (kernelHeight - 1) * dilation + 1,
      width: (kernelWidth - 1) * dilation + 1,
    },
    stride: { height: stride, width: stride },
    operands: row.work === 'add' || row.work === 'multiply' ? 2 : 1,
    times: 1,
  };
}

describe('blocks and cycles', () => {
  it('equal Vela’s for every layer of the table', () => {
    const rows = fixture('vela.csv');
    expect(rows.length).toBeGreaterThan(120);
    for (const row of rows) {
      const profile = PROFILES[row.accelerator!]!;
      const task = taskOf(row);
      const block = blockOf(task, profile)!;
      const { height, width, depth } = block.output;
      const accesses = accessesOf(task, block);
      expect({
        row,
        block: [height, width, depth],
        cycles: Math.floor(taskCycles(task, block, profile)),
        ...accesses,
      }).toEqual({
        row,
        block: [row.blockHeight, row.blockWidth, row.blockDepth].map(Number),
        cycles: Number(row.cycles),
        inputBytes: Number(row.inputBytes),
        outputBytes: Number(row.outputBytes),
      });
    }
  });
});

describe('a layer on the unit', () => {
  const costOf = (given: Case, profile = u55) =>
    blockedCost({ op: given.op, workload: atPrecision(workloadOf(given), 'int8') }, profile);
  const x = (...shape: number[]) => ({ shape });
  const w = (...shape: number[]) => ({ shape, weight: true as const });
  const fc: Case = { op: 'Gemm', inputs: [x(1, 1024), w(1024, 1000)] };

  it('takes the longest of its units, SRAM and the memory of weights', () => {
    const bytes = 1024 * 1000 * u55.encodedBytesPerWeight;
    expect(costOf(fc).phases).toEqual([
      { name: 'weights', ms: bytes / 500e3, bound: 'weight bandwidth' },
    ]);
    const quick = { ...u55, storage: { ...u55.storage, bytesPerCycle: 1e6 } };
    const cost = costOf(fc, quick);
    expect(cost.phases.map(({ bound }) => bound)).toEqual(['compute']);
    expect(totalMs(cost.phases)).toBe(cost.cycles! / 500e3);
    expect(cost.mapping).toMatch(/^blocks of 1×1×\d+ outputs: [\d,]+ cycles$/);
  });

  it('runs groups one after another, and a softmax in passes', () => {
    const grouped = (group: number) =>
      costOf({
        op: 'Conv',
        inputs: [x(1, 64, 8, 8), w(64, 64 / group, 3, 3)],
        attributes: { group, pads: [1, 1, 1, 1] },
      }).cycles!;
    const half = costOf({
      op: 'Conv',
      inputs: [x(1, 32, 8, 8), w(32, 32, 3, 3)],
      attributes: { pads: [1, 1, 1, 1] },
    }).cycles!;
    expect(grouped(2)).toBe(2 * half);
    const [once, softmax] = ['Abs', 'Softmax'].map(
      (op) => costOf({ op, inputs: [x(1, 1000)] }).cycles!,
    );
    expect(softmax).toBe(6 * once!);
  });

  it.each<[string, Case]>([
    ['MatMul of activations', { op: 'MatMul', inputs: [x(4, 8), x(8, 4)] }],
    ['Sin', { op: 'Sin', inputs: [x(1, 8)] }],
    [
      'Add in int32: it multiplies bytes',
      {
        op: 'Add',
        inputs: [
          { shape: [1, 8], type: 'int32' },
          { shape: [1, 8], type: 'int32' },
        ],
      },
    ],
    ['Conv of 2 pictures at once', { op: 'Conv', inputs: [x(2, 8, 8, 8), w(8, 8, 3, 3)] }],
    [
      'Conv with a stride of 4',
      {
        op: 'Conv',
        inputs: [x(1, 3, 64, 64), w(8, 3, 11, 11)],
        attributes: { strides: [4, 4] },
      },
    ],
    ['Conv over 3 axes', { op: 'Conv', inputs: [x(1, 3, 8, 8, 8), w(8, 3, 3, 3, 3)] }],
  ])('leaves to the processor beside it: %s', (what, given) => {
    const cost = costOf(given);
    expect(cost.unsupported).toBe(`asic.ethos-u55-256 does not run ${what}`);
    expect(cost.phases.map(({ name }) => name)).toContain('host call');
  });

  it('says which layers of a network go beside it, and what to do', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 3, 64, 64])],
      outputs: [value('y')],
      weights: [weight('k', [8, 3, 11, 11])],
      nodes: [
        node('Conv', ['x', 'k'], ['a'], { strides: [4, 4] }, 'stem'),
        node('Relu', ['a'], ['y'], {}, 'relu'),
      ],
    });
    const { warnings, layers } = estimate(graph, factsOf(graph), u55);
    expect(warnings).toEqual([
      expect.stringMatching(
        /does not run Conv with a stride of 4: 1 layer runs .*\(target\.partition\)/,
      ),
    ]);
    expect(layers.every(({ energyMj, bound }) => bound === 'fused' || energyMj === null)).toBe(
      true,
    );
  });
});
