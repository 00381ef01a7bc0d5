import { describe, expect, it } from 'vitest';
import type { Facts } from '../../../../language/graph/facts';
import { Graph } from '../../../../language/graph/graph';
import { bindShapes } from '../../../../language/graph/bindings';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { readModelFile } from '../../../../language/onnx/read';
import { float32Tensor } from '../../../../language/onnx/tensor';
import { shared } from '../../../shared';
import { makeGraph, node } from '../../../models';
import { declared, declaredInputs, int64, show } from './notation';

const base = makeGraph({
  inputs: [declared('x', 'float32[batch,8]')],
  weights: [
    float32Tensor('w', new Float32Array(64), [8, 8]),
    float32Tensor('bias', new Float32Array(8)),
    { ...int64(0, 2, 4), name: 'to' },
  ],
  outputs: [],
  nodes: [
    node('MatMul', ['x', 'w'], ['a'], {}, 'product'),
    node('Add', ['a', 'bias'], ['b'], {}, 'sum'),
    node('Reshape', ['b', 'to'], ['c'], {}, 'fold'),
    node('Relu', ['x'], ['d'], {}, 'beside'),
  ],
});
const inputs = declaredInputs(base);
const previous = inferShapes(base, { inputs });

/** The values whose facts are not the same objects as before. */
function changed(edit: (graph: Graph) => void): string[] {
  const fork = base.fork();
  edit(fork);
  const facts = inferShapes(fork, { inputs, previous });
  const values = [...fork.order.flatMap((n) => n.outputs), 'x', 'w', 'bias', 'to'];
  return values.filter((name) => facts.value(name) !== previous.value(name));
}

describe('with previous facts', () => {
  it('nothing changes when nothing changed', () => {
    expect(changed(() => undefined)).toEqual([]);
  });

  it('other weights of the same size change nothing', () => {
    const large = { name: 'w', elementType: 'float32', dims: [128, 128] } as const;
    const compute = () => new Uint8Array(0);
    const graph = makeGraph({
      inputs: [declared('x', 'float32[batch,128]')],
      weights: [{ ...large, data: { kind: 'computed', compute } }],
      outputs: [],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    });
    const before = inferShapes(graph, { inputs: declaredInputs(graph) });
    const fork = graph.fork();
    fork.setInitializer({ ...large, data: { kind: 'computed', compute } });
    const after = inferShapes(fork, { inputs: declaredInputs(graph), previous: before });
    expect(after.value('w')).toBe(before.value('w'));
    expect(after.value('y')).toBe(before.value('y'));
  });

  it('other elements of a small constant change no further than their effect', () => {
    expect(
      changed((g) =>
        g.setInitializer(float32Tensor('bias', Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))),
      ),
    ).toEqual(['bias']);
    expect(changed((g) => g.setInitializer({ ...int64(0, 4, 2), name: 'to' }))).toEqual([
      'c',
      'to',
    ]);
  });

  it('a node assigned to a target is the same work', () => {
    expect(changed((g) => g.replace('product', { assigned: 'fpga.some' }))).toEqual([]);
  });

  it('a node put in between leaves what has the same shape alone', () => {
    const added = changed((g) => {
      g.insert({ op: 'Relu', inputs: ['a'], outputs: ['between'] }, g.node('sum')!);
      g.setInput('sum', 0, 'between');
    });
    expect(added).toEqual(['between']);
  });

  it('another attribute changes what follows from it', () => {
    const fork = base.fork();
    fork.replace('product', { op: 'Gemm' });
    fork.setAttribute('product', 'transB', { kind: 'int', value: 1 });
    fork.setInitializer(float32Tensor('w', new Float32Array(32), [4, 8]));
    fork.setInitializer(float32Tensor('bias', new Float32Array(4)));
    fork.setInitializer({ ...int64(0, 2, 2), name: 'to' });
    const facts = inferShapes(fork, { inputs, previous });
    expect(show(facts.value('c'))).toBe('float32[batch,2,2]');
    expect(facts.value('d')).toBe(previous.value('d'));
  });

  it('other sizes are not mistaken for the old ones', () => {
    const facts = inferShapes(base, { inputs: new Map([['x', [4, 8]]]), previous });
    expect(show(facts.value('c'))).toBe('float32[4,2,4]');
  });

  it('forgotten declarations are forgotten', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[8]')],
      outputs: [],
      valueInfos: [declared('y', 'float32[9]')],
      nodes: [node('Unheard', ['x'], ['y'])],
    });
    const before = inferShapes(graph, { inputs: declaredInputs(graph) });
    const fork = graph.fork();
    fork.dropValueInfos(() => false);
    const after = inferShapes(fork, { inputs: declaredInputs(graph), previous: before });
    expect(show(before.value('y'))).toBe('float32[9]');
    expect(show(after.value('y'))).toBe('unknown');
  });
});

const sample = shared('models/samples/shapes-vit.onnx');
describe.skipIf(!sample)('random edits of a sample (needs ../shared)', () => {
  const all = (graph: Graph, facts: Facts) =>
    graph.order.flatMap((n) => n.outputs).map((name) => [name, facts.value(name)]);

  it('give what inference from scratch gives', () => {
    const graph = Graph.of(readModelFile(sample!));
    const bound = bindShapes(graph, { batch: 2 });
    let facts = inferShapes(graph, bound);
    let current = graph;
    let state = 7;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    for (let round = 0; round < 25; round++) {
      current = current.fork();
      const near = current.order[random(current.size)]!;
      const from = near.outputs[0]!;
      const to = current.freshValue(`${from}/edited`);
      const readers = current.consumers(from);
      const op = ['Relu', 'Transpose', 'Identity'][random(3)]!;
      current.insert({ op, inputs: [from], outputs: [to] }, near);
      for (const reader of readers.slice(0, 1))
        current.rewire(from, to, ({ id }) => id === reader.id);
      facts = inferShapes(current, { ...bound, previous: facts });
      const fresh = inferShapes(current, bound);
      expect(all(current, facts)).toEqual(all(current, fresh));
      expect(facts.problems).toEqual(fresh.problems);
    }
  });
});
