/**
 * Throughput of an evaluation against a bare loop of ONNX Runtime over the same batches, as a ratio, in turn in one run.
 * More models than
 * the bundled samples are measured where they lie beside the project.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadDataset } from '../../language/data/dataset';
import { batchSize } from '../../language/runtime/perform/data';
import { evaluate } from '../../language/runtime/perform/evaluate';
import { openSession } from '../../language/runtime/session';
import type { Row } from './lib/bench';

const root = process.cwd();
const ROUNDS = 5;
const LIMIT = 1.3;
const BUNDLED = ['shapes-resnet', 'shapes-vit', 'text-llama'];
/** One of each kind of task, where they are there. */
const SHARED = [
  ...['shapes-mobilenet', 'shapes-dit', 'scene-seg', 'scene-depth', 'pose', 'detector'],
  ...['portrait-style', 'video-ar', 'video-dit', 'text-mamba'],
];

async function ratioOf(name: string, model: string): Promise<number> {
  const file = path.join(root, 'test/datasets', `${name}.dataset.yaml`);
  const session = await openSession(model, { threads: 1 });
  const binding = loadDataset(file, root).bind(session.inputs);
  const batches = [...binding.batches(await batchSize(binding, session))];
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (const batch of batches) await session.run(batch.inputs);
    const bareMs = performance.now() - start;
    ratios.push((await evaluationMs(model, file)) / bareMs);
  }
  await session.release();
  return ratios.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]!;
}

/** From the first batch to the score: loading the model is not throughput. */
async function evaluationMs(model: string, dataset: string): Promise<number> {
  let started = 0;
  const report = (stage: string, done: number) => {
    if (done === 0 && stage.startsWith('running')) started = performance.now();
  };
  const data = { dataset, folder: root };
  await evaluate({ model, data, threads: 1 }, { scratch: '', report });
  return performance.now() - started;
}

export default async (): Promise<Row[]> => {
  const rows: Row[] = [];
  const models = [
    ...BUNDLED.map((name) => [name, path.join(root, `templates/samples/${name}.onnx`)] as const),
    ...SHARED.map(
      (name) => [name, path.join(root, `../shared/models/samples/${name}.onnx`)] as const,
    ),
  ];
  for (const [name, model] of models.filter(([, file]) => existsSync(file)))
    rows.push({
      name: `${name} against a bare loop`,
      value: await ratioOf(name, model),
      unit: '×',
      bar: LIMIT,
    });
  return rows;
};
