import { describe, expect, it } from 'vitest';
import { checkGraph } from '../../../language/graph/check';
import { Graph } from '../../../language/graph/graph';
import type { GraphRecord, NodeRecord } from '../../../language/onnx/model';
import { readModelFile } from '../../../language/onnx/read';
import { ints, makeGraph, makeModel, node, value, weight, type ModelSpec } from '../../models';
import { modelFiles } from '../../shared';

const X = value('x', [2, 3]);
const Y = value('y');

const graphOf = (nodes: NodeRecord[], more: Partial<ModelSpec> = {}): Graph =>
  makeGraph({ inputs: [X], outputs: [Y], nodes, ...more });

const body = (nodes: NodeRecord[], output: string, inputs: string[] = []): GraphRecord =>
  makeModel({ inputs: inputs.map((name) => value(name)), outputs: [value(output)], nodes }).graph;

const branches = (then: GraphRecord) =>
  node('If', ['c'], ['y'], {
    then_branch: then,
    else_branch: body([node('Abs', ['x'], ['e'])], 'e'),
  });

const CONDITION = [weight('c', [])];

describe('a sound graph', () => {
  it('gives no cause for complaint', () => {
    expect(checkGraph(graphOf([node('Relu', ['x'], ['h']), node('Abs', ['h'], ['y'])]))).toEqual(
      [],
    );
  });

  it('may capture what is around a body', () => {
    const nodes = [
      node('Exp', ['x'], ['around']),
      branches(body([node('Neg', ['around'], ['t'])], 't')),
    ];
    expect(checkGraph(graphOf(nodes, { weights: CONDITION }))).toEqual([]);
  });

  it('may give inputs a default', () => {
    const inputs = [X, value('w', [3])];
    const graph = graphOf([node('Add', ['x', 'w'], ['y'])], {
      inputs,
      weights: [weight('w', [3])],
    });
    expect(checkGraph(graph)).toEqual([]);
  });
});

describe('a broken graph is told', () => {
  it.each<[string, Graph, RegExp]>([
    [
      'a value that nothing makes',
      graphOf([node('Add', ['x', 'gone'], ['y'])]),
      /reads gone, which nothing makes/,
    ],
    [
      'a value that is made later',
      graphOf([node('Abs', ['h'], ['y'], {}, 'second'), node('Relu', ['x'], ['h'])]),
      /second reads h, before it is made/,
    ],
    [
      'a value that is made twice',
      graphOf([node('Relu', ['x'], ['y']), node('Abs', ['x'], ['y'], {}, 'again')]),
      /y is made twice, the second time by again/,
    ],
    [
      'a value that an input gives already',
      graphOf([node('Relu', ['x'], ['x']), node('Abs', ['x'], ['y'])]),
      /x is made twice/,
    ],
    [
      'a circle',
      graphOf([
        node('Add', ['x', 'b'], ['a'], {}, 'A'),
        node('Relu', ['a'], ['b']),
        node('Abs', ['b'], ['y']),
      ]),
      /A depends on its own result/,
    ],
    [
      'an output without a producer',
      graphOf([node('Relu', ['x'], ['h'])]),
      /output y is made by nothing/,
    ],
    [
      'a missing input',
      graphOf([node('MatMul', ['x'], ['y'])]),
      /its input 1, which MatMul needs, is missing/,
    ],
    ['an input too many', graphOf([node('Relu', ['x', 'x'], ['y'])]), /Relu takes 1/],
    ['no operator', graphOf([node('', ['x'], ['y'])]), /no operator/],
    [
      'an attribute of the wrong kind',
      graphOf([node('Transpose', ['x'], ['y'], { perm: 'NCHW' })]),
      /attribute perm is of the kind string and should be ints/,
    ],
    [
      'a domain without a version',
      graphOf([node('Gelu', ['x'], ['y'], {}, '', 'com.microsoft')]),
      /domain com.microsoft, which the model does not import/,
    ],
    [
      'a weight of another type than declared',
      graphOf([node('Add', ['x', 'w'], ['y'])], {
        weights: [ints('w', [1, 2, 3])],
        valueInfos: [value('w', [3])],
      }),
      /w is declared as float32, and it is int64/,
    ],
    [
      'a weight of another shape than declared',
      graphOf([node('Add', ['x', 'w'], ['y'])], {
        weights: [weight('w', [3])],
        valueInfos: [value('w', [4])],
      }),
      /w is declared as 4, and it is 3/,
    ],
    [
      'a body that reads what is made after it',
      graphOf([branches(body([node('Neg', ['late'], ['t'])], 't')), node('Exp', ['x'], ['late'])], {
        weights: CONDITION,
      }),
      /reads late, which nothing makes/,
    ],
    [
      'a body that hides a value around it',
      graphOf([node('Exp', ['x'], ['h']), branches(body([node('Neg', ['x'], ['h'])], 'h'))], {
        weights: CONDITION,
      }),
      /h, made by .*, hides the value/,
    ],
    [
      'a value of a body that is read outside',
      graphOf([branches(body([node('Neg', ['x'], ['t'])], 't')), node('Exp', ['t'], ['z'])], {
        weights: CONDITION,
      }),
      /reads t, which nothing makes/,
    ],
  ])('%s', (_, graph, complaint) => {
    expect(checkGraph(graph).join('\n')).toMatch(complaint);
  });
});

describe('real models', () => {
  // These use domains that they do not import.
  const broken = /finn_|qonnx/;
  it.for(modelFiles('samples', 'trained', 'found').filter((file) => !broken.test(file)))(
    '%s gives no cause for complaint',
    (file) => {
      expect(checkGraph(Graph.of(readModelFile(file)))).toEqual([]);
    },
  );
});
