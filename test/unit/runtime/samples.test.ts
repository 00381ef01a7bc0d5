/** The bundled models on their bundled data: the metrics that were measured when they were trained. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runTask } from '../../../language/runtime/runtime';
import type { DataRequest, TaskProgress } from '../../../language/runtime/tasks';
import { shared } from '../../shared';
import { sample, testDataset, testHost } from './host';

const host = testHost();

describe('bundled models', () => {
  const cases = [
    ['shapes-resnet', 'shapes', 'top1', 0.97857, 700],
    ['shapes-vit', 'shapes', 'top1', 0.92429, 700],
    ['text-llama', 'text', 'answer-accuracy', 0.93746, 1200],
  ] as const;
  for (const [name, data, metric, value, samples] of cases)
    it(`${name} reaches its ${metric}`, { timeout: 120_000 }, async () => {
      const model = sample(`${name}.onnx`);
      const dataset = testDataset(`${name}.dataset.yaml`);
      const seen: TaskProgress[] = [];
      const found = await runTask(
        { kind: 'evaluate', model, data: { dataset, folder: '.' } },
        { entry: host.entry, onProgress: (progress) => seen.push(progress) },
      );
      expect(found).toMatchObject({ metric, samples, generated: false, data: `eval-${data}.npz` });
      expect(found.value).toBeCloseTo(value, 5);
      if (metric === 'answer-accuracy') expect(found.more.perplexity).toBeCloseTo(3.19492, 4);
      expect(seen.at(-1)).toMatchObject({ done: samples, total: samples });
    });

  for (const [name, data] of cases)
    it(`${name} is described the same beside it`, () => {
      for (const [ours, bundled] of [
        ['.dataset', '.dataset'],
        ['.calibration.dataset', '-calibration.dataset'],
      ]) {
        const test = readFileSync(testDataset(`${name}${ours}.yaml`), 'utf8');
        const beside = readFileSync(sample(`${data}${bundled}.yaml`), 'utf8');
        expect(test).toBe(beside.replace('npz: ./', 'npz: ../../templates/samples/'));
      }
    });
});

interface Measured {
  readonly file: string;
  readonly metric: string;
  readonly value: number;
  readonly eval: string;
  readonly preprocess: string;
  readonly inputs: readonly { readonly name: string }[];
}

describe.skipIf(!shared('models/trained'))('models trained on real data', () => {
  const folder = shared('models/trained')!;
  const inputs = {
    image: { array: 'x', scale: '1/255', mean: 0.5, std: 0.25 },
    input_ids: { array: 'ids', slice: [0, -1] as [number, number] },
  };
  const cases: [string, keyof typeof inputs][] = [
    ['resnet20-cifar10', 'image'],
    ['llama-shakespeare', 'input_ids'],
  ];
  for (const [name, input] of cases)
    it(`${name} reaches its metric`, { timeout: 120_000 }, async () => {
      const { models } = JSON.parse(readFileSync(path.join(folder, 'metrics.json'), 'utf8')) as {
        models: Record<string, Measured>;
      };
      const { file, eval: npz, metric, value } = models[name]!;
      const data: DataRequest = {
        folder,
        dataset: {
          source: { npz },
          inputs: { [input]: inputs[input] },
          target: input === 'image' ? { array: 'y' } : { array: 'ids', slice: [1] },
          metric: { id: metric },
        },
      };
      const model = path.join(folder, file);
      const found = await runTask({ kind: 'evaluate', model, data }, { entry: host.entry });
      expect(Math.abs(found.value / value - 1)).toBeLessThan(2e-5);
    });
});

interface Measured {
  readonly file: string;
  readonly metric: string;
  readonly value: number;
  readonly eval: string;
}
