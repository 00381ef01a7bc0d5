/** Products in the bodies of loops: which are taken out, that nothing else changes, and that they run on integers. */
import { describe, expect, it } from 'vitest';
import { bindShapes } from '../../../../language/graph/bindings';
import { Graph, subgraphs } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { GraphRecord, NodeRecord } from '../../../../language/onnx/model';
import { readModelFile } from '../../../../language/onnx/read';
import type { ElementType } from '../../../../language/onnx/schema';
import { float32Tensor, makeTensor } from '../../../../language/onnx/tensor';
import int8 from '../../../../language/passes/quantize/int8';
import { takeOut } from '../../../../language/passes/quantize/int8/bodies';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { ints, makeGraph, makeModel, node, value, weight } from '../../../models';
import { stepsOf } from '../../recipe/subject';
import { testHost } from '../../runtime/host';
import { costs, preview, reopened, run } from '../subject';

const host = testHost();
const SIZES = { batch: 2, length: 5 };

const ROWS = [1, 1000, 3, 0.02, 30, 0.3];
const vector = (name: string, numbers: readonly number[], dims = [numbers.length]) =>
  float32Tensor(name, numbers, dims);

/** y = Ch and a skip, from states whose rows differ in size: `h`, `xt` [batch, 6] and `ct` [batch, 4] make `next` and `y`. */
const STEP = [
  node('Constant', [], ['last'], { value: ints('', [-1]) }),
  node('Unsqueeze', ['xt', 'last'], ['x3']),
  node('Mul', ['x3', 'B'], ['input']),
  node('Mul', ['h', 'decay'], ['kept']),
  node('Add', ['kept', 'input'], ['next']),
  node('Unsqueeze', ['ct', 'last'], ['c3']),
  node('MatMul', ['next', 'c3'], ['y3'], {}, 'product'),
  node('Squeeze', ['y3', 'axis 2'], ['y2']),
  node('Mul', ['y2', 'even'], ['yn']),
  node('Mul', ['xt', 'D'], ['skip']),
  node('Add', ['yn', 'skip'], ['sum']),
  node('Reshape', ['sum', 'sizes'], ['parts']),
  node('Transpose', ['parts'], ['y'], { perm: [0, 2, 1] }),
];

const TYPES: Readonly<Record<string, ElementType>> = { i: 'int64', before: 'bool', after: 'bool' };
const ofStep = (name: string) => (TYPES[name] ? value(name, [], TYPES[name]) : value(name));
const bodyOf = (inputs: string[], outputs: string[], nodes: readonly NodeRecord[]): GraphRecord =>
  makeModel({
    inputs: inputs.map(ofStep),
    outputs: outputs.map(ofStep),
    nodes,
  }).graph;

function modelOf(loop: readonly NodeRecord[]): Graph {
  return makeGraph({
    inputs: [value('x', ['batch', 'length', 6]), value('c', ['batch', 'length', 4])],
    outputs: [value('ys')],
    nodes: [
      node('Shape', ['x'], ['batch'], { start: 0, end: 1 }),
      node('Concat', ['batch', 'state'], ['dims'], { axis: 0 }),
      node('Expand', ['zero', 'dims'], ['h0']),
      ...loop,
    ],
    weights: [
      ints('state', [6, 4]),
      ints('axis 2', [2]),
      ints('sizes', [0, 2, 3]),
      vector('zero', [0], [1]),
      vector('decay', [0.5, 0.3, 0.2, 0.1]),
      vector(
        'B',
        ROWS.flatMap((row) => [row, -2 * row, row, 0.5 * row]),
        [6, 4],
      ),
      vector(
        'even',
        ROWS.map((row) => 1 / row),
      ),
      weight('D', [6]),
      weight('W', [4, 4]),
      makeTensor('go', 'bool', [], Uint8Array.of(1)),
    ],
  });
}

const scan = (
  step: readonly NodeRecord[] = STEP,
  attributes: Record<string, number[]> = { scan_output_axes: [1] },
) =>
  modelOf([
    node(
      'Scan',
      ['h0', 'x', 'c'],
      ['end', 'ys'],
      {
        num_scan_inputs: 2,
        scan_input_axes: [1, 1],
        ...attributes,
        body: bodyOf(['h', 'xt', 'ct'], ['next', 'y'], step),
      },
      'loop',
    ),
  ]);

const at = (from: string, to: string) => node('Gather', [from, 'i'], [to], { axis: 1 });

const FORMS: Record<string, () => Graph> = {
  'a Scan': scan,
  'a Scan that stacks backwards': () => scan(STEP, { scan_output_directions: [1] }),
  'a Loop': () =>
    modelOf([
      node('Shape', ['x'], ['steps'], { start: 1, end: 2 }),
      node('Squeeze', ['steps'], ['count']),
      node(
        'Loop',
        ['count', 'go', 'h0'],
        ['end', 'ys'],
        {
          body: bodyOf(
            ['i', 'before', 'h'],
            ['after', 'next', 'y'],
            [node('Identity', ['before'], ['after']), at('x', 'xt'), at('c', 'ct'), ...STEP],
          ),
        },
        'loop',
      ),
    ]),
};

function situationOf(graph: Graph) {
  const { inputs } = bindShapes(graph, SIZES);
  const facts = inferShapes(graph, { inputs });
  expect(facts.problems).toEqual([]);
  const sites = int8.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  return { graph, facts, sites };
}

async function quantised(graph: Graph, given: Parameters<typeof int8.parameters.parse>[0]) {
  const situation = situationOf(Graph.of(readModelFile(host.model('given.onnx', graph))));
  const evidence = gatherEvidence(situation, {
    data: generatedData(32),
    sizes: { x: [2, 5, 6], c: [2, 5, 4] },
    signal: new AbortController().signal,
    onProgress: () => undefined,
    runtimeEntry: host.entry,
  });
  const request = { ...situation, parameters: int8.parameters.parse(given) };
  const decisions = await int8.plan(request, evidence);
  expect(int8.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never)).toEqual([]);
  return situation.graph;
}

/** At sizes that nothing was inferred or calibrated with. */
async function fidelity(before: Graph, after: Graph): Promise<number> {
  const { outputs } = await runTask(
    {
      kind: 'compare',
      reference: host.model('before.onnx', before),
      candidate: host.model('after.onnx', after),
      data: generatedData(8),
      shapes: { batch: 4, length: 9 },
    },
    { entry: host.entry },
  );
  return outputs[0]!.sqnrDb ?? Infinity;
}

const bodyAt = (graph: Graph) => subgraphs(graph.node('loop')!)[0]!;

describe('a product behind the state of a loop', () => {
  it.each(Object.entries(FORMS))(
    'is taken out, and nothing is computed differently: %s',
    async (_, make) => {
      const before = make();
      const after = situationOf(before.fork());
      expect(after.sites).toEqual([{ node: 'loop', entry: 0 }]);
      const { sites, graph } = takeOut(after, new Set());
      expect(sites).toEqual([{ node: 'product', entry: 0 }]);
      expect(graph.node('product')!.op).toBe('MatMul');
      expect(bodyAt(graph).nodes.map(({ op }) => op)).not.toContain('MatMul');
      expect(await fidelity(before, graph)).toBeGreaterThan(120);
    },
  );

  it.each(['a Scan', 'a Loop'])('runs on integers in the full form: %s', async (form) => {
    const before = FORMS[form]!();
    const after = await quantised(before, { form: 'full' });
    expect(await fidelity(before, after)).toBeGreaterThan(30);
    const stacked = bodyAt(after)
      .outputs.slice(-3)
      .map(({ type }) => type);
    expect(stacked).toMatchObject([
      { elementType: 'uint8' },
      { elementType: 'uint8' },
      { elementType: 'float32' }, // the skip, which no product reads
    ]);
    const model = host.model('kernels.onnx', after);
    const { executed, kernels } = await runTask({ kind: 'kernels', model }, { entry: host.entry });
    expect(executed.get('product')).toBe('com.microsoft.MatMulIntegerToFloat');
    expect(kernels.get('MatMul')).toBeUndefined();
  });

  it('needs factors for the rows of the state', async () => {
    const before = scan();
    const plain = await quantised(before, { form: 'full', smooth: 'off' });
    expect(await fidelity(before, plain)).toBeLessThan(20);
  });
});

describe('loops', () => {
  it.each(['qdq', 'qoperator'])('cost in a preview what the file costs: %s', async (format) => {
    const { facts, graph } = situationOf(scan());
    const base = { facts, graph, ...bindShapes(graph, SIZES) };
    const steps = stepsOf({ pass: 'quantize.int8', form: 'full', format });
    const { outcomes, decisions } = await run(base, steps);
    const written = reopened(base, outcomes[0]!.situation, host.folder);
    expect(costs(preview(base, steps, decisions).situation)).toEqual(costs(written));
    expect(written.graph.node('product')!.op).toBe(
      format === 'qdq' ? 'MatMul' : 'MatMulIntegerToFloat',
    );
  });

  it.each([{ form: 'fast' }, { form: 'full', exclude: 1 }] as const)(
    'stay as they are where their products stay float: %o',
    async (given) => {
      const after = await quantised(scan(), given);
      expect(after.edited).toBe(false);
    },
  );

  const besides = (...nodes: NodeRecord[]) => scan([...STEP.slice(0, -1), ...nodes]);
  const turn = STEP.at(-1)!;
  const mixed = node('MatMul', ['h', 'W'], ['mixed'], {}, 'mix');
  it.each<[string, Graph, string[], RegExp]>([
    [
      'what the next step starts from',
      scan([
        mixed,
        ...STEP.map((n) => (n.outputs[0] === 'kept' ? { ...n, inputs: ['mixed', 'decay'] } : n)),
      ]),
      ['loop'],
      /^in its body, mix makes what the next step starts from/,
    ],
    [
      'operators that have no form over all steps',
      besides(node('Softmax', ['parts'], ['p'], {}, 'softmax'), { ...turn, inputs: ['p'] }),
      [],
      /^in its body, product comes before softmax, which has no form over all steps at once \(Softmax\)$/,
    ],
    [
      'branches',
      modelOf([
        node('If', ['go'], ['ys'], {
          then_branch: bodyOf([], ['a'], [node('MatMul', ['c', 'W'], ['a'])]),
          else_branch: bodyOf([], ['b'], [node('Identity', ['c'], ['b'])]),
        }),
      ]),
      [],
      /in the body of If/,
    ],
  ])('keep %s, with the reason', (_, graph, sites, reason) => {
    const { inputs } = bindShapes(graph, SIZES);
    const found = int8.sites({ graph, facts: inferShapes(graph, { inputs }) });
    expect(found.sites.map((site) => site.node)).toEqual(sites);
    expect(found.refused.map((refusal) => refusal.reason)).toEqual([
      expect.stringMatching(reason) as string,
    ]);
  });
});
