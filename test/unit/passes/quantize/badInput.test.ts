/** What people hand to a quantisation that it cannot take as it is: each is taken after all, or refused with the reason. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import { readModelFile } from '../../../../language/onnx/read';
import int8 from '../../../../language/passes/quantize/int8';
import { makeTensor, packFloats, tensorNumbers } from '../../../../language/onnx/tensor';
import type { Report } from '../../../../language/protocol';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { whittle } from '../../cli/terminal';
import { npy, npz } from '../../data/arrays';
import { baseOf, stepsOf } from '../../recipe/subject';
import { testHost } from '../../runtime/host';
import { preview } from '../subject';

const host = testHost();

type Type = 'float32' | 'float16';

/** A small classifier; every operator has kernels for both types. */
const classifier = (opset: number, type: Type = 'float32'): ModelSpec => ({
  inputs: [value('x', [8, 3, 8, 8], type)],
  outputs: [value('y', [8, 10], type)],
  nodes: [
    node('Conv', ['x', 'a', 'ab'], ['c'], { pads: [1, 1, 1, 1] }, 'first'),
    node('Clip', ['c'], ['r'], opset < 11 ? { max: 6.5 } : {}, 'clip'),
    node('Conv', ['r', 'b'], ['d'], { pads: [1, 1, 1, 1] }, 'second'),
    node('Relu', ['d'], ['s'], {}, 'relu'),
    node('GlobalAveragePool', ['s'], ['p'], {}, 'pool'),
    node('Flatten', ['p'], ['f'], {}, 'flat'),
    node('Gemm', ['f', 'w', 'wb'], ['y'], { transB: 1 }, 'head'),
  ],
  weights: [
    weight('a', [16, 3, 3, 3]),
    weight('ab', [16], 2),
    weight('b', [32, 16, 3, 3], 3),
    weight('w', [10, 32], 4),
    weight('wb', [10], 5),
  ].map((tensor) =>
    type === 'float32'
      ? tensor
      : makeTensor(
          tensor.name,
          type,
          tensor.dims,
          packFloats(Float32Array.from(tensorNumbers(tensor)), type),
        ),
  ),
  opset,
});

const GENERATED = { dataset: { source: { generated: {} } }, samples: 16 };

async function apply(name: string, graph: Graph, calibration: object | undefined) {
  const model = host.model(`${name}.onnx`, graph);
  const recipe = path.join(host.folder, `${name}.whittle.yaml`);
  const steps = [{ pass: 'quantize.int8' }];
  writeFileSync(
    recipe,
    JSON.stringify({ version: 1, model, ...(calibration && { calibration }), steps }),
  );
  const output = path.join(host.folder, `${name}.out.onnx`);
  const said = await whittle(['apply', recipe, '-o', output], { runtimeEntry: host.entry });
  return { ...said, output, report: path.join(host.folder, `${name}.out.report.json`) };
}

/** By decisions that stand in for a plan. */
const previewed = (spec: ModelSpec) =>
  preview(baseOf(makeGraph(spec)), stepsOf({ pass: 'quantize.int8' })).situation;

const opsOf = (file: string) => readModelFile(file).graph.nodes.map(({ op }) => op);
const reportOf = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Report;

describe('quantize.int8 of', { timeout: 120_000 }, () => {
  it('an old operator set raises it first, and says so', async () => {
    const { code, stdout, output, report } = await apply(
      'old',
      makeGraph(classifier(8)),
      GENERATED,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/operator set raised from 8 to 13 first/);
    const { steps, fidelity } = reportOf(report);
    expect(steps[0]!.operatorSet).toEqual({ before: 8, after: 13 });
    expect(fidelity.outputs[0]!.sqnrDb).toBeGreaterThan(25);
    expect(readModelFile(output).irVersion).toBeGreaterThanOrEqual(7);
    expect(opsOf(output).filter((op) => op === 'DequantizeLinear').length).toBeGreaterThan(6);
  });

  it('an operator set that cannot be raised names the node', async () => {
    const spec = classifier(8);
    const odd = node('Dropout', ['f'], ['f2', 'mask'], {}, 'odd');
    const outputs = [...spec.outputs, value('mask', [8, 32])];
    const graph = makeGraph({ ...spec, outputs, nodes: [...spec.nodes, odd] });
    const { code, stderr } = await apply('stuck', graph, GENERATED);
    expect(code).toBe(1);
    expect(stderr).toMatch(/operator set 8 is too old .* because of odd: its mask/);
  });

  it('a model in float16 widens its layers, and keeps inputs and outputs', async () => {
    const graph = makeGraph(classifier(17, 'float16'));
    const { code, output, report } = await apply('half', graph, GENERATED);
    expect(code).toBe(0);
    const written = readModelFile(output).graph;
    for (const info of [...written.inputs, ...written.outputs])
      expect(info.type).toMatchObject({ kind: 'tensor', elementType: 'float16' });
    const { fidelity, before, after } = reportOf(report);
    expect(fidelity.outputs[0]!.sqnrDb).toBeGreaterThan(25);
    expect(after.weightBytes).toBeLessThan(0.7 * before.weightBytes);
  });

  it('bfloat16 says what to do', async () => {
    const graph = makeGraph({
      inputs: [value('x', [4, 4], 'bfloat16')],
      outputs: [value('y', [4, 4], 'bfloat16')],
      nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'product')],
      weights: [makeTensor('w', 'bfloat16', [4, 4], new Uint8Array(32))],
    });
    const { code, stderr } = await apply('brain', graph, GENERATED);
    expect(code).toBe(1);
    expect(stderr).toMatch(/product: it computes in bfloat16; convert it to float32 or float16/);
  });

  it('its own result leaves what is quantised, with the reason', () => {
    const { sites, refused } = int8.sites(previewed(classifier(17)));
    expect(sites).toEqual([{ node: 'head' }]); // left float by rule
    expect(refused.map(({ node: id }) => id)).toEqual(['first', 'second']);
    for (const { reason } of refused) expect(reason).toBe('it is quantised already');
  });

  it('no calibration data says what to add', async () => {
    const { code, stderr } = await apply('nothing', makeGraph(classifier(17)), undefined);
    expect(code).toBe(1);
    expect(stderr).toMatch(/needs calibration data.*Add `calibration/);
  });

  it('data that holds NaN names array and sample', async () => {
    const images = Array.from({ length: 16 * 192 }, (_, i) => (i === 9 * 192 ? NaN : i % 7));
    const data = path.join(host.folder, 'nan.npz');
    writeFileSync(data, npz({ images: npy('<f4', [16, 3, 8, 8], images) }));
    const dataset = { source: { npz: data }, inputs: { x: { array: 'images' } } };
    const { code, stderr } = await apply('nan', makeGraph(classifier(17)), { dataset });
    expect(code).toBe(1);
    expect(stderr).toMatch(/images.*sample 9|sample 9.*images/s);
  });
});
