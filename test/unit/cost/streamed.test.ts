/** Layers of a ReRAM chip at work all at once. Their times against MNSIM's are in `mnsim.test.ts`. */
import { describe, expect, it } from 'vitest';
import { estimate } from '../../../language/cost/estimate';
import { PLACEMENT_KEY, placementText, type Placement } from '../../../language/graph/placement';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, factsOf } from './subject';

const isaac = bundled('reram.isaac');

const costed = (spec: ModelSpec, placements: Record<string, Placement> = {}) => {
  const graph = makeGraph(spec);
  for (const [id, placement] of Object.entries(placements)) {
    const { metadata } = graph.node(id)!;
    graph.replace(id, {
      metadata: new Map([...metadata, [PLACEMENT_KEY, placementText(placement)]]),
    });
  }
  return estimate(graph, factsOf(graph), isaac);
};

const pads = [1, 1, 1, 1];
const conv = (name: string, from: string, to: string, attributes = {}) =>
  node('Conv', [from, `${name}.w`], [to], { pads, ...attributes }, name);
const images = (count: number, size = 32) => [value('x', [count, 8, size, size])];
const filters = (...names: string[]) => names.map((name) => weight(`${name}.w`, [8, 8, 3, 3]));

const CHAIN: ModelSpec = {
  inputs: images(1),
  outputs: [value('c')],
  weights: filters('first', 'second', 'third'),
  nodes: [conv('first', 'x', 'a'), conv('second', 'a', 'b'), conv('third', 'b', 'c')],
};

describe('layers at work all at once', () => {
  const latencies = ({ layers }: ReturnType<typeof costed>) =>
    layers.map(({ latencyMs }) => latencyMs!);
  const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0);

  it('follow one another by a few rows, and repeat after the slowest', () => {
    const result = costed(CHAIN);
    const each = latencies(result);
    const { latencyMs, intervalMs, perSecond } = result.pipeline!;
    expect(intervalMs).toBeCloseTo(Math.max(...each), 9);
    expect(perSecond).toBeCloseTo(1e3 / intervalMs, 6);
    // A window of three rows waits for two of 32 and two columns, twice.
    const rows = intervalMs / 32;
    expect(latencyMs - intervalMs).toBeGreaterThan(2 * rows);
    expect(latencyMs - intervalMs).toBeLessThan(2.5 * rows + 3 * 0.0022);
  });

  it('wait for all of a picture before a sum over it, and for nothing that they do not read', () => {
    const pooled = costed({
      ...CHAIN,
      outputs: [value('c'), value('d')],
      nodes: [
        conv('first', 'x', 'a'),
        node('GlobalAveragePool', ['a'], ['p'], {}, 'pool'),
        node('Add', ['x', 'p'], ['b'], {}, 'add'),
        conv('second', 'b', 'c'),
        conv('third', 'x', 'd'),
      ],
    });
    const of = (name: string) => pooled.layers.find((layer) => layer.node === name)!.latencyMs!;
    expect(pooled.pipeline!.latencyMs).toBeGreaterThan(of('first') + of('pool') + of('second'));
    expect(pooled.pipeline!.latencyMs).toBeLessThan(sum(latencies(pooled)) - of('third') / 2);
  });

  it('are as fast as copies of the slowest make them', () => {
    const copies = (count: number): Placement => ({
      cellBits: 2,
      polarity: 'offset',
      copies: count,
    });
    const spread = (counts: number[]) =>
      costed(
        CHAIN,
        Object.fromEntries(CHAIN.nodes.map(({ name }, at) => [name, copies(counts[at]!)])),
      ).pipeline!;
    const single = spread([1, 1, 1]);
    expect(spread([1, 4, 4]).intervalMs).toBeCloseTo(single.intervalMs, 9);
    expect(spread([1, 4, 4]).slowest).toBe('first');
    const fast = spread([4, 4, 4]);
    expect(single.intervalMs / fast.intervalMs).toBeGreaterThan(3.9);
    expect(single.latencyMs / fast.latencyMs).toBeGreaterThan(2.5);
  });

  it('take pictures of a batch one after another', () => {
    const single = Object.fromEntries(
      CHAIN.nodes.map(({ name }) => [
        name,
        { cellBits: 2, polarity: 'offset', copies: 1 } satisfies Placement,
      ]),
    );
    const one = costed(CHAIN, single).pipeline!;
    const four = costed({ ...CHAIN, inputs: images(4) }, single).pipeline!;
    expect(four.intervalMs / one.intervalMs).toBeGreaterThan(3.9);
    expect(four.latencyMs - four.intervalMs).toBeCloseTo(one.latencyMs - one.intervalMs, 2);
  });

  it('read rows of other sizes in their share: strides, pooling, sequences', () => {
    const result = costed({
      inputs: images(1, 17),
      outputs: [value('y')],
      weights: [...filters('first', 'second'), weight('w', [25, 16])],
      nodes: [
        conv('first', 'x', 'a', { strides: [2, 2] }),
        node('MaxPool', ['a'], ['b'], { kernel_shape: [2, 2], strides: [2, 2], pads }, 'pool'),
        conv('second', 'b', 'c'),
        node('Flatten', ['c'], ['d'], { axis: 2 }, 'flatten'),
        node('MatMul', ['d', 'w'], ['y'], {}, 'product'),
      ],
    });
    const each = latencies(result);
    const { latencyMs, intervalMs } = result.pipeline!;
    expect(intervalMs).toBeLessThanOrEqual(latencyMs);
    expect(latencyMs).toBeLessThanOrEqual(sum(each) * (1 + 1e-9));
    expect(latencyMs).toBeGreaterThan(Math.max(...each));
  });

  it('has no pace where nothing takes time', () => {
    const idle = costed({
      inputs: images(1),
      outputs: [value('y')],
      weights: [],
      nodes: [node('Flatten', ['x'], ['y'], {}, 'flatten')],
    });
    expect(idle.pipeline).toBeUndefined();
  });
});
