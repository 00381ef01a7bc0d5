/** What is computed from the number of tokens: a number goes on by itself, an entry for every token would go to other tokens. */
import { expect, it } from 'vitest';
import { followAxis } from '../../../../language/graph/match/axis';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord } from '../../../../language/onnx/model';
import { int64Tensor } from '../../../../language/onnx/tensor';
import { makeGraph, node, value } from '../../../models';

const size = [node('Shape', ['x'], ['s']), node('Gather', ['s', 'one'], ['n'])];
const positions = [
  node('Range', ['zero', 'n', 'one'], ['r']),
  node('Unsqueeze', ['r', 'last'], ['column']),
  node('Cast', ['column'], ['c'], { to: 1 }),
];

function follow(nodes: readonly NodeRecord[]) {
  const graph = makeGraph({
    inputs: [value('x', [1, 5, 4])],
    outputs: [value('y', [1, 4])],
    nodes: [...size, ...nodes, node('Gather', ['t', 'zero'], ['y'], { axis: 1 })],
    weights: [
      int64Tensor('zero', [0], []),
      int64Tensor('one', [1], []),
      int64Tensor('last', [1], [1]),
    ],
  });
  return followAxis(graph, inferShapes(graph, { inputs: new Map() }), 'x', 1);
}

it('goes on where tokens are divided by how many there are', () => {
  const nodes = [node('Cast', ['n'], ['count'], { to: 1 }), node('Div', ['x', 'count'], ['t'])];
  expect(follow(nodes)).toMatchObject({ ok: true, readouts: [expect.any(String)] });
});

it('stops where positions counted from nought would go to the tokens that are left', () => {
  const reason = 'c has an entry for every token';
  expect(follow([...positions, node('Add', ['x', 'c'], ['t'])])).toMatchObject({
    ok: false,
    reason,
  });
});
