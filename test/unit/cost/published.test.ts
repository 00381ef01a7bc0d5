/** Estimates of well-known networks against latencies that others measured; the bars are those of the cost models' design. */
import { describe, expect, it } from 'vitest';
import { estimate, type EstimateOptions } from '../../../language/cost/estimate';
import type { TargetProfile } from '../../../language/cost/profile';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { shared } from '../../shared';
import { bundled, factsOf, rankCorrelation, readTable } from './subject';

type Row = Record<string, string>;
interface Pair {
  readonly network: string;
  readonly predicted: number;
  readonly measured: number;
}

const networks = new Map<string, { graph: Graph; facts: ReturnType<typeof factsOf> }>();

function latency(file: string, target: TargetProfile, options: EstimateOptions): number {
  let network = networks.get(file);
  if (!network) {
    const graph = Graph.of(readModelFile(shared('reference', 'nets', file)!));
    network = { graph, facts: factsOf(graph) };
    networks.set(file, network);
  }
  return estimate(network.graph, network.facts, target, options).total.latencyMs;
}

/** Rows of a table that belong to a network at hand, with what the target says of it. */
function compare(
  table: string,
  target: TargetProfile,
  isMeant: (row: Row) => boolean,
  options: EstimateOptions = {},
): Pair[] {
  const network = new Map(
    readTable(shared('reference', 'published', 'nets-of-rows.csv')!).map((row) => [
      `${row.file}|${row.model}|${row.input}`,
      row.net!,
    ]),
  );
  return readTable(shared('reference', 'published', table)!)
    .filter((row) => row.latency_ms && isMeant(row))
    .flatMap((row) => {
      const file = network.get(`${table}|${row.model}|${row.input}`);
      if (!file) return [];
      const predicted = latency(file, target, options);
      return [{ network: file, predicted, measured: Number(row.latency_ms) }];
    });
}

function judge(pairs: readonly Pair[]) {
  const errors = pairs.map(({ predicted, measured }) => Math.abs(predicted / measured - 1));
  return {
    rows: pairs.length,
    mean: errors.reduce((a, b) => a + b, 0) / errors.length,
    median: median(errors),
    rank: rankCorrelation(
      pairs.map(({ predicted }) => predicted),
      pairs.map(({ measured }) => measured),
    ),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

const isCpu = (precision: string) => (row: Row) =>
  row.unit === 'cpu' && row.precision === precision;
/** The dubious rows of one network are left out, as in the tables’ own notes. */
const isSingleThread = (board: string) => (row: Row) =>
  row.device!.includes(board) &&
  row.framework!.includes('single thread') &&
  !row.model!.startsWith('cf\\_inceptionv3');

describe.skipIf(!shared('reference', 'nets') || !shared('reference', 'published'))(
  'published latencies',
  () => {
    const pixel3 = bundled('mobile.pixel3-cpu');

    it('of a Pixel 3 CPU in floating point', () => {
      const {
        rows,
        mean,
        median: middle,
        rank,
      } = judge(compare('tflite_hosted_pixel3.csv', pixel3, isCpu('fp32')));
      expect(rows).toBeGreaterThanOrEqual(17);
      expect(mean).toBeLessThanOrEqual(0.03);
      expect(middle).toBeLessThanOrEqual(0.02);
      expect(rank).toBeGreaterThanOrEqual(0.99);
    });

    it('of a Pixel 3 CPU in int8', () => {
      const pairs = compare('tflite_hosted_pixel3.csv', pixel3, isCpu('int8'), { as: 'int8' });
      const { rows, mean, median: middle, rank } = judge(pairs);
      expect(rows).toBeGreaterThanOrEqual(13);
      expect(mean).toBeLessThanOrEqual(0.05);
      expect(middle).toBeLessThanOrEqual(0.05);
      expect(rank).toBeGreaterThanOrEqual(0.98);
    });

    it.each([
      [
        'GPU',
        'mobile.pixel3-gpu',
        (row: Row) => row.unit === 'gpu',
        {},
        { mean: 0.08, rank: 0.96 },
      ],
      [
        'NNAPI in int8',
        'mobile.pixel3-nnapi',
        (row: Row) => row.unit === 'npu' && row.precision === 'int8',
        { as: 'int8' },
        { mean: 0.06, rank: 0.98 },
      ],
    ] as const)('of a Pixel 3 %s', (_, id, isMeant, options, bars) => {
      const { rows, mean, rank } = judge(
        compare('tflite_hosted_pixel3.csv', bundled(id), isMeant, options),
      );
      expect(rows).toBeGreaterThanOrEqual(13);
      expect(mean).toBeLessThanOrEqual(bars.mean);
      expect(rank).toBeGreaterThanOrEqual(bars.rank);
    });

    it('of int8 against floating point on the same CPU', () => {
      const floating = new Map(
        compare('tflite_hosted_pixel3.csv', pixel3, isCpu('fp32')).map((pair) => [
          pair.network,
          pair,
        ]),
      );
      const ratios = compare('tflite_hosted_pixel3.csv', pixel3, isCpu('int8'), {
        as: 'int8',
      }).flatMap((int8) => {
        const fp32 = floating.get(int8.network);
        return fp32
          ? [
              {
                predicted: fp32.predicted / int8.predicted,
                measured: fp32.measured / int8.measured,
              },
            ]
          : [];
      });
      expect(ratios.length).toBeGreaterThanOrEqual(11);
      const near = ratios.filter(
        ({ predicted, measured }) => Math.abs(predicted / measured - 1) <= 0.25,
      );
      expect(near.length).toBe(ratios.length);
      expect(Math.max(...ratios.map(({ predicted }) => predicted))).toBeLessThan(2.3);
    });

    it.each([
      ['ZCU102', 'fpga.zcu102-dpu', { mean: 0.07, median: 0.04 }],
      ['ZCU104', 'fpga.zcu104-dpu', { mean: 0.07, median: 0.05 }],
      ['KV260', 'fpga.kv260-dpu', { mean: 0.1, median: 0.09 }],
    ] as const)('of a DPU on a %s, the clock alone changed', (board, id, bars) => {
      const {
        rows,
        mean,
        median: middle,
        rank,
      } = judge(compare('fpga_vitis_ai.csv', bundled(id), isSingleThread(board)));
      expect(rows).toBeGreaterThanOrEqual(35);
      expect(mean).toBeLessThanOrEqual(bars.mean);
      expect(middle).toBeLessThanOrEqual(bars.median);
      expect(rank).toBeGreaterThanOrEqual(0.98);
    });
  },
);
