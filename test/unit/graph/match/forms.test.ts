import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import type { DecomposedAttention } from '../../../../language/graph/match/attention';
import { roles, type Findings } from '../../../../language/graph/match/roles';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord, Tensor } from '../../../../language/onnx/model';
import { float32Tensor } from '../../../../language/onnx/tensor';
import { ints, makeGraph, node, value, weight } from '../../../models';

const number = (name: string, x: number): Tensor => float32Tensor(name, [x], []);

const NUMBERS = [
  number('half', 0.5),
  number('one', 1),
  number('two', 2),
  number('root2', Math.SQRT2),
  number('cubic', 0.044715),
  number('slope', Math.sqrt(2 / Math.PI)),
  number('quick', 1.702),
  number('eps', 1e-5),
  number('minus half', -0.5),
  number('quarter', 0.25),
];

function findingsOf(graph: Graph): Findings {
  return roles(graph, inferShapes(graph, { inputs: new Map() })).findings;
}

/** A graph of nodes on `x` [1, 8, 32] and `ctx` [1, 6, 32]; the last node makes the output. */
function graphOf(nodes: readonly NodeRecord[], weights: readonly Tensor[] = []): Graph {
  return makeGraph({
    inputs: [value('x', [1, 8, 32]), value('ctx', [1, 6, 32])],
    outputs: [value(nodes.at(-1)!.outputs[0]!)],
    nodes,
    weights: [...NUMBERS, ...weights],
  });
}

describe('activations', () => {
  it.each<[string, NodeRecord[], string]>([
    [
      'erf, halved last',
      [
        node('Div', ['x', 'root2'], ['a']),
        node('Erf', ['a'], ['b']),
        node('Add', ['b', 'one'], ['c']),
        node('Mul', ['x', 'c'], ['d']),
        node('Mul', ['d', 'half'], ['y']),
      ],
      'gelu erf y',
    ],
    [
      'erf, halved first',
      [
        node('Mul', ['x', 'half'], ['h']),
        node('Div', ['x', 'root2'], ['a']),
        node('Erf', ['a'], ['b']),
        node('Add', ['one', 'b'], ['c']),
        node('Mul', ['h', 'c'], ['y']),
      ],
      'gelu erf y',
    ],
    [
      'tanh',
      [
        node('Mul', ['x', 'x'], ['x2']),
        node('Mul', ['x2', 'x'], ['x3']),
        node('Mul', ['cubic', 'x3'], ['a']),
        node('Add', ['x', 'a'], ['b']),
        node('Mul', ['b', 'slope'], ['c']),
        node('Tanh', ['c'], ['d']),
        node('Add', ['d', 'one'], ['e']),
        node('Mul', ['half', 'x'], ['h']),
        node('Mul', ['h', 'e'], ['y']),
      ],
      'gelu tanh y',
    ],
    [
      'quick',
      [
        node('Mul', ['x', 'quick'], ['a']),
        node('Sigmoid', ['a'], ['b']),
        node('Mul', ['x', 'b'], ['y']),
      ],
      'gelu sigmoid y',
    ],
    ['swish', [node('Sigmoid', ['x'], ['a']), node('Mul', ['a', 'x'], ['y'])], 'silu sigmoid y'],
    [
      'a gate of something else',
      [node('Sigmoid', ['x'], ['a']), node('Mul', ['a', 'one'], ['y'])],
      'sigmoid operator a',
    ],
  ])('%s', (_, nodes, expected) => {
    const found = findingsOf(graphOf(nodes)).activations;
    expect(found.map(({ kind, form, output }) => `${kind} ${form} ${output}`)).toEqual([expected]);
  });
});

describe('norms', () => {
  const mean = (from: string, to: string) => node('ReduceMean', [from], [to], { axes: [-1] });
  const affine = [node('Mul', ['n', 'gamma'], ['s']), node('Add', ['s', 'beta'], ['y'])];
  const folded = [
    mean('x', 'm'),
    node('Sub', ['x', 'm'], ['d']),
    node('Mul', ['d', 'd'], ['q']),
    mean('q', 'v'),
    node('Add', ['v', 'eps'], ['e']),
    node('Sqrt', ['e'], ['r']),
    node('Reciprocal', ['r'], ['i']),
    node('Mul', ['i', 'gamma'], ['s']),
    node('Mul', ['x', 's'], ['xs']),
    node('Mul', ['m', 's'], ['ms']),
  ];
  it.each<[string, NodeRecord[], string]>([
    [
      'layer norm with Pow, Sqrt and Div',
      [
        mean('x', 'm'),
        node('Sub', ['x', 'm'], ['d']),
        node('Pow', ['d', 'two'], ['q']),
        mean('q', 'v'),
        node('Add', ['v', 'eps'], ['e']),
        node('Sqrt', ['e'], ['r']),
        node('Div', ['d', 'r'], ['n']),
        ...affine,
      ],
      'layer x y gamma beta',
    ],
    [
      'layer norm folded as TensorFlow does',
      [...folded, node('Sub', ['beta', 'ms'], ['b']), node('Add', ['xs', 'b'], ['y'])],
      'layer x y gamma beta',
    ],
    [
      'layer norm folded, the product with the mean used elsewhere',
      [
        ...folded,
        node('Sub', ['beta', 'ms'], ['b']),
        node('Add', ['xs', 'b'], ['f']),
        node('Add', ['f', 'ms'], ['y']),
      ],
      '',
    ],
    [
      'the difference turned round',
      [...folded, node('Sub', ['ms', 'beta'], ['b']), node('Add', ['xs', 'b'], ['y'])],
      '',
    ],
    [
      'layer norm with two differences and a reciprocal',
      [
        mean('x', 'm'),
        node('Sub', ['x', 'm'], ['d']),
        node('Sub', ['x', 'm'], ['d2']),
        node('Mul', ['d2', 'd2'], ['q']),
        mean('q', 'v'),
        node('Add', ['eps', 'v'], ['e']),
        node('Pow', ['e', 'minus half'], ['r']),
        node('Mul', ['r', 'd'], ['n']),
        ...affine,
      ],
      'layer x y gamma beta',
    ],
    [
      'root mean square',
      [
        node('Pow', ['x', 'two'], ['q']),
        mean('q', 'v'),
        node('Add', ['v', 'eps'], ['e']),
        node('Sqrt', ['e'], ['r']),
        node('Reciprocal', ['r'], ['i']),
        node('Mul', ['x', 'i'], ['n']),
        node('Mul', ['gamma', 'n'], ['y']),
      ],
      'rms x y gamma -',
    ],
    [
      'the operator',
      [node('LayerNormalization', ['x', 'gamma', 'beta'], ['y'])],
      'layer x y gamma beta',
    ],
  ])('%s', (_, nodes, expected) => {
    const graph = graphOf(nodes, [weight('gamma', [32]), weight('beta', [32])]);
    const found = findingsOf(graph).norms;
    expect(
      found.map(
        ({ kind, input, output, scale, shift }) =>
          `${kind} ${input} ${output} ${scale?.value ?? '-'} ${shift?.value ?? '-'}`,
      ),
    ).toEqual(expected === '' ? [] : [expected]);
  });
});

/** Attention of 4 heads of 8 on `x`, with what is asked for put in. */
interface Form {
  readonly packed?: boolean;
  readonly keyHeads?: number;
  readonly scale?: 'Div' | 'query' | 'both';
  readonly mask?: 'Add' | 'Where';
  readonly context?: string;
}

function attention({ packed, keyHeads = 4, scale, mask, context = 'x' }: Form): Graph {
  const narrow = keyHeads * 8;
  const heads = (from: string, to: string, shape: string, perm: number[]) => [
    node('Reshape', [from, shape], [`${to}r`]),
    node('Transpose', [`${to}r`], [to], { perm }),
  ];
  const repeat = (from: string, to: string) =>
    keyHeads === 4
      ? [node('Identity', [from], [to])]
      : [
          node('Unsqueeze', [from, 'axis2'], [`${to}u`]),
          node('Expand', [`${to}u`, 'expanded'], [`${to}e`]),
          node('Reshape', [`${to}e`, 'merged'], [to]),
        ];
  const tokens = context === 'x' ? 8 : 6;
  const project = packed
    ? [
        node('MatMul', ['x', 'wqkv'], ['p']),
        node('Split', ['p', 'thirds'], ['q0', 'k0', 'v0'], { axis: 2 }),
      ]
    : [
        node('MatMul', ['x', 'wq'], ['q0']),
        node('MatMul', [context, 'wk'], ['k0']),
        node('MatMul', [context, 'wv'], ['v0']),
      ];
  const scaled = (from: string, to: string, on: boolean, op = 'Mul') =>
    on ? node(op, [from, op === 'Div' ? 'two' : 'quarter'], [to]) : node('Identity', [from], [to]);
  const masked =
    mask === 'Where'
      ? node('Where', ['keep', 's1', 'quarter'], ['s2'])
      : mask === 'Add'
        ? node('Add', ['s1', 'bias'], ['s2'])
        : node('Identity', ['s1'], ['s2']);
  return graphOf(
    [
      ...project,
      ...heads('q0', 'q1', 'shape', [0, 2, 1, 3]),
      ...heads('k0', 'k1', 'kshape', [0, 2, 1, 3]),
      ...heads('v0', 'v1', 'kshape', [0, 2, 1, 3]),
      ...repeat('k1', 'k2'),
      ...repeat('v1', 'v2'),
      scaled('q1', 'q3', scale === 'query' || scale === 'both'),
      scaled('k2', 'k3', scale === 'both'),
      node('Transpose', ['k3'], ['kt'], { perm: [0, 1, 3, 2] }),
      node('MatMul', ['q3', 'kt'], ['s0'], {}, 'scores'),
      scaled('s0', 's1', scale === 'Div', 'Div'),
      masked,
      node('Softmax', ['s2'], ['a'], { axis: -1 }),
      node('MatMul', ['a', 'v2'], ['c'], {}, 'context'),
      node('Transpose', ['c'], ['ct'], { perm: [0, 2, 1, 3] }),
      node('Reshape', ['ct', 'flat'], ['cf']),
      node('MatMul', ['cf', 'wo'], ['o'], {}, 'output'),
      node('Add', ['x', 'o'], ['y'], {}, 'sum'),
    ],
    [
      weight('wqkv', [32, 96]),
      weight('wq', [32, 32]),
      weight('wk', [32, narrow]),
      weight('wv', [32, narrow]),
      weight('wo', [32, 32]),
      weight('bias', [8, tokens]),
      weight('keep', [8, tokens]),
      ints('thirds', [32, 32, 32]),
      ints('shape', [1, 8, 4, 8]),
      ints('kshape', [1, tokens, keyHeads, 8]),
      ints('axis2', [2]),
      ints('expanded', [1, keyHeads, 4 / keyHeads, tokens, 8]),
      ints('merged', [1, 4, tokens, 8]),
      ints('flat', [1, 8, 32]),
    ],
  );
}

describe('attention', () => {
  const show = (found: DecomposedAttention) => ({
    heads: `${found.heads}/${found.keyHeads}×${found.headSize}`,
    layers: [found.q, found.k, found.v, found.output]
      .map((linear) => linear?.weight.value)
      .join(' '),
    scale: `${found.scale.at} ${found.scale.factor}`,
    masks: found.masks.map(({ kind, value: at }) => `${kind} ${at}`).join(),
    cross: found.cross,
  });
  const plain = {
    heads: '4/4×8',
    layers: 'wq wk wv wo',
    scale: 'folded 1',
    masks: '',
    cross: false,
  };
  it.each<[string, Form, Partial<typeof plain>]>([
    ['separate layers, scale folded away', {}, {}],
    ['one layer for all three', { packed: true }, { layers: 'wqkv wqkv wqkv wo' }],
    ['scores divided', { scale: 'Div' }, { scale: 'scores 0.5' }],
    ['queries multiplied', { scale: 'query' }, { scale: 'query 0.25' }],
    ['both multiplied by the root', { scale: 'both' }, { scale: 'both 0.0625' }],
    ['a mask added', { mask: 'Add' }, { masks: 'added bias' }],
    ['a mask chosen by', { mask: 'Where' }, { masks: 'chosen keep' }],
    ['keys shared by two heads each', { keyHeads: 2 }, { heads: '4/2×8' }],
    ['another sequence', { context: 'ctx' }, { cross: true }],
  ])('%s', (_, form, expected) => {
    const { attentions, residuals } = findingsOf(attention(form));
    expect(attentions.map((found) => found.kind === 'decomposed' && show(found))).toEqual([
      { ...plain, ...expected },
    ]);
    expect(residuals.map(({ sum, from, kind }) => [sum, from, kind])).toEqual([
      ['sum', 'x', 'identity'],
    ]);
  });

  it('as one operator', () => {
    const layers = [
      node('MatMul', ['x', 'wq'], ['q']),
      node('MatMul', ['x', 'wk'], ['k']),
      node('MatMul', ['x', 'wv'], ['v']),
      node(
        'GroupQueryAttention',
        ['q', 'k', 'v'],
        ['a'],
        { num_heads: 4, kv_num_heads: 2 },
        'fused',
        'com.microsoft',
      ),
      node('MatMul', ['a', 'wo'], ['y']),
    ];
    const weights = [
      weight('wq', [32, 32]),
      weight('wk', [32, 16]),
      weight('wv', [32, 16]),
      weight('wo', [32, 32]),
    ];
    const [found] = findingsOf(graphOf(layers, weights)).attentions;
    expect(found).toMatchObject({
      kind: 'fused',
      node: 'fused',
      heads: 4,
      keyHeads: 2,
      headSize: 8,
    });
    expect([found?.q, found?.k, found?.v, found?.output].map((l) => l?.weight.value)).toEqual([
      'wq',
      'wk',
      'wv',
      'wo',
    ]);
  });
});
