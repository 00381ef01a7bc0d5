import { describe, expect, it } from 'vitest';
import { bindShapes } from '../../../language/graph/bindings';
import type { ShapeBindings } from '../../../language/graph/facts';
import { makeGraph } from '../../models';
import { declared, showDim } from './shapes/notation';

function bind(inputs: Record<string, string>, bindings: ShapeBindings) {
  const graph = makeGraph({
    inputs: Object.entries(inputs).map(([name, text]) => declared(name, text)),
    outputs: [],
    nodes: [],
  });
  const bound = bindShapes(graph, bindings);
  const shapes = [...bound.inputs].map(([name, shape]) => [name, shape.map(showDim).join(',')]);
  return { ...bound, inputs: Object.fromEntries(shapes) as Record<string, string> };
}

describe('free dimensions', () => {
  it('are a batch of 1 in front, everywhere the symbol stands', () => {
    expect(bind({ image: 'float32[batch,3,32,32]', t: 'float32[batch]' }, {})).toEqual({
      inputs: { image: '1,3,32,32', t: '1' },
      assumed: { batch: 1 },
      free: [],
    });
  });

  it('are no batch in vectors', () => {
    expect(bind({ tokens: 'int64[length]' }, {})).toEqual({
      inputs: { tokens: 'length' },
      assumed: {},
      free: [{ symbol: 'length', inputs: ['tokens'] }],
    });
  });

  it('keep their symbols behind the batch, listed with their inputs', () => {
    const inputs = { ids: 'int64[batch,sequence]', mask: 'int64[batch,sequence]' };
    expect(bind(inputs, {})).toEqual({
      inputs: { ids: '1,sequence', mask: '1,sequence' },
      assumed: { batch: 1 },
      free: [{ symbol: 'sequence', inputs: ['ids', 'mask'] }],
    });
  });

  it('get a symbol when they have none, and 0 counts as none', () => {
    expect(bind({ x: 'float32[?,3,0,?]' }, {})).toEqual({
      inputs: { x: '1,3,x_axis2,x_axis3' },
      assumed: { 'x[0]': 1 },
      free: [
        { symbol: 'x_axis2', inputs: ['x'] },
        { symbol: 'x_axis3', inputs: ['x'] },
      ],
    });
  });

  it('are left out where not even the rank is known', () => {
    expect(bind({ x: 'float32' }, {}).inputs).toEqual({});
  });
});

describe('bindings', () => {
  const image = { image: 'float32[batch,3,?,?]', label: 'int64[batch]' };
  const rows: [string, Record<string, string>, ShapeBindings, Record<string, string>][] = [
    ['by symbol', image, { batch: 4 }, { image: '4,3,image_axis2,image_axis3', label: '4' }],
    [
      'by input, symbols elsewhere too',
      image,
      { image: [8, 3, 64, 48] },
      { image: '8,3,64,48', label: '8' },
    ],
    [
      'of unnamed dimensions',
      image,
      { image_axis2: 64, 'image[3]': 48 },
      { image: '1,3,64,48', label: '1' },
    ],
    ['of an unnamed batch', { x: 'float32[?,3]' }, { 'x[0]': 4 }, { x: '4,3' }],
    ['of a vector by one number', { x: 'float32[?]' }, { x: 7 }, { x: '7' }],
    ['of a shape without rank', { x: 'float32' }, { x: [2, 3] }, { x: '2,3' }],
    ['of nothing at all: size 0', { x: 'float32[1,past]' }, { past: 0 }, { x: '1,0' }],
    [
      'of expressions by their symbols',
      { mask: 'int64[batch,past + sequence]' },
      { past: 5, sequence: 16 },
      { mask: '1,21' },
    ],
    [
      'of symbols by an expression',
      {
        mask: 'int64[batch,past + sequence]',
        ids: 'int64[batch,sequence]',
        key: 'float32[batch,past]',
      },
      { mask: [1, 21], sequence: 16 },
      { mask: '1,21', ids: '1,16', key: '1,5' },
    ],
    [
      'of a batch by a multiple of it',
      { both: 'float32[2*batch,4]', one: 'float32[batch,4]' },
      { both: [8, 4] },
      { both: '8,4', one: '4,4' },
    ],
  ];
  it.each(rows)('%s', (_, inputs, bindings, expected) => {
    expect(bind(inputs, bindings).inputs).toEqual(expected);
  });

  it('leave a symbol free that only an expression uses', () => {
    expect(bind({ mask: 'int64[batch,past + 1]' }, {}).free).toEqual([
      { symbol: 'past', inputs: ['mask'] },
    ]);
  });
});

describe('contradictions', () => {
  const image = { image: 'float32[batch,3,height,32]', label: 'int64[batch]' };
  const rows: [string, Record<string, string>, ShapeBindings, RegExp][] = [
    ['of a name that is near another', image, { bacth: 1 }, /called bacth.*Did you mean batch\?/],
    ['of a name that is near none', image, { quux: 1 }, /called quux.*It has image, label, batch/],
    ['of ranks', image, { image: [1, 3, 32] }, /has 4 dimensions and was given 3/],
    [
      'of a symbol with itself',
      image,
      { image: [2, 3, 8, 32], label: [4] },
      /batch is 2 and, by label, also 4/,
    ],
    [
      'of a symbol with an input',
      image,
      { batch: 2, label: [4] },
      /batch is 2 and, by label, also 4/,
    ],
    [
      'of a fixed size',
      image,
      { image: [1, 4, 8, 32] },
      /image\[1\] is 3 in the model and cannot be 4/,
    ],
    ['with what a size is', image, { height: -1 }, /-1 is no size for height/],
    [
      'with what a size is, in a shape',
      image,
      { image: [1, 3, 0.5, 32] },
      /0.5 is no size for image\[2\]/,
    ],
    ['of one size for many dimensions', image, { image: 4 }, /needs a whole shape/],
    ['of many sizes for one dimension', image, { height: [1, 2] }, /takes one size, not 2/],
    [
      'with an expression',
      { x: 'float32[1,a + 1]', y: 'float32[1,a]' },
      { a: 3, x: [1, 9] },
      /is a \+ 1, which makes 4, not 9/,
    ],
  ];
  it.each(rows)('%s', (_, inputs, bindings, message) => {
    expect(() => bind(inputs, bindings)).toThrow(message);
  });
});
