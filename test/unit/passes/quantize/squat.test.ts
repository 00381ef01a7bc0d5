import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { float32Tensor, tensorNumbers } from '../../../../language/onnx/tensor';
import squat from '../../../../language/passes/quantize/squat';
import { scaleOf } from '../../../../language/passes/quantize/squat/scales';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { baseOf, stepsOf } from '../../recipe/subject';
import { sample, testHost } from '../../runtime/host';
import { costs, open, preview } from '../subject';
import { transformer } from '../transformer';

const host = testHost();
const SIZES = { x: [2, 24, 8] };
const SAMPLES = 8;

async function quantised(given: object) {
  const graph = transformer({ batch: 2 });
  const facts = inferShapes(graph, { inputs: new Map([['x', SIZES.x]]) });
  const evidence = gatherEvidence(
    { graph, facts },
    {
      data: generatedData(SAMPLES),
      sizes: SIZES,
      signal: new AbortController().signal,
      onProgress: () => undefined,
      runtimeEntry: host.entry,
    },
  );
  const sites = squat.sites({ graph, facts }).sites.map((site) => ({ ...site, entry: 0 }));
  const request = { graph, facts, sites, parameters: squat.parameters.parse(given) };
  const decisions = await squat.plan(request, evidence);
  squat.rewrite(request, JSON.parse(JSON.stringify(decisions)) as never);
  return { graph, decisions };
}

/** The same rounding in floating point: x̂ times ŵ. */
function fake(graph: Graph): Graph {
  const out = graph.fork();
  for (const { id, op, inputs, outputs } of graph.order) {
    if (op !== 'MatMulInteger') continue;
    const [codes = '', weights = '', zero = ''] = inputs;
    const product = out.onlyConsumer(out.onlyConsumer(outputs[0]!)!.outputs[0]!)!;
    const [rowScale = '', weightScale = ''] = out.producer(product.inputs[1]!)!.inputs;
    const near = out.node(id)!;
    const constant = (name: string, values: ArrayLike<number>, dims: readonly number[]) => {
      out.setInitializer(float32Tensor(`${id}/${name}`, Array.from(values), [...dims]));
      return `${id}/${name}`;
    };
    const insert = (name: string, from: readonly string[], attributes = {}) => {
      out.insert({ op: name, inputs: from, outputs: [`${id}/${name}`], attributes }, near);
      return `${id}/${name}`;
    };
    const real = insert('Cast', [codes], { to: { kind: 'int', value: 1 } });
    const zeroPoint = constant('zero', tensorNumbers(out.constant(zero)!), []);
    const rounded = insert('Mul', [insert('Sub', [real, zeroPoint]), rowScale]);
    const tensor = out.constant(weights)!;
    const [scale] = tensorNumbers(out.constant(weightScale)!);
    const values = Float32Array.from(tensorNumbers(tensor), (code) => code * scale!);
    out.replace(product.id, {
      op: 'MatMul',
      inputs: [rounded, constant('weights', values, tensor.dims)],
    });
  }
  return out;
}

const compare = async (reference: Graph, candidate: Graph) => {
  const task = {
    kind: 'compare',
    reference: host.model('reference.onnx', reference),
    candidate: host.model('candidate.onnx', candidate),
    data: generatedData(SAMPLES),
    shapes: SIZES,
  } as const;
  return (await runTask(task, { entry: host.entry })).outputs[0]!;
};

describe('quantize.squat', { timeout: 120_000 }, () => {
  it('computes in integers what it says in floating point, with scales that were chosen for each width', async () => {
    const { graph, decisions } = await quantised({ align: 4 });
    const products = graph.order.filter(({ op }) => op === 'MatMulInteger');
    expect(products.length).toBe(10);
    expect((await compare(fake(graph), graph)).maxAbs).toBeLessThan(1e-5);
    const { important, others } = decisions.activations.norm20!;
    expect(others / important).toBeGreaterThan(4);
    const written = open(host.model('written.onnx', graph), SIZES);
    const facts = inferShapes(graph, { inputs: new Map([['x', SIZES.x]]) });
    const [previewed, reread] = [costs({ graph, facts }), costs(written)];
    expect(previewed.counts).toEqual(reread.counts);
    expect(previewed.targets.map(({ total }) => total)).toEqual(
      reread.targets.map(({ total }) => total),
    );
    // The first block's queries, keys and values have no attention before them.
    expect(graph.order.filter(({ op }) => op === 'TopK').length).toBe(2);
  });

  it('loses less with more bits', async () => {
    const reference = transformer({ batch: 2 });
    const loss = async (important: number, others: number) =>
      (await compare(reference, (await quantised({ important, others })).graph)).sqnrDb!;
    expect(await loss(8, 8)).toBeGreaterThan(await loss(8, 4));
  });

  it('takes important tokens in multiples of the alignment, at any length', () => {
    const step = stepsOf({ pass: 'quantize.squat', share: 0.4, align: 16 });
    for (const tokens of [7, 96, 100]) {
      const { graph, facts } = preview(
        open(sample('text-llama.onnx'), { sequence: tokens }),
        step,
      ).situation;
      const counts = graph.order
        .filter(({ op }) => op === 'TopK')
        .map(({ outputs }) => facts.value(outputs[0]!).shape?.at(-1));
      const expected = Math.min(tokens, Math.ceil((0.4 * tokens) / 16) * 16);
      expect(counts).toEqual(Array.from({ length: 6 }, () => expected));
    }
  });

  it('is an estimate until scales are known, and refuses what no attention ranks', () => {
    const base = baseOf(transformer());
    expect(preview(base, stepsOf({ pass: 'quantize.squat' })).estimated).toBe(true);
    expect(() =>
      preview(open(sample('shapes-resnet.onnx')), stepsOf({ pass: 'quantize.squat' })),
    ).toThrow(/its input is not batch × tokens × features/);
  });
});

describe('a scale', () => {
  const codes = { low: -8, high: 7 };
  it('holds everything, or loses least', () => {
    const values = [...Array.from({ length: 200 }, (_, i) => Math.sin(i)), 12];
    const error = (scale: number) =>
      values.reduce((sum, x) => {
        const code = Math.min(7, Math.max(-8, Math.round(x / scale)));
        return sum + (x - scale * code) ** 2;
      }, 0);
    const [whole, least] = (['minmax', 'mse'] as const).map((way) => scaleOf(values, codes, way));
    expect(whole).toBeCloseTo(12 / 7);
    expect(error(least!)).toBeLessThan(error(whole!));
  });
});
