/** Key-value caches: found in the graph, empty at the start, carried from step to step. */
import { describe, expect, it } from 'vitest';
import type { ArrayDescription } from '../../../language/data/description';
import { cachesOf } from '../../../language/runtime/caches';
import { runTask } from '../../../language/runtime/runtime';
import { ints, makeGraph, node, value, weight } from '../../models';
import { npy, npz, range, testFolder } from '../data/arrays';
import { testHost } from './host';

const host = testHost();
const folder = testFolder();

/** Scores of the next token from the mean of the embeddings so far: the sum that the cache holds, and how many there were. */
const decoder = () =>
  makeGraph({
    inputs: [
      value('ids', ['batch', 'step'], 'int64'),
      value('mask', ['batch', 'total'], 'int64'),
      value('store', ['batch', 'before', 4]),
    ],
    outputs: [value('scores', ['batch', 'step', 5]), value('kept', ['batch', 'total', 4])],
    weights: [weight('table', [5, 4], 7), weight('head', [4, 5], 3), ints('axis', [1])],
    nodes: [
      node('Gather', ['table', 'ids'], ['embedded']),
      node('Identity', ['store'], ['past']),
      node('Concat', ['past', 'embedded'], ['kept'], { axis: 1 }),
      node('Cast', ['mask'], ['weights'], { to: 1 }),
      node('Unsqueeze', ['weights', 'axis'], ['row']),
      node('MatMul', ['row', 'kept'], ['sum']),
      node('Add', ['embedded', 'sum'], ['state']),
      node('MatMul', ['state', 'head'], ['scores']),
    ],
  });

describe('caches', () => {
  it('are found by how they flow', () => {
    expect([...cachesOf(decoder())]).toEqual([['store', { axis: 1, output: 'kept' }]]);
  });

  it('are not seen in what only looks like one', () => {
    const graph = makeGraph({
      inputs: [value('x', ['batch', 'length', 4])],
      outputs: [value('y', ['batch', 'other', 4])],
      weights: [weight('w', [4, 4])],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    });
    expect(cachesOf(graph).size).toBe(0);
  });
});

describe('decoding', () => {
  const ids = range(24).map((i) => (i * i + 3) % 5);
  const description = (change: Partial<ArrayDescription> = {}): ArrayDescription => ({
    source: { npz: 'ids.npz' },
    inputs: { ids: { array: 'ids', slice: [0, -1] }, mask: { fill: 1, shape: [5] } },
    target: { array: 'ids', slice: [1] },
    metric: { id: 'perplexity', output: 'scores' },
    ...change,
  });
  const evaluate = (change: Partial<ArrayDescription>) => {
    folder.write('ids.npz', npz({ ids: npy('<i8', [4, 6], ids) }));
    const model = host.model('decoder.onnx', decoder());
    const data = { dataset: description(change), folder: folder.path };
    return runTask({ kind: 'evaluate', model, data }, { entry: host.entry });
  };

  it('needs nothing for the caches', async () => {
    const { value: whole, samples } = await evaluate({});
    expect(samples).toBe(4);
    expect(whole).toBeGreaterThan(1);
  });

  it('step by step hands the caches on', async () => {
    // A token sees only those before it then: the first step alone equals a sample of one token.
    const single = await evaluate({ step: 1 });
    expect(single.value).toBeCloseTo(byHand(), 4);
  });

  /** Perplexity with the sum over the tokens up to each. */
  function byHand(): number {
    const table = weight('table', [5, 4], 7);
    const head = weight('head', [4, 5], 3);
    const [t, h] = [table, head].map(({ data }) => {
      if (data.kind !== 'memory') throw new Error('not in memory');
      return new Float32Array(data.bytes.slice().buffer);
    }) as [Float32Array, Float32Array];
    let loss = 0;
    for (let sample = 0; sample < 4; sample++) {
      const sum = [0, 0, 0, 0];
      for (let at = 0; at < 5; at++) {
        const id = ids[sample * 6 + at]!;
        sum.forEach((_, k) => (sum[k]! += t[id * 4 + k]!));
        const state = sum.map((s, k) => s + t[id * 4 + k]!);
        const scores = range(5).map((c) =>
          state.reduce((total, s, k) => total + s * h[k * 5 + c]!, 0),
        );
        const norm = Math.log(scores.reduce((total, s) => total + Math.exp(s), 0));
        loss += norm - scores[ids[sample * 6 + at + 1]!]!;
      }
    }
    return Math.exp(loss / 20);
  }
});

describe('a model without caches', () => {
  it('is not decoded step by step', async () => {
    const model = host.model(
      'plain.onnx',
      makeGraph({
        inputs: [value('ids', ['n', 't'], 'int64')],
        outputs: [value('y', ['n', 't', 5])],
        weights: [weight('table', [5, 5])],
        nodes: [node('Gather', ['table', 'ids'], ['y'])],
      }),
    );
    folder.write('few.npz', npz({ ids: npy('<i8', [1, 2], [1, 2]) }));
    const dataset: Description = {
      source: { npz: 'few.npz' },
      inputs: { ids: { array: 'ids' } },
      target: { array: 'ids' },
      metric: { id: 'perplexity' },
      step: 1,
    };
    const data = { dataset, folder: folder.path };
    await expect(runTask({ kind: 'evaluate', model, data }, { entry: host.entry })).rejects.toThrow(
      /no key-value cache/,
    );
  });
});
