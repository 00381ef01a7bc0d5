/** Every model at hand can be costed; MACs agree with what others counted. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LayerCost } from '../../../language/cost/cost';
import { counts } from '../../../language/cost/counts';
import { estimate } from '../../../language/cost/estimate';
import { workloads } from '../../../language/cost/workloads';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { shared } from '../../shared';
import { bundled, factsOf, readTable } from './subject';

const TARGETS = [
  bundled('mobile.pixel3-cpu'),
  bundled('fpga.zcu102-dpu'),
  bundled('asic.systolic-32x32-ws'),
  bundled('reram.isaac'),
];

interface Fact {
  readonly macs?: number | null;
  readonly runs: boolean;
  readonly ran_with?: Record<string, number[]>;
}

const load = (file: string) => Graph.of(readModelFile(file));

function modelsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx') && !name.includes('malformed'))
    .map((name) => path.join(folder, name))
    .sort();
}

/** No negative cost, no utilisation above one, and nothing missing without a reason. */
const isSound = ({ latencyMs, energyMj, unknown, utilisation }: LayerCost): boolean =>
  (latencyMs ?? 0) >= 0 &&
  (energyMj ?? 0) >= 0 &&
  (utilisation ?? 0) <= 1 &&
  (latencyMs === null) === (unknown !== undefined);

function costEverywhere(file: string): void {
  const graph = load(file);
  const facts = factsOf(graph);
  for (const target of TARGETS) {
    const { layers, total } = estimate(graph, facts, target);
    expect(layers).toHaveLength(graph.size);
    expect(Number.isFinite(total.latencyMs)).toBe(true);
    expect(layers.filter((layer) => !isSound(layer))).toEqual([]);
  }
}

describe.skipIf(!shared('models'))('models', () => {
  const folder = shared('models');
  const files = folder ? modelsIn(folder) : [];
  it.each(files.map((file) => [path.relative(folder!, file), file]))('%s', (_, file) =>
    costEverywhere(file),
  );
});

/** Counted elsewhere without recurrent cells, which are multiply-accumulates all the same. */
const RECURRENT = [
  'byte_bilstm_tract.onnx',
  'dtln_model1.onnx',
  'gtcrn_stream.onnx',
  'ten_vad.onnx',
];

describe.skipIf(!shared('models', 'found', 'facts.json'))('MACs counted elsewhere', () => {
  const file = shared('models', 'found', 'facts.json');
  const facts = Object.entries(
    file ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Fact>) : {},
  );
  const counted = facts.filter(
    ([name, fact]) => fact.macs && fact.runs && !RECURRENT.includes(name),
  );
  it.each(counted)('%s', (name, fact) => {
    const graph = load(shared('models', 'found', name)!);
    const { macs, partial } = counts(graph, factsOf(graph, fact.ran_with));
    expect(partial).toBe(false);
    expect(Math.abs(macs / fact.macs! - 1)).toBeLessThanOrEqual(0.02);
  });

  it.each(RECURRENT)('%s: more by its recurrent cells alone', (name) => {
    const fact = facts.find(([other]) => other === name)![1];
    const graph = load(shared('models', 'found', name)!);
    const inferred = factsOf(graph, fact.ran_with);
    const work = workloads(graph, inferred);
    const cells = graph.order
      .filter(({ op }) => /^(LSTM|GRU|RNN)$/.test(op))
      .reduce((sum, { id }) => sum + work.of(id).macs!, 0);
    expect(cells).toBeGreaterThan(0);
    expect(counts(graph, inferred).macs - cells).toBe(fact.macs);
  });
});

describe.skipIf(!shared('reference', 'nets', 'nets.csv'))('MACs of well-known networks', () => {
  const table = shared('reference', 'nets', 'nets.csv');
  const rows = table ? readTable(table) : [];
  it.each(rows.map((row) => [row.file!, Number(row.macs)] as const))('%s', (name, macs) => {
    const graph = load(shared('reference', 'nets', name)!);
    expect(counts(graph, factsOf(graph))).toMatchObject({ macs, partial: false, unknown: [] });
  });

  it('follow the formula of a vision transformer block', () => {
    const graph = load(shared('reference', 'nets', 'deit_tiny_patch16_224_224.onnx')!);
    const [tokens, patches, width, blocks] = [197, 196, 192, 12];
    const block = 4 * tokens * width ** 2 + 2 * tokens ** 2 * width + 2 * 4 * tokens * width ** 2;
    const expected = blocks * block + patches * 16 ** 2 * 3 * width + width * 1000;
    expect(counts(graph, factsOf(graph)).macs).toBe(expected);
    expect(expected / 1e9).toBeCloseTo(1.254, 3);
  });
});
