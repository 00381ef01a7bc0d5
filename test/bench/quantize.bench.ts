/**
 * Throughput of quantisation, from the model's file to the compressed one: int8 with its calibration of the largest network of
 * convolutions there is, and int4 by GPTQ of the largest language model. Nothing is verified or timed afterwards. CPU time and
 * memory are those of all processes together, ONNX Runtime's included; Linux tells them, and elsewhere there are no rows.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { writeModel } from '../../language/onnx/write';
import { vocabulary } from '../../language/recipe/bundled';
import { bindModel, inputSizes, openModel } from '../../language/recipe/opened';
import { dataRequest, planStep } from '../../language/recipe/planning';
import { parseRecipe, requireRecipe } from '../../language/recipe/recipe';
import { runSteps } from '../../language/recipe/run';
import type { Bench, Row } from './lib/bench';

const root = process.cwd();
const models = path.join(root, '../shared/models');
const samples = path.join(root, 'templates/samples');
const dataset = (name: string) =>
  path.join(root, 'test/datasets', `${name}.calibration.dataset.yaml`);

interface Work {
  readonly name: string;
  readonly model: string;
  readonly step: object;
  readonly calibration: object;
}

const INT8 = { pass: 'quantize.int8' };
const GPTQ = { pass: 'quantize.weights', method: 'gptq' };

/** The first of each that is there. */
const WORK: readonly (readonly Work[])[] = [
  [
    {
      name: 'int8 of mobilenetv2 at 224 × 224 (3.5 M weights), 32 made-up samples',
      model: path.join(models, 'found/imagenet_mobilenetv2_fp32.onnx'),
      step: INT8,
      calibration: { dataset: { source: { generated: {} } }, samples: 32 },
    },
    {
      name: 'int8 of shapes-resnet (0.27 M weights), 32 samples',
      model: path.join(samples, 'shapes-resnet.onnx'),
      step: INT8,
      calibration: { dataset: dataset('shapes-resnet'), samples: 32 },
    },
  ],
  [
    {
      name: 'int4 GPTQ of llama-shakespeare (6 M weights), 16 windows of 256 tokens',
      model: path.join(models, 'trained/llama-shakespeare.onnx'),
      step: GPTQ,
      calibration: { dataset: dataset('llama-shakespeare'), samples: 16 },
    },
    {
      name: 'int4 GPTQ of text-llama (0.44 M weights), 16 documents of 96 tokens',
      model: path.join(samples, 'text-llama.onnx'),
      step: GPTQ,
      calibration: { dataset: dataset('text-llama'), samples: 16 },
    },
  ],
];

export default async function ({ scratch }: Bench): Promise<Row[]> {
  if (process.platform !== 'linux') return [];
  const rows: Row[] = [];
  for (const choices of WORK) {
    const work = choices.find(({ model }) => existsSync(model));
    if (!work) continue;
    const { seconds, cpuSeconds, peakBytes } = await watched(() => quantise(work, scratch));
    const share = `${(cpuSeconds / seconds).toFixed(2)} processors at work`;
    rows.push(
      { name: work.name, value: cpuSeconds, unit: 's CPU' },
      { name: work.name, value: seconds, unit: 's', note: share },
      { name: work.name, value: peakBytes / 2 ** 20, unit: 'MiB' },
    );
  }
  return rows;
}

async function quantise({ model, step, calibration }: Work, scratch: string): Promise<void> {
  const text = JSON.stringify({ version: 1, calibration, steps: [step] });
  const recipe = requireRecipe(parseRecipe(text, vocabulary(root)), 'bench.whittle.yaml');
  const base = bindModel(openModel(model), {});
  const { signal } = new AbortController();
  const options = {
    data: dataRequest(recipe.calibration, { folder: root, recipeFile: undefined }),
    sizes: inputSizes(base),
    signal,
    onProgress: () => undefined,
    runtimeEntry: path.join(root, 'dist/runtime.js'),
  };
  const run = await runSteps(base, recipe.steps, (prepared) => planStep(prepared, options), signal);
  const { graph } = run.outcomes.at(-1)!.situation;
  writeModel(graph.model, graph.toRecord(), graph.opsets, path.join(scratch, 'quantised.onnx'));
}

async function watched(work: () => Promise<void>) {
  const shared = new SharedArrayBuffer(4);
  const worker = new Worker(path.join(root, 'test/bench/lib/watch.mjs'), {
    workerData: { pid: process.pid, shared },
  });
  const peak = new Promise<number>((resolve) => worker.once('message', resolve));
  const [started, before] = [performance.now(), processorSeconds()];
  await work();
  const seconds = (performance.now() - started) / 1000;
  const cpuSeconds = processorSeconds() - before;
  const state = new Int32Array(shared);
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
  return { seconds, cpuSeconds, peakBytes: await peak };
}

/** Ticks of Linux's clock in a second, the same on all machines that Node runs on. */
const TICKS = 100;

/** Of this process and of those that it started and that have ended. */
function processorSeconds(): number {
  const [, fields] = readFileSync('/proc/self/stat', 'utf8').split(') ');
  // User and system time, of itself and of children: fields 14 to 17, the third being the first here.
  const ticks = fields!.split(' ').slice(11, 15).map(Number);
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS;
}
