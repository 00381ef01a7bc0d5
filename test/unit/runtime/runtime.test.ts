import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { WhittleError } from '../../../language/errors';
import { MemorySource } from '../../../language/onnx/source';
import { runTask } from '../../../language/runtime/runtime';
import { generatedData } from '../../../language/runtime/tasks';
import { makeGraph, node, value, weight } from '../../models';
import { shared } from '../../shared';
import { sample, testHost } from './host';

const host = testHost();

describe('load', () => {
  it('says what a model takes and gives', async () => {
    const model = sample('text-llama.onnx');
    const found = await runTask({ kind: 'load', model }, { entry: host.entry });
    expect(found.inputs).toEqual([
      { name: 'input_ids', type: 'int64', shape: ['batch', 'sequence'] },
    ]);
    expect(found.outputs).toEqual([
      { name: 'logits', type: 'float32', shape: ['batch', 'sequence', 96] },
    ]);
    expect(found.providers).toContain('cpu');
    expect(found.version).toMatch(/^\d+\.\d+/);
  });
});

describe('kernels', () => {
  it('are those of the graph after its optimisation', async () => {
    const model = sample('shapes-resnet.onnx');
    const { kernels } = await runTask({ kind: 'kernels', model }, { entry: host.entry });
    const convolutions = [...kernels].filter(([kernel]) => kernel.endsWith('Conv'));
    expect(convolutions.reduce((sum, [, count]) => sum + count, 0)).toBe(21);
    expect(kernels.has('BatchNormalization')).toBe(false); // folded into the convolutions
    expect(host.leftovers()).toEqual([]);
  });

  it('are counted inside bodies too', async () => {
    const body = (name: string, op: string) => ({
      name,
      nodes: [node(op, ['x'], [name])],
      initializers: [],
      inputs: [],
      outputs: [value(name, [2])],
      valueInfos: [],
      carried: [nameField(name)],
    });
    const model = host.model(
      'if.onnx',
      makeGraph({
        inputs: [value('x', [2]), value('which', [], 'bool')],
        outputs: [value('y', [2])],
        nodes: [
          node('If', ['which'], ['y'], {
            then_branch: body('a', 'Sin'),
            else_branch: body('b', 'Cos'),
          }),
        ],
      }),
    );
    const { kernels } = await runTask({ kind: 'kernels', model }, { entry: host.entry });
    expect(Object.fromEntries(kernels)).toEqual({ If: 1, Sin: 1, Cos: 1 });
  });
});

/** The name of a graph as it stands in a file: ONNX Runtime wants one. */
const nameField = (name: string) => {
  const bytes = Uint8Array.of(0x12, name.length, ...Buffer.from(name));
  return { source: new MemorySource(bytes), start: 0, end: bytes.length };
};

describe('measure', () => {
  const chain = (name: string, layers: number) =>
    host.model(
      name,
      makeGraph({
        inputs: [value('v0', ['n', 256])],
        outputs: [value(`v${layers}`, ['n', 256])],
        weights: [weight('w', [256, 256])],
        nodes: Array.from({ length: layers }, (_, i) =>
          node('MatMul', [`v${i}`, 'w'], [`v${i + 1}`]),
        ),
      }),
    );

  it('tells slow from fast, and what the numbers hold for', async () => {
    const models = [chain('short.onnx', 2), chain('long.onnx', 20)];
    const found = await runTask(
      { kind: 'measure', models, batch: 16, budgetMs: 300 },
      { entry: host.entry },
    );
    const [short, long] = found.models;
    expect(long!.medianMs / short!.medianMs).toBeGreaterThan(3);
    expect(short!.runs).toBe(long!.runs);
    expect(found).toMatchObject({ batch: 16, threads: 1, generated: true });
    expect(found.conditions).toMatch(
      /, 1 thread, batch 16, made-up inputs, median of \d+ runs of each model in turn, ONNX Runtime 1\./,
    );
  });

  it('refuses to compare batches of different sizes', async () => {
    const fixed = host.model(
      'fixed.onnx',
      makeGraph({
        inputs: [value('x', [4, 2])],
        outputs: [value('y', [4, 2])],
        nodes: [node('Relu', ['x'], ['y'])],
      }),
    );
    await expect(
      runTask({ kind: 'measure', models: [chain('free.onnx', 1), fixed] }, { entry: host.entry }),
    ).rejects.toThrow('batches of 1 and of 4 cannot be compared');
  });
});

describe('made-up integers', () => {
  it('stay inside the tables that they index', async () => {
    const model = sample('text-llama.onnx'); // 96 tokens: a larger index is an error of the runtime
    const found = await runTask(
      {
        kind: 'compare',
        reference: model,
        candidate: model,
        data: generatedData(3),
        shapes: { sequence: 64 },
      },
      { entry: host.entry },
    );
    expect(found.outputs[0]).toMatchObject({ name: 'logits', maxAbs: 0 });
  });
});

describe.skipIf(!shared('models/found'))('models that nobody prepared', () => {
  const found = shared('models/found')!;
  const load = (file: string) =>
    runTask(
      { kind: 'compare', reference: file, candidate: file, data: generatedData(1) },
      { entry: host.entry },
    );

  it('are refused with what is wrong and where, when malformed', { timeout: 60_000 }, async () => {
    const folder = path.join(found, 'malformed');
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      const outcome = await load(file).catch((error: unknown) => error);
      if (/hostile_names|reverse_topological|unnamed_nodes/.test(name)) {
        expect(outcome, name).toMatchObject({ generated: true });
        continue;
      }
      expect(outcome, name).toBeInstanceOf(WhittleError);
      expect((outcome as Error).message, name).toContain(name);
      expect((outcome as Error).message, name).not.toMatch(/onnxruntime::|\.cc:\d/);
    }
    expect(host.leftovers()).toEqual([]);
  });

  it('cost one job at most when ONNX Runtime dies of them', async () => {
    const file = path.join(found, 'onnx_node_tests/test_if_opt/model.onnx');
    await expect(load(file)).rejects.toThrow(/none of the outputs .* is a tensor .*test_if_opt/);
    const next = await runTask(
      { kind: 'load', model: sample('shapes-vit.onnx') },
      { entry: host.entry },
    );
    expect(next.outputs).toHaveLength(1);
  });
});
