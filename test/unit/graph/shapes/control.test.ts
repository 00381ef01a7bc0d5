import { describe, expect, it } from 'vitest';
import { Graph } from '../../../../language/graph/graph';
import type { FunctionRecord, GraphRecord, NodeRecord } from '../../../../language/onnx/model';
import { makeGraph, makeModel, node } from '../../../models';
import { bools, declared, infer, int64, int64Of, int64Scalar, show } from './notation';

function body(inputs: string[], outputs: string[], nodes: NodeRecord[]): GraphRecord {
  const untyped = (name: string) => ({ name, type: { kind: 'unknown' as const } });
  return {
    name: 'body',
    nodes,
    initializers: [],
    inputs: inputs.map(untyped),
    outputs: outputs.map(untyped),
    valueInfos: [],
    carried: [],
  };
}

const yes = { ...bools(1), name: 'yes', dims: [] };

describe('If', () => {
  const branches = {
    then_branch: body([], ['a'], [node('Relu', ['x'], ['a'])]),
    else_branch: body([], ['b'], [node('Concat', ['x', 'x'], ['b'], { axis: 1 })]),
  };
  const run = (condition: 'known' | 'fed', attributes = branches) => {
    const graph = makeGraph({
      inputs: [
        declared('x', 'float32[batch,4]'),
        ...(condition === 'fed' ? [declared('yes', 'bool[]')] : []),
      ],
      weights: condition === 'known' ? [yes] : [],
      outputs: [],
      nodes: [node('If', ['yes'], ['y'], attributes)],
    });
    const facts = infer(graph);
    const times = facts.inner(graph.order[0]!).map((inner) => [inner.attribute, inner.times]);
    return { facts, times };
  };

  it('keeps what both branches agree on', () => {
    const { facts, times } = run('fed');
    expect(show(facts.value('y'))).toBe('float32[batch,?]');
    expect(times).toEqual([
      ['then_branch', 1],
      ['else_branch', 1],
    ]);
  });

  it('follows a condition that is known', () => {
    const { facts, times } = run('known');
    expect(show(facts.value('y'))).toBe('float32[batch,4]');
    expect(times).toEqual([
      ['then_branch', 1],
      ['else_branch', 0],
    ]);
  });

  it('leaves out a branch that cannot run on these inputs', () => {
    const impossible = body([], ['b'], [node('Squeeze', ['x', 'one'], ['b'])]);
    const { facts, times } = run('fed', {
      ...branches,
      else_branch: { ...impossible, initializers: [{ ...int64(1), name: 'one' }] },
    });
    expect(show(facts.value('y'))).toBe('float32[batch,4]');
    expect(facts.problems).toEqual([]);
    expect(times[1]).toEqual(['else_branch', 0]);
  });

  it('says what is wrong in a branch that runs', () => {
    const { facts } = run('known', {
      ...branches,
      then_branch: body([], ['a'], [node('Transpose', ['x'], ['a'], { perm: [0] })]),
    });
    expect(facts.problems).toEqual([
      {
        node: 'If_0',
        reason: 'in then_branch, Transpose_0: it permutes 1 axes of an input of 2',
      },
    ]);
  });
});

describe('Loop', () => {
  const loop = (
    trips: number | 'fed',
    state: string,
    nodes: NodeRecord[],
    outputs = ['continue', 'after', 'slice'],
  ) => {
    const graph = makeGraph({
      inputs: [
        declared('start', state),
        ...(trips === 'fed' ? [declared('trips', 'int64[]')] : []),
      ],
      weights: [yes, ...(trips === 'fed' ? [] : [{ ...int64Scalar(trips), name: 'trips' }])],
      outputs: [],
      nodes: [
        node('Loop', ['trips', 'yes', 'start'], ['end', 'slices'], {
          body: body(['i', 'go', 'before'], outputs, [
            node('Identity', ['go'], ['continue']),
            ...nodes,
          ]),
        }),
      ],
    });
    const facts = infer(graph);
    const [inner] = facts.inner(graph.order[0]!);
    return { facts, inner: inner! };
  };
  const step = [node('Relu', ['before'], ['after']), node('Identity', ['before'], ['slice'])];

  it('stacks its scan outputs as often as it runs', () => {
    const { facts, inner } = loop(7, 'float32[batch,4]', step);
    expect(show(facts.value('end'))).toBe('float32[batch,4]');
    expect(show(facts.value('slices'))).toBe('float32[7,batch,4]');
    expect(inner.times).toBe(7);
    expect(inner.nodes.map((n) => n.op)).toEqual(['Identity', 'Relu', 'Identity']);
    expect(show(inner.facts.value('after'))).toBe('float32[batch,4]');
  });

  it('does not know how often it runs when data tells', () => {
    const { facts, inner } = loop('fed', 'float32[batch,4]', step);
    expect(show(facts.value('slices'))).toBe('float32[?,batch,4]');
    expect(inner.times).toBeNull();
  });

  const growing = [
    node('Concat', ['before', 'start'], ['after'], { axis: 0 }),
    node('Identity', ['start'], ['slice']),
  ];
  it('follows a state that grows, run by run', () => {
    const { facts } = loop(3, 'float32[2,4]', growing);
    expect(show(facts.value('end'))).toBe('float32[8,4]');
    expect(show(facts.value('slices'))).toBe('float32[3,2,4]');
  });

  it('gives up on what grows in a loop of unknown length', () => {
    const { facts } = loop('fed', 'float32[2,4]', growing);
    expect(show(facts.value('end'))).toBe('float32[?,4]');
  });

  it('returns its state when it does not run', () => {
    const { facts, inner } = loop(0, 'float32[2,4]', growing);
    expect(show(facts.value('end'))).toBe('float32[2,4]');
    expect(show(facts.value('slices'))).toBe('float32[0,2,4]');
    expect(inner.times).toBe(0);
  });

  it('ends quickly when loops in loops would run for ever', () => {
    const grow = node('Concat', ['s', 's'], ['t'], { axis: 0 });
    let inner = body(['i', 'c', 's'], ['c', 't'], [grow]);
    for (let depth = 0; depth < 6; depth++)
      inner = body(
        [`i${depth}`, `c${depth}`, `s${depth}`],
        [`c${depth}`, `t${depth}`],
        [node('Loop', ['trips', 'yes', `s${depth}`], [`t${depth}`], { body: inner })],
      );
    const graph = makeGraph({
      inputs: [declared('x', 'float32[2]')],
      weights: [yes, { ...int64Scalar(256), name: 'trips' }],
      outputs: [],
      nodes: [node('Loop', ['trips', 'yes', 'x'], ['y'], { body: inner })],
    });
    const started = performance.now();
    const facts = infer(graph);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(facts.problems.length).toBeGreaterThan(0);
  });
});

describe('Scan', () => {
  it('runs its body for every slice and stacks what it gives', () => {
    const graph = makeGraph({
      inputs: [declared('state', 'float32[batch,8]'), declared('x', 'float32[batch,20,8]')],
      outputs: [],
      nodes: [
        node('Scan', ['state', 'x'], ['last', 'ys'], {
          num_scan_inputs: 1,
          scan_input_axes: [1],
          scan_output_axes: [-1],
          body: body(
            ['s', 'slice'],
            ['sum', 'y'],
            [node('Add', ['s', 'slice'], ['sum']), node('Relu', ['sum'], ['y'])],
          ),
        }),
      ],
    });
    const facts = infer(graph);
    expect(facts.problems).toEqual([]);
    expect(show(facts.value('last'))).toBe('float32[batch,8]');
    expect(show(facts.value('ys'))).toBe('float32[batch,8,20]');
    expect(facts.inner(graph.order[0]!)[0]!.times).toBe(20);
  });
});

describe('functions of the model', () => {
  const scaled: FunctionRecord = {
    name: 'Flattened',
    domain: 'mine',
    overload: '',
    opsets: new Map(),
    inputs: ['x', 'bias'],
    outputs: ['y'],
    defaults: new Map(),
    nodes: [
      {
        ...node('Flatten', ['x'], ['flat']),
        attributes: new Map([
          ['axis', { name: 'axis', value: { kind: 'reference', value: 'from' } }],
        ]),
      },
      node('Clip', ['flat', 'bias'], ['y']),
    ],
    valueInfos: [],
  };
  const call = (attributes: Record<string, number>, name = 'Flattened') => {
    const model = makeModel({
      inputs: [declared('x', 'float32[batch,3,4]')],
      outputs: [],
      nodes: [node(name, ['x'], ['z'], attributes, '', 'mine')],
    });
    const graph = Graph.of({ ...model, functions: [scaled, recursive] });
    return { graph, facts: infer(graph) };
  };
  const recursive: FunctionRecord = {
    ...scaled,
    name: 'Endless',
    inputs: ['x'],
    nodes: [node('Endless', ['x'], ['y'], {}, '', 'mine')],
  };

  it('are inferred with the attributes of the call, inputs left out', () => {
    const { graph, facts } = call({ from: 2 });
    expect(facts.problems).toEqual([]);
    expect(show(facts.value('z'))).toBe('float32[3*batch,4]');
    const [inner] = facts.inner(graph.order[0]!);
    expect(inner).toMatchObject({ attribute: 'Flattened', times: 1 });
    expect(show(inner!.facts.value('flat'))).toBe('float32[3*batch,4]');
  });

  it('fall back to the operator’s default for an attribute that nobody gives', () => {
    expect(show(call({}).facts.value('z'))).toBe('float32[batch,12]');
  });

  it('may not call themselves for ever', () => {
    const { facts } = call({}, 'Endless');
    expect(facts.problems[0]!.reason).toMatch(/calls itself/);
  });
});

describe('sequences', () => {
  it('are followed item by item', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[batch,7]'), declared('more', 'float32[batch,9]')],
      weights: [
        { ...int64(2, 5), name: 'sizes' },
        { ...int64Scalar(-1), name: 'last' },
        { ...int64Scalar(0), name: 'first' },
      ],
      outputs: [],
      nodes: [
        node('SplitToSequence', ['x', 'sizes'], ['parts'], { axis: 1 }),
        node('SequenceInsert', ['parts', 'more'], ['all']),
        node('SequenceAt', ['all', 'last'], ['third']),
        node('SequenceErase', ['all', 'first'], ['two']),
        node('ConcatFromSequence', ['two'], ['joined'], { axis: 1 }),
        node('SequenceLength', ['two'], ['count']),
      ],
    });
    const facts = infer(graph);
    expect(facts.problems).toEqual([]);
    expect(show(facts.value('third'))).toBe('float32[batch,9]');
    expect(show(facts.value('joined'))).toBe('float32[batch,14]');
    expect(facts.value('count').elements?.elements).toEqual([2]);
    expect(facts.value('parts').type).toEqual({
      kind: 'sequence',
      element: { kind: 'tensor', elementType: 'float32', shape: ['batch', null] },
    });
  });

  it('map a body over their items', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[2,6]')],
      outputs: [],
      nodes: [
        node('SplitToSequence', ['x'], ['rows'], { axis: 0 }),
        node('SequenceMap', ['rows'], ['flat'], {
          body: body(['row'], ['out'], [node('Transpose', ['row'], ['out'])]),
        }),
        node('ConcatFromSequence', ['flat'], ['y'], { axis: 1 }),
      ],
    });
    const facts = infer(graph);
    expect(show(facts.value('y'))).toBe('float32[6,2]');
    expect(facts.inner(graph.order[1]!)[0]!.times).toBe(2);
  });

  it('hold optional values', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[2,6]')],
      outputs: [],
      nodes: [
        node('Optional', ['x'], ['maybe']),
        node('OptionalHasElement', ['maybe'], ['has']),
        node('OptionalGetElement', ['maybe'], ['y']),
      ],
    });
    const facts = infer(graph);
    expect(facts.value('has').elements?.elements).toEqual([1]);
    expect(show(facts.value('y'))).toBe('float32[2,6]');
  });
});

it('bodies see constants around them', () => {
  const graph = makeGraph({
    inputs: [declared('x', 'float32[2,6]'), declared('yes', 'bool[]')],
    weights: [{ ...int64Of([2], 3, 4), name: 'to' }],
    outputs: [],
    nodes: [
      node('If', ['yes'], ['y'], {
        then_branch: body([], ['a'], [node('Reshape', ['x', 'to'], ['a'])]),
        else_branch: body([], ['b'], [node('Reshape', ['x', 'to'], ['b'])]),
      }),
    ],
  });
  expect(show(infer(graph).value('y'))).toBe('float32[3,4]');
});

it('symbols that a body declares stay in it', () => {
  const branch = (output: string): GraphRecord => ({
    ...body([], [output], [node('NonZero', ['x'], [output])]),
    valueInfos: [declared(output, 'int64[2,batch]')],
  });
  const graph = makeGraph({
    inputs: [declared('x', 'float32[batch,6]'), declared('yes', 'bool[]')],
    outputs: [],
    nodes: [node('If', ['yes'], ['y'], { then_branch: branch('a'), else_branch: branch('b') })],
  });
  expect(show(infer(graph).value('y'))).toBe('int64[2,?]');
});
