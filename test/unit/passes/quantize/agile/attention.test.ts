import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../../language/graph/graph';
import { inferShapes } from '../../../../../language/graph/shapes/infer';
import { float32Tensor } from '../../../../../language/onnx/tensor';
import agile from '../../../../../language/passes/quantize/agile';
import { openSession } from '../../../../../language/runtime/session';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../../models';
import { testHost } from '../../../runtime/host';

const host = testHost();

const [HEADS, TOKENS, SIZE] = [2, 6, 8];
const MASK = Array.from({ length: TOKENS * TOKENS }, (_, i) =>
  i % TOKENS > Math.floor(i / TOKENS) ? -1e9 : 0,
);

/** Two heads of queries over one head of keys and values, each token attending to those before it. */
const attention = (between: ModelSpec['nodes'] = [], probabilities = 'p'): ModelSpec => ({
  inputs: [
    value('q', [1, HEADS, TOKENS, SIZE]),
    value('k', [1, 1, TOKENS, SIZE]),
    value('v', [1, 1, TOKENS, SIZE]),
  ],
  outputs: [value('y', [1, HEADS, TOKENS, SIZE])],
  nodes: [
    node('Transpose', ['k'], ['kt'], { perm: [0, 1, 3, 2] }),
    node('MatMul', ['q', 'kt'], ['s'], {}, 'scores'),
    node('Add', ['s', 'mask'], ['masked']),
    node('Softmax', ['masked'], ['p'], { axis: -1 }),
    ...between,
    node('MatMul', [probabilities, 'v'], ['y'], {}, 'mixture'),
  ],
  weights: [
    float32Tensor('mask', MASK, [TOKENS, TOKENS]),
    float32Tensor('nothing', [0], []),
    weight('gain', [TOKENS]),
  ],
});

function sitesOf(graph: Graph) {
  const facts = inferShapes(graph, { inputs: new Map() });
  return { facts, ...agile.sites({ graph, facts }) };
}

function quantised(given: object): Graph {
  const graph = makeGraph(attention());
  const { facts, sites } = sitesOf(graph);
  const request = {
    graph,
    facts,
    sites: sites.map((site) => ({ ...site, entry: 0 })),
    parameters: agile.parameters.parse(given),
  };
  expect(agile.rewrite(request, { layers: {}, refinements: [], open: false })).toEqual([]);
  return graph;
}

async function run(graph: Graph, feeds: Readonly<Record<string, Float32Array>>) {
  const session = await openSession(host.model('attention.onnx', graph), { threads: 1 });
  const inputs = new Map(
    session.inputs.map(({ name }) => {
      const dims = [1, name === 'q' ? HEADS : 1, TOKENS, SIZE];
      return [name, { type: 'float32', dims, data: feeds[name]! }] as const;
    }),
  );
  const [output] = (await session.run(inputs)).values();
  await session.release();
  return Float32Array.from(output!.values!);
}

const numbers = (heads: number, seed: number) =>
  Float32Array.from(
    { length: heads * TOKENS * SIZE },
    (_, i) => Math.sin(seed + i * 1.7) * (i % SIZE === 0 ? 9 : 1) * (1 + (i % 5)),
  );
/** Small enough that tokens attend to several. */
const QUERIES = numbers(HEADS, 1).map((x) => x / 100);
const FEEDS = { q: QUERIES, k: numbers(1, 2), v: numbers(1, 3) };

/** What attention makes of the operands, with its own rounding of each. */
function reference(
  mixtureOf: (weights: number[], scales: number[], codes: number[][]) => number[],
) {
  const rows = (data: Float32Array) =>
    Array.from({ length: data.length / SIZE }, (_, i) => [
      ...data.subarray(i * SIZE, (i + 1) * SIZE),
    ]);
  const coded = (row: number[]) => {
    const scale = Math.max(...row.map(Math.abs)) / 127;
    return { scale, codes: row.map((x) => Math.round(x / scale)) };
  };
  const [q, k, v] = [rows(FEEDS.q), rows(FEEDS.k), rows(FEEDS.v)].map((all) => all.map(coded));
  return q!.flatMap((query, i) => {
    const scores = k!.map(({ scale, codes }, j) => {
      const sum = codes.reduce((all, code, d) => all + code * query.codes[d]!, 0);
      return j > i % TOKENS ? -Infinity : sum * scale * query.scale;
    });
    const exps = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const total = exps.reduce((a, b) => a + b, 0);
    const weights = exps.map((exp) => exp / total);
    return mixtureOf(
      weights,
      v!.map(({ scale }) => scale),
      rows(FEEDS.v),
    );
  });
}

const worst = (a: ArrayLike<number>, b: readonly number[]) =>
  b.reduce((most, x, i) => Math.max(most, Math.abs(x - a[i]!)), 0);

describe('products of attention', () => {
  it('have codes of tokens on both sides, shared heads included', async () => {
    const expected = reference((weights, scales, values) => {
      const shares = weights.map((weight, j) => weight * scales[j]!);
      const scale = Math.max(...shares) / 255;
      return Array.from({ length: SIZE }, (_, d) =>
        shares.reduce(
          (sum, share, j) =>
            sum + Math.round(share / scale) * Math.round(values[j]![d]! / scales[j]!) * scale,
          0,
        ),
      );
    });
    const graph = quantised({});
    expect(graph.order.filter(({ op }) => op === 'MatMul')).toEqual([]);
    expect(worst(await run(graph, FEEDS), expected)).toBeLessThan(1e-4);
  });

  it('shift values by logarithmic attention weights', async () => {
    const expected = reference((weights, scales, values) => {
      const powers = scales.map((scale) => 2 ** Math.ceil(Math.log2(scale)));
      const kept = weights.map((p) => {
        const bits = Math.round(-Math.log2(p));
        return bits < 16 ? 2 ** -bits : 0;
      });
      return Array.from({ length: SIZE }, (_, d) =>
        kept.reduce(
          (sum, p, j) => sum + p * powers[j]! * Math.round(values[j]![d]! / powers[j]!),
          0,
        ),
      );
    });
    const graph = quantised({ softmax: 'log2' });
    expect(graph.order.filter(({ op }) => op === 'MatMulInteger')).toHaveLength(3);
    expect(worst(await run(graph, FEEDS), expected)).toBeLessThan(1e-3);
  });

  it.each(['float', 'log2'])('do not depend on later tokens, %s', async (softmax) => {
    const graph = quantised({ softmax });
    const later = FEEDS.v.map((x, i) => (i < (TOKENS - 1) * SIZE ? x : 50 * x));
    const [a, b] = [await run(graph, FEEDS), await run(graph, { ...FEEDS, v: later })];
    const last = (TOKENS - 1) * SIZE;
    expect(b.slice(0, last)).toEqual(a.slice(0, last));
    expect(b.slice(last, TOKENS * SIZE)).not.toEqual(a.slice(last, TOKENS * SIZE));
  });

  it('stay as they are where that was asked for', () => {
    const graph = makeGraph(attention());
    const { facts, sites } = sitesOf(graph);
    const parameters = agile.parameters.parse({ attention: 16 });
    const request = {
      graph,
      facts,
      sites: sites.map((site) => ({ ...site, entry: 0 })),
      parameters,
    };
    const refused = agile.rewrite(request, { layers: {}, refinements: [], open: false });
    expect(refused.map(({ node }) => node)).toEqual(['scores', 'mixture']);
    expect(graph.order.filter(({ op }) => op === 'MatMul')).toHaveLength(2);
  });

  it.each<[title: string, spec: ModelSpec, sites: string[], reason: RegExp | undefined]>([
    ['rows that are zeroed', zeroed(), ['scores', 'mixture'], undefined],
    [
      'factors on attention weights',
      attention([node('Mul', ['p', 'gain'], ['scaled'])], 'scaled'),
      ['scores'],
      /Mul stands between/,
    ],
    ['another form of product', einsum(), ['scores'], /Einsum of two activations/],
    ['half precision', half(), [], /computes in float16/],
    ['one operator for all of it', fused(), [], /within one operator/],
  ])('with %s are taken or refused one by one', (_, spec, expected, reason) => {
    const { sites, refused } = sitesOf(makeGraph(spec));
    expect(sites.map((site) => site.node)).toEqual(expected);
    if (reason) for (const refusal of refused) expect(refusal.reason).toMatch(reason);
    expect(refused.length > 0).toBe(reason !== undefined);
  });
});

function zeroed(): ModelSpec {
  const where = [
    node('IsNaN', ['p'], ['isNaN']),
    node('Where', ['isNaN', 'nothing', 'p'], ['known']),
  ];
  return attention(where, 'known');
}

function einsum(): ModelSpec {
  const { nodes, ...spec } = attention();
  const product = node('Einsum', ['p', 'v'], ['y'], { equation: 'bhij,bhjd->bhid' }, 'mixture');
  return { ...spec, nodes: [...nodes.slice(0, -1), product] };
}

function half(): ModelSpec {
  const { inputs, ...spec } = attention();
  return {
    ...spec,
    inputs: inputs.map(({ name }) => value(name, [1, HEADS, TOKENS, SIZE], 'float16')),
  };
}

function fused(): ModelSpec {
  const all = node(
    'MultiHeadAttention',
    ['q', 'k', 'v'],
    ['y'],
    { num_heads: 2 },
    '',
    'com.microsoft',
  );
  const stream = (name: string) => value(name, [1, TOKENS, SIZE]);
  return { inputs: ['q', 'k', 'v'].map(stream), outputs: [stream('y')], nodes: [all] };
}
