import { describe, expect, it } from 'vitest';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord } from '../../../../language/onnx/model';
import { makeGraph, node, type ModelSpec } from '../../../models';
import { declared, infer, inferNode, int64, show, type Input } from './notation';
import { titleOf, type Attributes } from './rows';

describe('what cannot be', () => {
  const rows: [string, Input[], Attributes, RegExp][] = [
    ['Conv', ['float32[1,3,4,4]', 'float32[8,3,5,5]'], {}, /window of 5 does not fit into 4/],
    ['Conv', ['float32[1,3,4,4]', 'float32[8,4,1,1]'], {}, /takes 4 channels and its input has 3/],
    ['Conv', ['float32[1,3,4,4]'], {}, /input 1 is missing/],
    ['MatMul', ['float32[2,3]', 'float32[4,5]'], {}, /rows of 3 meet columns of 4/],
    ['Add', ['float32[2]', 'float32[3]'], {}, /sizes 2 and 3 do not fit/],
    ['Reshape', ['float32[2,3]', int64(4, -1)], {}, /6 elements do not divide by 4/],
    ['Reshape', ['float32[2,3]', int64(7)], {}, /2×3 elements cannot become 7/],
    ['Concat', ['float32[2,3]', 'float32[3,3]'], { axis: 1 }, /sizes 2 and 3 should be equal/],
    ['Concat', ['float32[2,3]', 'float32[3]'], { axis: 0 }, /joins 2 and 1 dimensions/],
    ['Squeeze', ['float32[2,3]', int64(0)], {}, /squeezes axis 0 of size 2/],
    ['Transpose', ['float32[2,3]'], { perm: [0, 1, 2] }, /permutes 3 axes of an input of 2/],
    ['Gather', ['float32[2,3]', 'int64[1]'], { axis: 5 }, /axis 5 does not exist in 2 dimensions/],
    ['Expand', ['float32[2,3]', int64(-4, 3)], {}, /sizes 2 and -4 do not fit/],
    ['ConstantOfShape', [int64(-1, 2)], {}, /a size would be -1/],
    ['Tile', ['float32[9007199254740991]', int64(4)], {}, /a size would be/],
    ['Slice', ['float32[4]', int64(0), int64(4), int64(0), int64(0)], {}, /a step is 0/],
    ['NoSuchOperator', ['float32[4]'], {}, /nothing is known of the operator NoSuchOperator/],
  ];
  it.each(rows.map((row) => ({ title: titleOf(row), row })))('$title', ({ row }) => {
    const [op, inputs, attributes, reason] = row;
    const { outputs, problems } = inferNode(op, inputs, attributes, 1);
    expect(outputs.map(show)).toEqual(['unknown']);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(reason);
  });
});

/** A graph of x [2,3] with whatever a test is about. */
const inferWith = (nodes: NodeRecord[], spec: Partial<ModelSpec> = {}) =>
  infer(makeGraph({ inputs: [declared('x', 'float32[2,3]')], outputs: [], nodes, ...spec }));

describe('what the file declares', () => {
  const custom = node('Custom', ['x'], ['y'], {}, 'custom', 'some.where');

  it('stands where the operator is unknown', () => {
    const facts = inferWith([custom, node('Relu', ['y'], ['z'])], {
      valueInfos: [declared('y', 'float16[5,7]')],
    });
    expect(show(facts.value('z'))).toBe('float16[5,7]');
    expect(facts.problems).toEqual([
      { node: 'custom', reason: 'nothing is known of the operator some.where.Custom' },
    ]);
  });

  it('has the sizes in it that the inputs were given', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[batch,3]')],
      outputs: [declared('y', 'float32[batch,2*batch + 1]')],
      nodes: [custom],
    });
    const facts = inferShapes(graph, { inputs: new Map([['x', [4, 3]]]) });
    expect(show(facts.value('y'))).toBe('float32[4,9]');
  });

  it('fills in single dimensions that inference does not know', () => {
    const facts = inferWith([node('NonZero', ['x'], ['y'])], {
      outputs: [declared('y', 'int64[2,found]')],
    });
    expect(show(facts.value('y'))).toBe('int64[2,found]');
  });

  it('yields to inference, silently where it is symbolic', () => {
    const facts = inferWith([node('Relu', ['x'], ['y'])], {
      valueInfos: [declared('y', 'float32[rows,columns]')],
    });
    expect(show(facts.value('y'))).toBe('float32[2,3]');
    expect(facts.problems).toEqual([]);
  });

  it('yields to inference and is listed where its numbers are wrong', () => {
    const facts = inferWith([node('Relu', ['x'], ['y'])], {
      valueInfos: [declared('y', 'float32[2,4]')],
    });
    expect(show(facts.value('y'))).toBe('float32[2,3]');
    expect(facts.problems).toEqual([
      { node: 'Relu_0', reason: 'the file declares y as 2 × 4, and it is 2 × 3' },
    ]);
  });
});

describe('broken graphs', () => {
  it('list an input that nothing gives', () => {
    const facts = inferWith([node('Add', ['x', 'nowhere'], ['y'])]);
    expect(facts.problems).toEqual([{ node: 'Add_0', reason: 'nothing gives its input nowhere' }]);
    expect(show(facts.value('y'))).toBe('float32');
  });

  it('list a cycle and go on behind it', () => {
    const facts = inferWith([
      node('Add', ['x', 'b'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Relu', ['x'], ['c']),
    ]);
    expect(facts.problems).toHaveLength(1);
    expect(facts.problems[0]!.reason).toMatch(/it waits for [ab], which waits for it/);
    expect(show(facts.value('c'))).toBe('float32[2,3]');
  });

  it('keep the first of two values of one name', () => {
    const facts = inferWith([node('Relu', ['x'], ['y']), node('Transpose', ['x'], ['y'])]);
    expect(show(facts.value('y'))).toBe('float32[2,3]');
    expect(facts.problems).toEqual([{ node: 'Transpose_1', reason: 'y is given more than once' }]);
  });

  it('do not mind nodes out of order, nodes without outputs, or names of objects', () => {
    const facts = inferWith([
      node('Relu', ['__proto__'], ['constructor']),
      node('Relu', ['x'], ['__proto__']),
      node('Relu', ['x'], []),
      node('toString', ['x'], ['y']),
    ]);
    expect(show(facts.value('constructor'))).toBe('float32[2,3]');
    expect(facts.problems.map(({ node: id }) => id)).toEqual(['toString_3']);
  });

  it('are inferred to any depth', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) =>
      node('Add', [i === 0 ? 'x' : `v${i}`, 'x'], [`v${i + 1}`]),
    );
    const facts = inferWith(chain);
    expect(show(facts.value('v20000'))).toBe('float32[2,3]');
  });

  it('do not make anything of sizes beyond all bounds', () => {
    const facts = inferWith(
      [
        node('Tile', ['x', 'repeats'], ['tiled']),
        node('Tile', ['tiled', 'repeats'], ['again']),
        node('ConstantOfShape', ['repeats'], ['ones']),
        node('Reshape', ['tiled', 'flat'], ['row']),
      ],
      {
        weights: [
          { ...int64(2 ** 40, 2 ** 40), name: 'repeats' },
          { ...int64(-1), name: 'flat' },
        ],
      },
    );
    expect(facts.value('tiled').shape).toEqual([2 ** 41, 3 * 2 ** 40]);
    expect(show(facts.value('again'))).toBe('unknown');
    expect(facts.value('ones').elements).toBeUndefined();
    expect(show(facts.value('row'))).toBe('unknown');
    expect(facts.problems.map(({ node: id }) => id)).toEqual(['Tile_1', 'Reshape_3']);
  });
});
