/** Parts of networks, written by hand in the forms that exporters give them; names tell nothing. */
import { describe, expect, it } from 'vitest';
import { roles, type Findings, type Roles } from '../../../../language/graph/match/roles';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord, Tensor, ValueInfo } from '../../../../language/onnx/model';
import { float32Tensor } from '../../../../language/onnx/tensor';
import { ints, makeGraph, node, value, weight } from '../../../models';

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

describe('embeddings', () => {
  const patches = (attributes: object, w: number[], shape: number[]): Parts => ({
    input: value('x', [1, 3, 32, 32]),
    nodes: [
      node('Conv', ['x', 'w'], ['c'], { ...attributes }, 'patches'),
      node('Reshape', ['c', 'flat'], ['f']),
      node('Transpose', ['f'], ['y'], { perm: [0, 2, 1] }),
    ],
    weights: [weight('w', w), ints('flat', shape)],
  });

  it('of patches are convolutions that read every pixel once', () => {
    const parts = patches({ strides: [8, 8] }, [24, 3, 8, 8], [1, 24, 16]);
    expect(findingsIn(parts).embeddings.patches).toMatchObject([
      { kind: 'convolution', node: 'patches', input: 'x', patch: [8, 8], width: 24, output: 'y' },
    ]);
  });

  it.each<[string, Parts]>([
    ['overlap', patches({ strides: [6, 6] }, [24, 3, 8, 8], [1, 24, 25])],
    ['are padded', patches({ strides: [8, 8], pads: [4, 4, 4, 4] }, [24, 3, 8, 8], [1, 24, 25])],
    ['are single pixels', patches({ strides: [1, 1] }, [24, 3, 1, 1], [1, 24, 1024])],
    ['keep channels apart', patches({ strides: [8, 8], group: 3 }, [24, 1, 8, 8], [1, 24, 16])],
  ])('of patches are none that %s', (_, parts) => {
    expect(findingsIn(parts).embeddings.patches).toEqual([]);
  });

  it('of patches may be a layer that reads them unfolded', () => {
    const { embeddings } = findingsIn({
      input: value('x', [1, 3, 32, 32]),
      nodes: [
        node('Reshape', ['x', 'cut'], ['c']),
        node('Transpose', ['c'], ['t'], { perm: [0, 2, 4, 3, 5, 1] }),
        node('Reshape', ['t', 'flat'], ['f']),
        dense('f', 'y'),
      ],
      weights: [
        ints('cut', [1, 3, 4, 8, 4, 8]),
        ints('flat', [1, 16, 192]),
        weight('y.w', [192, 24]),
      ],
    });
    expect(embeddings.patches).toMatchObject([
      { kind: 'linear', node: 'y', input: 'x', patch: undefined, width: 24, output: 'y' },
    ]);
  });

  const tokens = (joined: string[], ...others: NodeRecord[]): Parts => ({
    input: value('ids', [1, 6], 'int64'),
    nodes: [
      node('Gather', ['table', 'ids'], ['e'], {}, 'table'),
      node('Concat', joined, ['t'], { axis: 1 }, 'join'),
      node('Add', ['t', 'places'], ['p'], {}, 'add'),
      ...others,
      dense('p', 'y'),
    ],
    weights: [
      weight('table', [100, 16]),
      weight('class', [1, 1, 16]),
      weight('registers', [1, 4, 16], 2),
      weight('places', [1, 7, 16], 3),
      weight('y.w', [16, 16]),
    ],
  });

  it('of tokens are tables, then class tokens and positions', () => {
    expect(findingsIn(tokens(['class', 'e'])).embeddings).toMatchObject({
      patches: [],
      tables: [{ node: 'table', entries: 100, width: 16, output: 'e' }],
      classTokens: [{ node: 'join', value: 'class', tokens: 1, at: 0, output: 't' }],
      positions: [{ node: 'add', value: 'places', output: 'p' }],
    });
  });

  it('may join the class token behind the others', () => {
    const { classTokens } = findingsIn(tokens(['e', 'class'])).embeddings;
    expect(classTokens).toMatchObject([{ value: 'class', at: 6 }]);
  });

  it('do not take what a layer adds later for a position', () => {
    const { embeddings } = findingsIn({
      input: value('x', [1, 6, 16]),
      nodes: [dense('x', 'd'), node('Add', ['d', 'places'], ['y'])],
      weights: [weight('d.w', [16, 16]), weight('places', [1, 6, 16])],
    });
    expect(embeddings).toEqual({ patches: [], tables: [], positions: [], classTokens: [] });
  });
});

describe('heads', () => {
  const x = value('x', [1, 8, 16]);
  const body = [dense('x', 'd'), node('Add', ['x', 'd'], ['s'])];
  const normed = node('LayerNormalization', ['s', 'one', 'zero'], ['n'], { axis: -1 });
  const weights = [
    weight('d.w', [16, 16]),
    weight('h.w', [16, 10]),
    weight('one', [16]),
    weight('zero', [16], 2),
    ints('first', [0]),
    ints('second', [1]),
    ints('last', [-1]),
    ints('far', [9]),
    ints('one axis', [1]),
    { ...ints('place', [0]), dims: [] },
  ];
  const behind = (...nodes: NodeRecord[]) =>
    findingsIn({ input: x, nodes: [...body, ...nodes], weights }).heads;

  it.each<[string, NodeRecord[], object]>([
    [
      'a class token that a Gather takes',
      [normed, node('Gather', ['n', 'place'], ['p'], { axis: 1 }, 'pick'), dense('p', 'h')],
      { kind: 'token', node: 'pick', index: 0 },
    ],
    [
      'a class token taken before the norm',
      [
        node('Slice', ['s', 'first', 'second', 'one axis'], ['p'], {}, 'pick'),
        node('LayerNormalization', ['p', 'one', 'zero'], ['pn'], { axis: -1 }),
        dense('pn', 'h'),
        node('Softmax', ['h'], ['y']),
      ],
      { kind: 'token', node: 'pick' },
    ],
    [
      'the mean of all tokens',
      [
        normed,
        node('ReduceMean', ['n'], ['p'], { axes: [1], keepdims: 0 }, 'mean'),
        dense('p', 'h'),
      ],
      { kind: 'mean', node: 'mean' },
    ],
    ['nothing pooled: a result for each token', [normed, dense('n', 'h')], { kind: 'none' }],
  ])('read %s', (_, nodes, pool) => {
    expect(behind(...nodes)).toMatchObject([{ node: 'h', pool }]);
  });

  it('of convolutional networks read the mean of all pixels', () => {
    const { heads } = findingsIn({
      input: value('x', [1, 8, 6, 6]),
      nodes: [
        node('Conv', ['x', 'c.w'], ['c'], {}, 'c'),
        node('Relu', ['c'], ['r']),
        node('GlobalAveragePool', ['r'], ['p'], {}, 'pool'),
        node('Flatten', ['p'], ['f']),
        node('Gemm', ['f', 'h.w'], ['y'], {}, 'head'),
      ],
      weights: [weight('c.w', [16, 8, 3, 3]), weight('h.w', [16, 10])],
    });
    expect(heads).toEqual([{ node: 'head', outputs: ['y'], pool: { kind: 'mean', node: 'pool' } }]);
  });

  it('are none where the residual stream itself is handed out', () => {
    expect(behind()).toEqual([]);
  });
});
