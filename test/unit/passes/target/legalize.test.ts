import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { float32Tensor, int64Tensor } from '../../../../language/onnx/tensor';
import { writeModel } from '../../../../language/onnx/write';
import { EQUIVALENTS } from '../../../../language/passes/equivalents';
import type { StepRequest, TargetTraits } from '../../../../language/passes/pass';
import legalize from '../../../../language/passes/target/legalize';
import { makeGraph, node, value, type ModelSpec } from '../../../models';
import { bundled, factsOf } from '../../cost/subject';
import { traitsOf } from '../../../../language/recipe/traits';

process.env.ORT_DISABLE_TELEMETRY = '1';

const SHAPE = [2, 3, 4, 5];

interface Case {
  readonly op: string;
  readonly attributes?: Parameters<typeof node>[3];
  readonly constants?: NonNullable<ModelSpec['weights']>;
  /** How many inputs are fed. */
  readonly fed?: number;
  readonly opset?: number;
}

const scalar = (x: number, name = 'c') => float32Tensor(name, [x], []);

const CASES: readonly Case[] = [
  { op: 'HardSwish' },
  { op: 'HardSigmoid', attributes: { alpha: 0.3, beta: 0.4 } },
  { op: 'Gelu', opset: 20 },
  { op: 'Gelu', opset: 20, attributes: { approximate: 'tanh' } },
  { op: 'Sigmoid' },
  { op: 'Mish', opset: 18 },
  { op: 'Softsign' },
  { op: 'LeakyRelu', attributes: { alpha: 0.125 } },
  { op: 'LeakyRelu', attributes: { alpha: 1.5 } },
  { op: 'PRelu', constants: [float32Tensor('c', [0.1, -0.2, 0.3], [3, 1, 1])] },
  { op: 'Relu' },
  { op: 'Clip', constants: [scalar(-0.5), scalar(1.25, 'd')] },
  { op: 'Clip', constants: [scalar(0)] },
  { op: 'Sub', fed: 2 },
  { op: 'Neg' },
  { op: 'Div', constants: [scalar(3)] },
  { op: 'Div', constants: [float32Tensor('c', [2, -4, 8], [3, 1, 1])] },
  { op: 'Pow', constants: [scalar(2)] },
  { op: 'Pow', constants: [scalar(3)] },
  { op: 'Sum', fed: 3 },
  { op: 'Mean', fed: 3 },
  { op: 'ReduceMean', attributes: { axes: [2, 3] }, opset: 13 },
  { op: 'ReduceMean', attributes: { axes: [-1, -2] }, opset: 17 },
  { op: 'ReduceMean', constants: [int64Tensor('c', [2, 3])], opset: 18 },
  { op: 'Softmax', attributes: { axis: 1 } },
  { op: 'Softmax', opset: 18 },
  { op: 'LayerNormalization', constants: [float32Tensor('c', [1, 2, 3, 4, 5])] },
  {
    op: 'LayerNormalization',
    opset: 18,
    attributes: { epsilon: 0.01 },
    constants: [float32Tensor('c', [1, 2, 3, 4, 5]), float32Tensor('d', [5, 4, 3, 2, 1])],
  },
];

const networkOf = ({ op, attributes = {}, constants = [], fed = 1, opset = 17 }: Case) => {
  const inputs = Array.from({ length: fed }, (_, i) => `x${i}`);
  return makeGraph({
    inputs: inputs.map((name) => value(name, SHAPE)),
    outputs: [value('y')],
    weights: constants,
    nodes: [node(op, [...inputs, ...constants.map(({ name }) => name)], ['y'], attributes, 'it')],
    opset,
  });
};

/** A target that lacks some operators and runs all others. */
function request(graph: Graph, lacks: ReadonlySet<string>): StepRequest<{ target: string }> {
  const facts = factsOf(graph);
  const traits = (id: string): TargetTraits => ({
    id,
    granularity: { inputs: 8, outputs: 8 },
    link: { gbPerS: 1, fixedUs: 0 },
    runs: (op) => !lacks.has(op),
    latencies: () => ({ totalMs: 0, layersMs: new Map() }),
    unsupported: (name) =>
      lacks.has(graph.node(name)!.op) ? `${id} does not run ${graph.node(name)!.op}` : undefined,
  });
  const { sites } = legalize.sites({ graph, facts });
  return {
    graph,
    facts,
    sites: sites.map((site) => ({ ...site, entry: 0 })),
    parameters: { target: 'npu' },
    traits,
  };
}

const legal = (graph: Graph, lacks: readonly string[]) => {
  const asked = request(graph, new Set(lacks));
  const after = graph.fork();
  const refused = legalize.rewrite({ ...asked, graph: after }, legalize.standIn(asked));
  return { after, refused };
};

describe('target.legalize', () => {
  let folder = '';
  beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'whittle-legal-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function results(graph: Graph, name: string): Promise<Float32Array> {
    const file = path.join(folder, `${name}.onnx`);
    writeModel({ ...graph.model, opsets: new Map() }, graph.toRecord(), graph.opsets, file);
    const session = await ort.InferenceSession.create(file);
    const size = SHAPE.reduce((a, b) => a * b);
    const feeds = graph.inputs.map(({ name: input }, i) => [
      input,
      new ort.Tensor(
        'float32',
        Float32Array.from({ length: size }, (_, at) => 4 * Math.sin(at * (i + 1.7))),
        SHAPE,
      ),
    ]);
    const { y } = await session.run(Object.fromEntries(feeds) as Record<string, ort.Tensor>);
    return y!.data as Float32Array;
  }

  const ways = CASES.flatMap((given, at) =>
    EQUIVALENTS[given.op]!.map(({ operators }, way) => ({ given, at, way, operators })),
  );

  it.each(ways)('$given.op as $operators', async ({ given, at, way, operators }) => {
    const graph = networkOf(given);
    // All that the ways before this one need and this one does not.
    const before = EQUIVALENTS[given.op]!.slice(0, way).flatMap((other) => other.operators);
    const lacks = [given.op, ...before.filter((op) => !operators.includes(op))];
    const { after, refused } = legal(graph, lacks);
    const used = after.order.map(({ op }) => op);
    if (used.includes(given.op)) {
      // A form that this way does not cover.
      expect(refused.length + legalize.sites({ graph, facts: factsOf(graph) }).refused.length).toBe(
        1,
      );
      return;
    }
    expect(used.some((op) => lacks.includes(op))).toBe(false);
    const [expected, actual] = await Promise.all([
      results(graph, `${at}-${way}-before`),
      results(after, `${at}-${way}-after`),
    ]);
    expect(actual.length).toBe(expected.length);
    expected.forEach((is, i) => {
      expect(Math.abs(is - actual[i]!)).toBeLessThan(2e-5 * Math.max(1, Math.abs(is)));
    });
  });

  it('covers every operator that it knows', () => {
    expect(new Set(CASES.map(({ op }) => op))).toEqual(new Set(Object.keys(EQUIVALENTS)));
  });

  it('leaves what the target runs, and what has no equivalent there, with the reason', () => {
    expect(legal(networkOf({ op: 'HardSwish' }), []).after.order.map(({ op }) => op)).toEqual([
      'HardSwish',
    ]);
    const { after, refused } = legal(networkOf({ op: 'Sub', fed: 2 }), ['Sub', 'Add']);
    expect(after.order.map(({ op }) => op)).toEqual(['Sub']);
    expect(refused).toEqual([
      { node: 'it', reason: 'npu does not run Sub, nor Add of its equivalent' },
    ]);
  });

  it.each([
    [{ op: 'Relu', opset: 12 }, /operator set 12 is too old/],
    [{ op: 'Pow', constants: [scalar(2.5)] }, /this form of Pow has no equivalent/],
    [{ op: 'ReduceMean', attributes: { axes: [1] }, opset: 13 }, /this form of ReduceMean/],
  ] as const)('refuses %o', (given, reason) => {
    const graph = networkOf(given);
    const { sites, refused } = legalize.sites({ graph, facts: factsOf(graph) });
    expect(sites).toEqual([]);
    expect(refused[0]!.reason).toMatch(reason);
  });

  it('keeps a DPU from handing differences over', () => {
    const graph = networkOf({ op: 'Sub', fed: 2 });
    const facts = factsOf(graph);
    const traits = traitsOf(bundled('fpga.zcu102-dpu'), graph, facts);
    expect(traits.unsupported('it')).toMatch(/does not run Sub/);
    const asked = { ...request(graph, new Set()), traits: () => traits };
    legalize.rewrite(asked, legalize.standIn(asked));
    expect(graph.order.map(({ op }) => op)).toEqual(['Mul', 'Add']);
    const again = traitsOf(bundled('fpga.zcu102-dpu'), graph, factsOf(graph));
    for (const { id } of graph.order) expect(again.unsupported(id)).toBeUndefined();
  });
});
