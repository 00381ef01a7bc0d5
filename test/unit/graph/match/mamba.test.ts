/** A Mamba mixer in the three forms that exporters give its scan, and what only looks like one. */
import { describe, expect, it } from 'vitest';
import { roles } from '../../../../language/graph/match/roles';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord } from '../../../../language/onnx/model';
import { float32Tensor, makeTensor } from '../../../../language/onnx/tensor';
import { ints, makeGraph, makeModel, node, value, weight } from '../../../models';

const STEPS = 6;

/** From `decay` and `input` [1, 6, 32, 8] and `c` [1, 6, 8] to `ys` [1, 6, 32]. */
type Scan = readonly NodeRecord[];

const step = (state: string, decay: string, input: string, c: string, next: string) => [
  node('Mul', [state, decay], [`${next}.kept`], {}, `${next}.kept`),
  node('Add', [`${next}.kept`, input], [next], {}, next),
  node('Unsqueeze', [c, 'last'], [`${next}.c`]),
  node('MatMul', [next, `${next}.c`], [`${next}.y1`]),
  node('Squeeze', [`${next}.y1`, 'last'], [`${next}.y`]),
];

const body = (inputs: string[], outputs: string[], nodes: NodeRecord[]) =>
  makeModel({
    inputs: inputs.map((name) => value(name)),
    outputs: outputs.map((name) => value(name)),
    nodes,
  }).graph;

const asScan: Scan = [
  node(
    'Scan',
    ['h0', 'decay', 'input', 'c'],
    ['end', 'ys'],
    {
      num_scan_inputs: 3,
      scan_input_axes: [1, 1, 1],
      scan_output_axes: [1],
      body: body(['h', 'a', 'b', 'ct'], ['next', 'next.y'], step('h', 'a', 'b', 'ct', 'next')),
    },
    'scan',
  ),
];

const at = (from: string, index: string, to: string) =>
  node('Gather', [from, index], [to], { axis: 1 });

const asLoop: Scan = [
  node(
    'Loop',
    ['steps', 'yes', 'h0'],
    ['end', 'stacked'],
    {
      body: body(
        ['i', 'go', 'h'],
        ['going', 'next', 'next.y'],
        [
          node('Identity', ['go'], ['going']),
          at('decay', 'i', 'a'),
          at('input', 'i', 'b'),
          at('c', 'i', 'ct'),
          ...step('h', 'a', 'b', 'ct', 'next'),
        ],
      ),
    },
    'loop',
  ),
  node('Transpose', ['stacked'], ['ys'], { perm: [1, 0, 2] }),
];

const unrolledTo = (steps: number): Scan => [
  ...Array.from({ length: steps }, (_, t) => [
    at('decay', `t${t}`, `a${t}`),
    at('input', `t${t}`, `b${t}`),
    at('c', `t${t}`, `c${t}`),
    ...step(t === 0 ? 'h0' : `h${t}`, `a${t}`, `b${t}`, `c${t}`, `h${t + 1}`),
    node('Unsqueeze', [`h${t + 1}.y`, 'one axis'], [`y${t}`]),
  ]).flat(),
  node(
    'Concat',
    Array.from({ length: STEPS }, (_, t) => `y${Math.min(t, steps - 1)}`),
    ['ys'],
    {
      axis: 1,
    },
  ),
];

function mixer(scan: Scan, exponential = 'Exp') {
  const silu = (from: string, to: string) => [
    node('Sigmoid', [from], [`${to}.s`]),
    node('Mul', [from, `${to}.s`], [to]),
  ];
  const nodes = [
    node('MatMul', ['x', 'win'], ['xz'], {}, 'in'),
    node('Split', ['xz', 'halves'], ['u0', 'z'], { axis: -1 }),
    node('Transpose', ['u0'], ['ut'], { perm: [0, 2, 1] }),
    node('Conv', ['ut', 'taps'], ['uc'], { group: 32, pads: [3, 0] }, 'conv'),
    ...silu('uc', 'ua'),
    node('Transpose', ['ua'], ['u'], { perm: [0, 2, 1] }),
    node('MatMul', ['u', 'wselect'], ['dbc'], {}, 'select'),
    node('Split', ['dbc', 'parts'], ['dt0', 'b', 'c'], { axis: -1 }),
    node('MatMul', ['dt0', 'wdt'], ['dt1'], {}, 'dt'),
    node('Softplus', ['dt1'], ['dt']),
    node('Unsqueeze', ['dt', 'last'], ['dt4']),
    node('Mul', ['dt4', 'A'], ['rate']),
    node(exponential, ['rate'], ['decay']),
    node('Mul', ['dt', 'u'], ['du']),
    node('Unsqueeze', ['du', 'last'], ['du4']),
    node('Unsqueeze', ['b', 'second'], ['bu']),
    node('Mul', ['du4', 'bu'], ['input']),
    ...scan,
    node('Mul', ['u', 'D'], ['ud']),
    node('Add', ['ys', 'ud'], ['yd'], {}, 'skip'),
    ...silu('z', 'gate'),
    node('Mul', ['yd', 'gate'], ['gated']),
    node('MatMul', ['gated', 'wout'], ['o'], {}, 'out'),
    node('Add', ['x', 'o'], ['y'], {}, 'residual'),
  ];
  const graph = makeGraph({
    inputs: [value('x', [1, STEPS, 16])],
    outputs: [value('y')],
    nodes,
    weights: [
      weight('win', [16, 64]),
      weight('taps', [32, 1, 4]),
      weight('wselect', [32, 18]),
      weight('wdt', [2, 32]),
      weight('A', [32, 8]),
      weight('D', [32]),
      weight('wout', [32, 16]),
      float32Tensor('h0', new Float32Array(256), [1, 32, 8]),
      ints('halves', [32, 32]),
      ints('parts', [2, 8, 8]),
      ints('last', [-1]),
      ints('second', [2]),
      ints('one axis', [1]),
      { ...ints('steps', [STEPS]), dims: [] },
      makeTensor('yes', 'bool', [], Uint8Array.of(1)),
      ...Array.from({ length: STEPS }, (_, t) => ({ ...ints(`t${t}`, [t]), dims: [] })),
    ],
  });
  const facts = inferShapes(graph, { inputs: new Map() });
  expect(facts.problems).toEqual([]);
  return roles(graph, facts);
}

describe('a Mamba mixer', () => {
  const sums = (steps: number) =>
    Array.from({ length: steps }, (_, t) => [...(t ? [`h${t + 1}.kept`] : []), `h${t + 1}`]).flat();
  it.each<[string, Scan, string, string[]]>([
    ['a Scan', asScan, 'scan', ['scan']],
    ['a Loop', asLoop, 'loop', ['loop']],
    ['one step after another', unrolledTo(STEPS), 'unrolled', sums(STEPS)],
  ])('as %s', (_, scan, kind, nodes) => {
    const found = mixer(scan);
    const { findings } = found;
    expect(findings.mambas).toHaveLength(1);
    const [mamba] = findings.mambas;
    expect(mamba!.kind).toBe(kind);
    expect(mamba!.scans.map((scan) => scan.toSorted())).toEqual([nodes.toSorted()]);
    expect(mamba).toMatchObject({ in: { node: 'in' }, out: { node: 'out' }, convs: ['conv'] });
    expect(mamba!.selection.map((linear) => linear.node).toSorted()).toEqual(['dt', 'select']);
    expect(mamba!.skips).toContain('skip');
    expect(['in', 'conv', 'select', 'dt', 'out', ...nodes].map((id) => found.of(id))).toEqual([
      ['mamba.in'],
      ['mamba.conv'],
      ['mamba.selection'],
      ['mamba.selection'],
      ['mamba.out'],
      ...nodes.map(() => ['mamba.scan']),
    ]);
    expect(findings.residuals.map(({ sum }) => sum)).toEqual(['residual']);
  });

  it.each<[string, Scan, string]>([
    ['a state that decays by anything but an exponential, in a Scan', asScan, 'Sigmoid'],
    ['such a state in a Loop', asLoop, 'Sigmoid'],
    ['such a state step by step', unrolledTo(STEPS), 'Sigmoid'],
    ['a few steps', unrolledTo(2), 'Exp'],
  ])('is not %s', (_, scan, exponential) => {
    expect(mixer(scan, exponential).findings.mambas).toEqual([]);
  });
});
