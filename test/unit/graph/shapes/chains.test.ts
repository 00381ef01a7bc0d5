import { describe, expect, it } from 'vitest';
import type { Facts } from '../../../../language/graph/facts';
import type { Tensor } from '../../../../language/onnx/model';
import { makeTensor } from '../../../../language/onnx/tensor';
import { makeGraph, node } from '../../../models';
import { declared, floats, infer, int64, int64Scalar, show } from './notation';

type Step = [output: string, op: string, inputs: string[], attributes?: Parameters<typeof node>[3]];

/** A number stands for a scalar, a list for a vector; whole numbers are int64, others float32. */
type Constant = number | number[];

function follow(
  inputs: Record<string, string>,
  steps: Step[],
  constants: Record<string, Constant>,
): Facts {
  const graph = makeGraph({
    inputs: Object.entries(inputs).map(([name, text]) => declared(name, text)),
    outputs: [],
    weights: Object.entries(constants).map(([name, constant]) => ({ ...tensor(constant), name })),
    nodes: steps.map(([output, op, from, attributes]) =>
      node(op, from, output.split(' '), attributes ?? {}),
    ),
  });
  const facts = infer(graph);
  expect(facts.problems).toEqual([]);
  return facts;
}

function tensor(constant: Constant): Tensor {
  if (typeof constant === 'number') return int64Scalar(constant);
  return constant.every(Number.isInteger) ? int64(...constant) : floats(...constant);
}

describe('shape computations', () => {
  it('keep a symbol through Shape, Gather, Unsqueeze, Concat and Reshape', () => {
    const facts = follow(
      { x: 'float32[batch,197,768]' },
      [
        ['shape', 'Shape', ['x']],
        ['b', 'Gather', ['shape', 'zero']],
        ['t', 'Gather', ['shape', 'one']],
        ['b1', 'Unsqueeze', ['b', 'axis']],
        ['t1', 'Unsqueeze', ['t', 'axis']],
        ['to', 'Concat', ['b1', 't1', 'heads', 'rest'], { axis: 0 }],
        ['y', 'Reshape', ['x', 'to']],
        ['z', 'Transpose', ['y'], { perm: [0, 2, 1, 3] }],
      ],
      { zero: 0, one: 1, axis: [0], heads: [12], rest: [-1] },
    );
    expect(facts.value('to').elements?.elements).toEqual(['batch', 197, 12, -1]);
    expect(show(facts.value('z'))).toBe('float32[batch,12,197,64]');
  });

  it('cancel a product of symbols against -1', () => {
    const facts = follow(
      { x: 'float32[batch,sequence,8,64]' },
      [
        ['shape', 'Shape', ['x']],
        ['head', 'Slice', ['shape', 'zero', 'two']],
        ['to', 'Concat', ['head', 'rest'], { axis: 0 }],
        ['y', 'Reshape', ['x', 'to']],
        ['flat', 'Reshape', ['y', 'rows']],
      ],
      { zero: [0], two: [2], rest: [-1], rows: [-1, 512] },
    );
    expect(show(facts.value('y'))).toBe('float32[batch,sequence,512]');
    expect(show(facts.value('flat'))).toBe('float32[batch*sequence,512]');
  });

  it('expand by the pattern that PyTorch writes: -1 keeps, anything else broadcasts', () => {
    const facts = follow(
      { token: 'float32[1,1,96]', x: 'float32[batch,64,96]' },
      [
        ['shape', 'Shape', ['x']],
        ['b', 'Gather', ['shape', 'zero']],
        ['to', 'Concat', ['b', 'minus', 'minus'], { axis: 0 }],
        ['length', 'Shape', ['to']],
        ['ones', 'ConstantOfShape', ['length'], { value: int64(1) }],
        ['negative', 'Mul', ['ones', 'minus']],
        ['keeps', 'Equal', ['to', 'negative']],
        ['sizes', 'Where', ['keeps', 'ones', 'to']],
        ['y', 'Expand', ['token', 'sizes']],
      ],
      { zero: [0], minus: [-1] },
    );
    expect(facts.value('sizes').elements?.elements).toEqual(['batch', 1, 1]);
    expect(show(facts.value('y'))).toBe('float32[batch,1,96]');
  });

  it('grow a cache: past and new lengths add up in values and in shapes', () => {
    const facts = follow(
      { past: 'float32[batch,8,past_length,64]', key: 'float32[batch,8,step,64]' },
      [
        ['all', 'Concat', ['past', 'key'], { axis: 2 }],
        ['shape', 'Shape', ['all']],
        ['total', 'Gather', ['shape', 'two']],
        ['positions', 'Range', ['zero', 'total', 'one']],
        ['real', 'Cast', ['positions'], { to: 1 }],
        ['transposed', 'Transpose', ['all'], { perm: [0, 1, 3, 2] }],
        ['scores', 'MatMul', ['key', 'transposed']],
        ['masked', 'Add', ['scores', 'real']],
      ],
      { zero: 0, one: 1, two: 2 },
    );
    expect(show(facts.value('positions'))).toBe('int64[past_length + step]');
    expect(show(facts.value('masked'))).toBe('float32[batch,8,step,past_length + step]');
  });

  it('round sizes in floating point, as resizing exports do', () => {
    const facts = follow(
      { x: 'float32[1,3,height,33]' },
      [
        ['shape', 'Shape', ['x']],
        ['space', 'Slice', ['shape', 'two', 'four']],
        ['real', 'Cast', ['space'], { to: 1 }],
        ['half', 'Mul', ['real', 'scale']],
        ['floored', 'Floor', ['half']],
        ['sizes', 'Cast', ['floored'], { to: 7 }],
        ['front', 'Slice', ['shape', 'zero', 'two']],
        ['to', 'Concat', ['front', 'sizes'], { axis: 0 }],
        ['y', 'Resize', ['x', '', '', 'to']],
      ],
      { zero: [0], two: [2], four: [4], scale: [0.5] },
    );
    expect(show(facts.value('y'))).toBe('float32[1,3,height//2,16]');
  });

  it('take products, minima, maxima and remainders of sizes', () => {
    const facts = follow(
      { x: 'float32[batch,6,10]' },
      [
        ['shape', 'Shape', ['x']],
        ['count', 'ReduceProd', ['shape'], { keepdims: 0 }],
        ['size', 'Size', ['x']],
        ['padding', 'Mod', ['shape', 'four']],
        ['least', 'Min', ['shape', 'seven']],
        ['b t c', 'Split', ['shape'], { axis: 0 }],
        ['product', 'Mul', ['b', 't']],
        ['window', 'Div', ['c', 'four']],
      ],
      { four: [4], seven: [7] },
    );
    const elements = (name: string) => facts.value(name).elements?.elements;
    expect(elements('count')).toEqual(['60*batch']);
    expect(elements('size')).toEqual(['60*batch']);
    expect(elements('padding')).toEqual(['batch - 4*(batch//4)', 2, 2]);
    expect(elements('least')).toEqual(['min(7, batch)', 6, 7]);
    expect(elements('product')).toEqual(['6*batch']);
    expect(elements('window')).toEqual([2]);
  });

  it('slice a table to a symbolic length and reverse what is known', () => {
    const facts = follow(
      { x: 'float32[batch,sequence,64]', table: 'float32[2048,64]' },
      [
        ['shape', 'Shape', ['x']],
        ['length', 'Slice', ['shape', 'one', 'two']],
        ['rows', 'Slice', ['table', 'zero', 'length']],
        ['sum', 'Add', ['x', 'rows']],
        ['reversed', 'Slice', ['shape', 'last', 'endless', 'zero', 'back']],
      ],
      { zero: [0], one: [1], two: [2], last: [-1], endless: [-(2 ** 31)], back: [-1] },
    );
    expect(show(facts.value('sum'))).toBe('float32[batch,sequence,64]');
    expect(facts.value('reversed').elements?.elements).toEqual([64, 'sequence', 'batch']);
  });

  it('edit a shape by scattering into it', () => {
    const facts = follow(
      { x: 'float32[batch,4,5]' },
      [
        ['shape', 'Shape', ['x']],
        ['edited', 'ScatterElements', ['shape', 'at', 'twenty']],
        ['cut', 'Gather', ['edited', 'firsts']],
        ['y', 'Reshape', ['x', 'cut']],
      ],
      { at: [1], twenty: [20], firsts: [0, 1] },
    );
    expect(show(facts.value('y'))).toBe('float32[batch,20]');
  });

  it('count what a constant mask selects', () => {
    const facts = follow(
      { x: 'float32[5,4]' },
      [
        ['ones', 'ConstantOfShape', ['five'], { value: int64(1) }],
        ['found', 'NonZero', ['ones']],
        ['column', 'Transpose', ['found']],
        ['indices', 'Squeeze', ['column', 'one']],
        ['y', 'Gather', ['x', 'indices']],
      ],
      { five: [5], one: [1] },
    );
    expect(facts.value('indices').elements?.elements).toEqual([0, 1, 2, 3, 4]);
    expect(show(facts.value('y'))).toBe('float32[5,4]');
  });
});

describe('what is read', () => {
  const bomb = (name: string, elementType: 'float32' | 'int64', dims: number[]) => ({
    name,
    elementType,
    dims,
    data: {
      kind: 'computed' as const,
      compute: () => {
        throw new Error('weights are not read');
      },
    },
  });

  it('never computes weights, and no constant larger than 4096 elements', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[1,8]')],
      outputs: [],
      weights: [bomb('small', 'float32', [8]), bomb('large', 'int64', [4097])],
      nodes: [
        node('Mul', ['small', 'small'], ['square']),
        node('Add', ['x', 'square'], ['y']),
        node('Neg', ['large'], ['negative']),
      ],
    });
    const facts = infer(graph);
    expect(facts.problems).toEqual([]);
    expect(show(facts.value('y'))).toBe('float32[1,8]');
    expect(facts.value('negative').elements).toBeUndefined();
  });

  it('computes integers, which shapes may hang on', () => {
    const graph = makeGraph({
      inputs: [declared('x', 'float32[2,6]')],
      outputs: [],
      weights: [
        {
          ...makeTensor('to', 'int64', [2], new Uint8Array(16)),
          data: {
            kind: 'computed',
            compute: () => new Uint8Array(BigInt64Array.of(3n, 4n).buffer),
          },
        },
      ],
      nodes: [node('Reshape', ['x', 'to'], ['y'])],
    });
    expect(show(infer(graph).value('y'))).toBe('float32[3,4]');
  });
});
