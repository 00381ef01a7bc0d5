import { describe, expect, it } from 'vitest';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { attribute, mainMember, tagNodes } from '../../../language/runtime/perform/attribution';
import { layersOf, timesOf } from '../../../language/runtime/perform/layerTimes';
import { runTask } from '../../../language/runtime/runtime';
import { makeGraph, node, value, weight } from '../../models';
import { sample, testHost } from './host';

const host = testHost();
const PATIENCE = { timeout: 120_000 };

describe('kernels', () => {
  const graph = makeGraph({
    inputs: [value('x', [1, 4, 8, 8])],
    outputs: [value('y')],
    weights: [weight('w', [4, 4, 1, 1]), weight('v', [4, 4, 1, 1])],
    nodes: [
      node('Conv', ['x', 'w'], ['a'], {}, 'one'),
      node('Relu', ['a'], ['b'], {}, 'act'),
      node('Conv', ['b', 'v'], ['c'], {}, 'two'),
      node('Add', ['c', 'b'], ['d'], {}, 'join'),
      node('Softmax', ['d'], ['y'], {}, 'end'),
    ],
  });
  const attributed = (kernels: Parameters<typeof attribute>[2]) => {
    const tagged = graph.fork();
    const ids = tagNodes(tagged);
    return attribute(tagged, ids, kernels).map(({ members, helper }) => ({
      members,
      helper,
      main: mainMember(tagged, members),
    }));
  };

  it('stand for the nodes that they are named after, make the values of or swallowed', () => {
    expect(
      attributed([
        node('FusedConv', ['x', 'w'], ['b'], {}, 'fused {0}'),
        node('Conv', ['b', 'v'], ['c'], {}, '{2}'),
        node('Add', ['c', 'b'], ['d'], {}, '{3}'),
        node('Softmax', ['d'], ['y'], {}, '{4}'),
      ]),
    ).toEqual([
      { members: ['one', 'act'], helper: false, main: 'one' },
      { members: ['two'], helper: false, main: 'two' },
      { members: ['join'], helper: false, main: 'join' },
      { members: ['end'], helper: false, main: 'end' },
    ]);
  });

  it('on blocks of channels take what follows along; changes of layout count with what they serve', () => {
    expect(
      attributed([
        node('ReorderInput', ['x'], ['r'], {}, ''),
        node('Conv', ['r', 'w'], ['p'], {}, 'b_nchwc'),
        node('Conv', ['p', 'v', '', 'p'], ['q'], {}, 'c_nchwc'),
        node('ReorderOutput', ['q'], ['s'], {}, ''),
        node('Softmax', ['s'], ['y'], {}, '{4}'),
      ]),
    ).toEqual([
      { members: ['one', 'act'], helper: true, main: 'one' },
      { members: ['one', 'act'], helper: false, main: 'one' },
      { members: ['two', 'join'], helper: false, main: 'two' },
      { members: ['end'], helper: true, main: 'end' },
      { members: ['end'], helper: false, main: 'end' },
    ]);
  });

  it('of quantised layers are found by their nodes', PATIENCE, async () => {
    const { executed, kernels } = await runTask(
      { kind: 'kernels', model: sample('shapes-resnet.onnx') },
      { entry: host.entry },
    );
    const convolutions = Graph.of(readModelFile(sample('shapes-resnet.onnx'))).order.filter(
      ({ op }) => op === 'Conv',
    );
    for (const { id } of convolutions) expect(executed.get(id), id).toMatch(/Conv$/);
    const count = [...kernels].reduce((sum, [op, n]) => (op.endsWith('Conv') ? sum + n : sum), 0);
    expect(count).toBe(convolutions.length);
  });
});

describe('times of layers', () => {
  const graph = makeGraph({
    inputs: [value('x', [4, 4])],
    outputs: [value('y')],
    weights: [weight('w', [4, 4])],
    nodes: [
      node('MatMul', ['x', 'w'], ['a'], {}, 'product'),
      node('Relu', ['a'], ['b'], {}, 'act'),
      node('Softmax', ['b'], ['y'], {}, 'end'),
    ],
  });
  const kernels = [
    node('MatMul', ['x', 'w'], ['b'], {}, '{0}'),
    node('Softmax', ['b'], ['y'], {}, '{2}'),
  ];
  /** A run of 20 µs: starts after 2, computes 10, waits 3, computes 4; within the first kernel another one. */
  const run = (ts: number) => [
    { cat: 'Node', name: '{0}_kernel_time', ts: ts + 2, dur: 10 },
    { cat: 'Node', name: 'inner_kernel_time', ts: ts + 3, dur: 5 },
    { cat: 'Node', name: '{2}_kernel_time', ts: ts + 15, dur: 4 },
    { cat: 'Session', name: 'model_run', ts, dur: 20 },
  ];
  const tagged = graph.fork();
  const executed = attribute(tagged, tagNodes(tagged), kernels);
  const times = timesOf([...run(0), ...run(100), ...run(200)], executed);
  const layers = (wholeMs: number) =>
    layersOf(tagged, executed, times, wholeMs).map(({ node: id, ms, fused }) => ({
      id,
      us: Math.round(ms * 1e6) / 1e3,
      fused,
    }));

  it('hold their kernels and the way to them', () => {
    expect(layers(0.02)).toEqual([
      { id: 'product', us: 12, fused: ['act'] },
      { id: 'end', us: 7, fused: [] },
    ]);
  });

  it('are without what profiling adds', () => {
    expect(layers(0.0165).map(({ us }) => us)).toEqual([11, 5.5]);
    // Three events were noted down in 14 µs of kernels, two of them within the first.
    expect(layers(0.01).map(({ us }) => us)).toEqual([7.333, 2.667]);
  });
});

describe('a profile', PATIENCE, () => {
  it.for(['shapes-resnet', 'shapes-vit', 'text-llama'])('of %s names the layers', async (name) => {
    const model = sample(`${name}.onnx`);
    const { layers, wholeMs, conditions, generated } = await runTask(
      { kind: 'profile', model, budgetMs: 200, shapes: { sequence: 32 } },
      { entry: host.entry },
    );
    expect(generated).toBe(true);
    expect(conditions).toMatch(/1 thread, batch 1, made-up inputs/);
    expect(wholeMs).toBeGreaterThan(0);
    const sumMs = layers.reduce((sum, { ms }) => sum + ms, 0);
    expect(sumMs / wholeMs).toBeGreaterThan(0.85);
    expect(sumMs / wholeMs).toBeLessThan(1.15);
    const graph = Graph.of(readModelFile(model));
    const products = graph.order.filter(({ op }) => /^(Conv|Gemm|MatMul)$/.test(op));
    const timed = new Set(layers.flatMap(({ node: id, fused }) => [id, ...fused]));
    for (const { id } of products) expect(timed.has(id), id).toBe(true);
    for (const { node: id, op, ms } of layers) {
      expect(graph.node(id)!.op).toBe(op);
      expect(ms).toBeGreaterThanOrEqual(0);
    }
    expect(host.leftovers()).toEqual([]);
  });
});
