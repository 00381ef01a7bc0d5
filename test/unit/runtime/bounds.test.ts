import { describe, expect, it } from 'vitest';
import { indexBound } from '../../../language/runtime/bounds';
import { makeTensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight } from '../../models';

const table = weight('table', [50, 8]);
const codes = makeTensor('codes', 'uint8', [30, 4], new Uint8Array(120));

describe('what the integers of an input may be', () => {
  const cases: [string, Parameters<typeof node>[], number | undefined][] = [
    ['rows of a table', [['Gather', ['table', 'ids'], ['y']]], 50],
    ['columns of a table', [['Gather', ['table', 'ids'], ['y'], { axis: 1 }]], 8],
    ['columns counted from the end', [['Gather', ['table', 'ids'], ['y'], { axis: -1 }]], 8],
    ['entries one by one', [['GatherElements', ['table', 'ids'], ['y']]], 50],
    [
      'rows after a change of type and shape',
      [
        ['Cast', ['ids'], ['a'], { to: 7 }],
        ['Unsqueeze', ['a', 'axes'], ['b']],
        ['Reshape', ['b', 'shape'], ['c']],
        ['Gather', ['table', 'c'], ['y']],
      ],
      50,
    ],
    [
      'rows of a quantised table',
      [
        ['DequantizeLinear', ['codes', 'scale'], ['wide']],
        ['Gather', ['wide', 'ids'], ['y']],
      ],
      30,
    ],
    [
      'rows of two tables',
      [
        ['Gather', ['table', 'ids'], ['y']],
        ['Gather', ['codes', 'ids'], ['z']],
      ],
      30,
    ],
    ['the table itself', [['Gather', ['ids', 'table'], ['y']]], undefined],
    [
      'numbers',
      [
        ['Cast', ['ids'], ['a'], { to: 1 }],
        ['Mul', ['a', 'a'], ['y']],
      ],
      undefined,
    ],
    [
      'rows of a computed table',
      [
        ['Relu', ['x'], ['t']],
        ['Gather', ['t', 'ids'], ['y']],
      ],
      undefined,
    ],
    [
      'the shape of something',
      [
        ['Reshape', ['x', 'ids'], ['a']],
        ['Gather', ['table', 'a'], ['y']],
      ],
      undefined,
    ],
    [
      'a circle',
      [
        ['Identity', ['b'], ['a']],
        ['Concat', ['ids', 'a'], ['b'], { axis: 0 }],
      ],
      undefined,
    ],
  ];
  for (const [what, nodes, bound] of cases)
    it(`that are ${what}`, () => {
      const graph = makeGraph({
        inputs: [value('ids', ['n'], 'int64'), value('x', ['n'])],
        outputs: [value('y')],
        weights: [table, codes],
        nodes: nodes.map((args) => node(...args)),
      });
      expect(indexBound(graph, 'ids')).toBe(bound);
    });
});
