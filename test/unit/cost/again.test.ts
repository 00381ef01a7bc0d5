/** An estimate after an edit takes over what the edit left alone: it has to be what the same model costs when it is new. */
import { describe, expect, it } from 'vitest';
import { counts } from '../../../language/cost/counts';
import { estimate } from '../../../language/cost/estimate';
import type { TargetProfile } from '../../../language/cost/profile';
import { bindShapes } from '../../../language/graph/bindings';
import type { Facts } from '../../../language/graph/facts';
import type { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { makeTensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, constant, factsOf } from './subject';

/** A quantised convolution, a plain one, a tied weight, a view and a gate. */
const spec = (): ModelSpec => ({
  inputs: [value('x', [1, 8, 8, 8])],
  outputs: [value('y')],
  weights: [
    weight('w1', [8, 8, 3, 3]),
    weight('w2', [8, 8, 1, 1]),
    weight('tied', [8, 8]),
    constant('codes', 'int8', [8, 8, 1, 1]),
    constant('s', 'float32', []),
    constant('z', 'uint8', [], 0),
    constant('zw', 'int8', [], 0),
    constant('flat', 'int64', [1], 0),
    makeTensor(
      'rows',
      'int64',
      [2],
      new Uint8Array([8, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0]),
    ),
  ],
  nodes: [
    node('Conv', ['x', 'w1'], ['a'], { pads: [1, 1, 1, 1] }, 'conv1'),
    node('Relu', ['a'], ['b'], {}, 'relu'),
    node('QuantizeLinear', ['b', 's', 'z'], ['q'], {}, 'quantize'),
    node('DequantizeLinear', ['q', 's', 'z'], ['d'], {}, 'dequantize'),
    node('DequantizeLinear', ['codes', 's', 'zw'], ['dw'], {}, 'weights'),
    node('Conv', ['d', 'dw'], ['c'], {}, 'conv2'),
    node('Sigmoid', ['c'], ['g'], {}, 'gate'),
    node('Mul', ['c', 'g'], ['h'], {}, 'gated'),
    node('Conv', ['h', 'w2'], ['e'], {}, 'conv3'),
    node('Add', ['e', 'b'], ['f'], {}, 'add'),
    node('Reshape', ['f', 'rows'], ['r'], {}, 'view'),
    node('Transpose', ['r'], ['t'], { perm: [1, 0] }, 'transpose'),
    node('MatMul', ['t', 'tied'], ['m'], {}, 'product1'),
    node('MatMul', ['m', 'tied'], ['y'], {}, 'product2'),
  ],
});

const zeros = (name: string, dims: readonly number[]) =>
  makeTensor(name, 'float32', dims, new Uint8Array(4 * dims.reduce((a, b) => a * b, 1)));

const EDITS: Readonly<Record<string, (graph: Graph) => void>> = {
  'an attribute': (graph) =>
    graph.setAttribute('conv1', 'strides', { kind: 'ints', value: [1, 1] }),
  'zeros in a weight': (graph) => graph.setInitializer(zeros('w2', [8, 8, 1, 1])),
  'a tied weight': (graph) => graph.setInitializer(zeros('tied', [8, 8])),
  'other codes': (graph) => graph.setInitializer(constant('codes', 'int8', [8, 8, 1, 1], 7)),
  'another operator, that is fused otherwise': (graph) => graph.replace('relu', { op: 'Tanh' }),
  'the gate': (graph) => graph.replace('gate', { op: 'Tanh' }),
  'a layer on another target': (graph) => graph.replace('conv3', { assigned: 'reram.isaac' }),
  'the layer back again': (graph) => graph.replace('conv3', { assigned: 'mobile.pixel3-cpu' }),
  'fewer channels': (graph) => {
    graph.setInitializer(weight('w2', [4, 8, 1, 1]));
    graph.replace('add', { op: 'Mul' });
  },
  'channels as they were': (graph) => graph.setInitializer(weight('w2', [8, 8, 1, 1])),
  'a weight that is no constant any more': (graph) => graph.setInput('product2', 1, 'm'),
  'what reads what': (graph) => graph.rewire('b', 'a'),
};

const TARGETS: readonly TargetProfile[] = [
  bundled('mobile.pixel3-cpu'),
  bundled('fpga.zcu102-dpu'),
  bundled('asic.systolic-32x32-ws'),
  bundled('reram.isaac'),
];
const resolve = (id: string) => TARGETS.find((target) => target.id === id)!;

const costsOf = (graph: Graph, facts: Facts) => [
  counts(graph, facts),
  ...TARGETS.map((target) => estimate(graph, facts, target, { resolve })),
  estimate(graph, facts, TARGETS[0]!, { resolve, as: 'int8' }),
];

describe('an estimate after an edit', () => {
  let edited = makeGraph(spec());
  let facts = factsOf(edited);
  costsOf(edited, facts);
  const done: ((graph: Graph) => void)[] = [];

  it.each(Object.entries(EDITS))('is that of the same model made anew: %s', (_, edit) => {
    done.push(edit);
    edited = edited.fork();
    edit(edited);
    facts = inferShapes(edited, { inputs: bindShapes(edited, {}).inputs, previous: facts });
    const anew = makeGraph(spec());
    for (const each of done) each(anew);
    expect(costsOf(edited, facts)).toEqual(costsOf(anew, factsOf(anew)));
  });
});
