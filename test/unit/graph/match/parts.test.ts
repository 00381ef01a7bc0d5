/** Parts of networks, written by hand in the forms that exporters give them; names tell nothing. */
import { describe, expect, it } from 'vitest';
import { roles, type Findings, type Roles } from '../../../../language/graph/match/roles';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { GraphRecord, NodeRecord, Tensor, ValueInfo } from '../../../../language/onnx/model';
import { float32Tensor } from '../../../../language/onnx/tensor';
import { ints, makeGraph, makeModel, node, value, weight } from '../../../models';

interface Parts {
  readonly input: ValueInfo;
  readonly nodes: readonly NodeRecord[];
  readonly weights?: readonly Tensor[];
}

function rolesIn({ input, nodes, weights = [] }: Parts): Roles {
  const graph = makeGraph({
    inputs: [input],
    outputs: [value(nodes.at(-1)!.outputs[0]!)],
    nodes,
    weights,
  });
  return roles(graph, inferShapes(graph, { inputs: new Map() }));
}
const findingsIn = (parts: Parts): Findings => rolesIn(parts).findings;

/** A layer of weights alone. */
const dense = (from: string, to: string) => node('MatMul', [from, `${to}.w`], [to], {}, to);
const silu = (from: string, to: string) => [
  node('Sigmoid', [from], [`${to}.s`]),
  node('Mul', [from, `${to}.s`], [to]),
];

describe('feed-forward blocks', () => {
  const x = value('x', [1, 8, 16]);
  const plainWeights = [weight('u.w', [16, 64]), weight('y.w', [64, 16])];
  const gatedWeights = [weight('u.w', [16, 64]), weight('g.w', [16, 64]), weight('d.w', [64, 16])];
  const show = ({ mlps }: Findings) =>
    mlps.map(({ kind, up, gate, down, activation, hidden, residual }) =>
      [kind, up.node, gate?.node ?? '-', down.node, activation.kind, hidden, residual ?? '-'].join(
        ' ',
      ),
    );

  it.each<[string, Parts, string[]]>([
    [
      'plain, with a bias',
      {
        input: x,
        nodes: [
          dense('x', 'u'),
          node('Add', ['u', 'b'], ['ub']),
          node('Relu', ['ub'], ['a']),
          dense('a', 'y'),
        ],
        weights: [...plainWeights, weight('b', [64])],
      },
      ['plain u - y relu 64 -'],
    ],
    [
      'plain as Gemm of flattened tokens, on a residual stream',
      {
        input: x,
        nodes: [
          node('Reshape', ['x', 'rows'], ['r']),
          node('Gemm', ['r', 'u.w', 'b'], ['u'], {}, 'u'),
          node('Gelu', ['u'], ['a']),
          node('Gemm', ['a', 'y.w'], ['d'], {}, 'd'),
          node('Reshape', ['d', 'tokens'], ['dt']),
          node('Add', ['x', 'dt'], ['y'], {}, 'sum'),
        ],
        weights: [
          ...plainWeights,
          weight('b', [64]),
          ints('rows', [-1, 16]),
          ints('tokens', [1, 8, 16]),
        ],
      },
      ['plain u - d gelu 64 sum'],
    ],
    [
      'gated, the gate on the left',
      {
        input: x,
        nodes: [
          dense('x', 'g'),
          dense('x', 'u'),
          ...silu('g', 'a'),
          node('Mul', ['a', 'u'], ['p']),
          dense('p', 'd'),
          node('Add', ['d', 'x'], ['y'], {}, 'sum'),
        ],
        weights: gatedWeights,
      },
      ['gated u g d silu 64 sum'],
    ],
    [
      'gated by halves of one layer',
      {
        input: x,
        nodes: [
          dense('x', 'u'),
          node('Split', ['u', 'halves'], ['h0', 'h1'], { axis: -1 }),
          ...silu('h1', 'a'),
          node('Mul', ['h0', 'a'], ['p']),
          dense('p', 'd'),
        ],
        weights: [weight('u.w', [16, 128]), weight('d.w', [64, 16]), ints('halves', [64, 64])],
      },
      ['gated u u d silu 64 -'],
    ],
    [
      'no activation between',
      { input: x, nodes: [dense('x', 'u'), dense('u', 'y')], weights: plainWeights },
      [],
    ],
    [
      'an activation of something else than a layer',
      {
        input: x,
        nodes: [node('Relu', ['x'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
        weights: [weight('w', [16, 16])],
      },
      [],
    ],
  ])('%s', (_, parts, expected) => {
    expect(show(findingsIn(parts))).toEqual(expected);
  });
});

describe('convolution blocks', () => {
  const x = value('x', [1, 8, 12, 12]);
  const normed = (from: string, to: string) =>
    node('BatchNormalization', [from, 'one', 'zero', 'zero', 'one'], [to]);
  const channels = (n: number) => [
    float32Tensor('one', Array<number>(n).fill(1)),
    float32Tensor('zero', Array<number>(n).fill(0)),
  ];
  const conv = (from: string, to: string, attributes = {}) =>
    node('Conv', [from, `${to}.w`], [to], attributes, to);
  const same = { pads: [1, 1, 1, 1] };
  const blocks = ({ convBlocks }: Findings) =>
    convBlocks.map(({ node: id, kind, from, to, norm, activation, output }) =>
      [id, kind, `${from}→${to}`, norm?.kind ?? '-', activation?.kind ?? '-', output].join(' '),
    );
  const chains = ({ convChains }: Findings) =>
    convChains.map(({ kind, blocks: row, residual }) =>
      [kind, ...row.map(({ node: id }) => id), residual?.sum ?? '-'].join(' '),
    );

  it('take norm and activation behind them along', () => {
    const found = findingsIn({
      input: x,
      nodes: [
        conv('x', 'a', same),
        normed('a', 'an'),
        node('Clip', ['an', 'low', 'high'], ['ar']),
        conv('ar', 'b'),
        node('Add', ['b', 'bias'], ['bb']),
        node('Relu', ['bb'], ['br']),
        node('ConvTranspose', ['br', 'c.w'], ['c'], { strides: [2, 2] }, 'c'),
      ],
      weights: [
        weight('a.w', [8, 8, 3, 3]),
        weight('b.w', [16, 8, 1, 1]),
        weight('bias', [16, 1, 1]),
        weight('c.w', [16, 4, 2, 2]),
        float32Tensor('low', [0], []),
        float32Tensor('high', [6], []),
        ...channels(8),
      ],
    });
    expect(blocks(found)).toEqual([
      'a standard 8→8 batch relu6 ar',
      'b pointwise 8→16 - relu br',
      'c transposed 16→4 - - c',
    ]);
  });

  it.each<[string, Parts, string[]]>([
    [
      'inverted residuals',
      {
        input: x,
        nodes: [
          conv('x', 'a'),
          node('Relu', ['a'], ['ar']),
          conv('ar', 'b', { ...same, group: 32 }),
          node('Relu', ['b'], ['br']),
          conv('br', 'c'),
          node('Add', ['x', 'c'], ['y'], {}, 'sum'),
        ],
        weights: [
          weight('a.w', [32, 8, 1, 1]),
          weight('b.w', [32, 1, 3, 3]),
          weight('c.w', [8, 32, 1, 1]),
        ],
      },
      ['inverted-residual a b c sum'],
    ],
    [
      'bottlenecks',
      {
        input: x,
        nodes: [
          conv('x', 'a'),
          node('Relu', ['a'], ['ar']),
          conv('ar', 'b', same),
          node('Relu', ['b'], ['br']),
          conv('br', 'c'),
          node('Add', ['c', 'x'], ['s'], {}, 'sum'),
          node('Relu', ['s'], ['y']),
        ],
        weights: [
          weight('a.w', [4, 8, 1, 1]),
          weight('b.w', [4, 4, 3, 3]),
          weight('c.w', [8, 4, 1, 1]),
        ],
      },
      ['bottleneck a b c sum'],
    ],
    [
      'basic blocks',
      {
        input: x,
        nodes: [
          conv('x', 'a', same),
          node('Relu', ['a'], ['ar']),
          conv('ar', 'b', same),
          node('Add', ['b', 'x'], ['y'], {}, 'sum'),
        ],
        weights: [weight('a.w', [8, 8, 3, 3]), weight('b.w', [8, 8, 3, 3])],
      },
      ['basic a b sum'],
    ],
    [
      'depthwise-separable ones',
      {
        input: x,
        nodes: [
          conv('x', 'a', { ...same, group: 8 }),
          node('Relu', ['a'], ['ar']),
          conv('ar', 'b'),
        ],
        weights: [weight('a.w', [8, 1, 3, 3]), weight('b.w', [16, 8, 1, 1])],
      },
      ['depthwise-separable a b -'],
    ],
    [
      'no chain where something else reads what is between',
      {
        input: x,
        nodes: [
          conv('x', 'a', { ...same, group: 8 }),
          conv('a', 'b'),
          node('Add', ['a', 'b'], ['y']),
        ],
        weights: [weight('a.w', [8, 1, 3, 3]), weight('b.w', [8, 8, 1, 1])],
      },
      [],
    ],
  ])('form %s', (_, parts, expected) => {
    expect(chains(findingsIn(parts))).toEqual(expected);
  });
});
