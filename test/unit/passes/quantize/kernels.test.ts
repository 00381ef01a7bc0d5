/** Every form that is claimed to be fast is: the kernels that ONNX Runtime executes, counted in its optimised graph. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeModel } from '../../../../language/onnx/write';
import { bindModel, inputSizes, openModel } from '../../../../language/recipe/opened';
import { planStep } from '../../../../language/recipe/planning';
import { runSteps } from '../../../../language/recipe/run';
import { runTask } from '../../../../language/runtime/runtime';
import { stepsOf } from '../../recipe/subject';
import { sample, testHost } from '../../runtime/host';

const host = testHost();
const signal = new AbortController().signal;

/** How often each kernel stands in the optimised graph, without the domain. */
async function kernelsOf(model: string, step: object): Promise<Readonly<Record<string, number>>> {
  const base = bindModel(openModel(sample(`${model}.onnx`)), {});
  const data = model.startsWith('text') ? 'text' : 'shapes';
  const options = {
    data: { dataset: sample(`${data}-calibration.dataset.yaml`), folder: '.', samples: 2 },
    sizes: inputSizes(base),
    signal,
    onProgress: () => undefined,
    runtimeEntry: host.entry,
  };
  const plan = (prepared: Parameters<typeof planStep>[0]) => planStep(prepared, options);
  const { outcomes } = await runSteps(base, stepsOf(step), plan, signal);
  const { graph } = outcomes[0]!.situation;
  const file = path.join(host.folder, `${model}-${Object.values(step).join('-')}.onnx`);
  writeModel(graph.model, graph.toRecord(), graph.opsets, file);
  const { kernels } = await runTask({ kind: 'kernels', model: file }, { entry: host.entry });
  return Object.fromEntries([...kernels].map(([name, count]) => [name.split('.').at(-1)!, count]));
}

const INT8 = { pass: 'quantize.int8' };
const WEIGHTS = { pass: 'quantize.weights' };

const CONVOLUTIONS = { QLinearConv: 21, QLinearAdd: 9, QuantizeLinear: 1, Transpose: 2, Conv: 0 };
/** The projections; attention products stay float in the fast form. */
const PROJECTIONS = { MatMulIntegerToFloat: 32, FusedMatMul: 8, MatMul: 8 };

describe('the kernels of a fast form', { timeout: 120_000 }, () => {
  it.each([
    ['shapes-resnet', { ...INT8, format: 'qdq' }, CONVOLUTIONS],
    ['shapes-resnet', { ...INT8, format: 'qoperator' }, CONVOLUTIONS],
    ['shapes-vit', { ...INT8, format: 'qdq' }, PROJECTIONS],
    ['shapes-vit', { ...INT8, mode: 'dynamic' }, { DynamicQuantizeMatMul: 32, BiasGelu: 0 }],
    [
      'text-llama',
      { ...INT8, form: 'full' },
      { MatMulIntegerToFloat: 48, QLinearMatMul: 6, FusedMatMul: 0, MatMul: 1 },
    ],
    ['text-llama', { ...WEIGHTS, bits: 4 }, { MatMulNBits: 42, DequantizeLinear: 0, MatMul: 7 }],
    ['text-llama', { ...WEIGHTS, format: 'qdq' }, { MatMulNBits: 42, DequantizeLinear: 0 }],
    ['text-llama', { ...WEIGHTS, embeddings: 'quantise' }, { GatherBlockQuantized: 1 }],
  ])('are those of integers: %s, %o', async (model, step, expected) => {
    const kernels = await kernelsOf(model, step);
    const found = Object.keys(expected).map((name) => [name, kernels[name] ?? 0]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });
});
