/**
 * Throughput of an evaluation against a bare loop of ONNX Runtime over the same batches, as a ratio of processor time, in turn
 * in one run: what else the machine does weighs on both. More models than the bundled samples are measured where they lie
 * beside the project.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadDataset, type Batch, type Dataset } from '../../language/data/dataset';
import { batchSize } from '../../language/runtime/perform/data';
import { evaluate } from '../../language/runtime/perform/evaluate';
import { openSession, type Session } from '../../language/runtime/session';
import type { DataRequest } from '../../language/runtime/tasks';
import type { Row } from './lib/bench';

const root = process.cwd();
const ROUNDS = 3;
const LIMIT = 1.3;
/** Processor time of a round of the bare loop at least: as many samples as that takes, or all of them again and again. */
const ROUND_MS = 2000;
const BUNDLED = ['shapes-resnet', 'shapes-vit', 'text-llama'];
/** One of each kind of task, where they are there. */
const SHARED = [
  ...['shapes-mobilenet', 'shapes-dit', 'scene-seg', 'scene-depth', 'pose', 'detector'],
  ...['portrait-style', 'video-ar', 'video-dit', 'text-mamba'],
];

interface Ratios {
  readonly cpu: number;
  readonly clock: number;
  readonly samples: number;
}

async function ratiosOf(name: string, model: string): Promise<Ratios> {
  const file = path.join(root, 'test/datasets', `${name}.dataset.yaml`);
  const { batches, samples } = await batchesOf(file, model);
  const data = { dataset: file, folder: root, samples };
  await evaluation(model, data); // compiles the code that reads and judges
  const times = Math.ceil(ROUND_MS / (await bareLoop(model, batches)).cpuMs);
  const cpu: number[] = [];
  const clock: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bare = await spentOn(times, () => bareLoop(model, batches));
    const ours = await spentOn(times, () => evaluation(model, data));
    cpu.push(ours.cpuMs / bare.cpuMs);
    clock.push(ours.clockMs / bare.clockMs);
  }
  return { cpu: median(cpu), clock: median(clock), samples };
}

async function spentOn(times: number, run: () => Promise<Spent>): Promise<Spent> {
  const sum = { cpuMs: 0, clockMs: 0 };
  for (let time = 0; time < times; time++) {
    const { cpuMs, clockMs } = await run();
    sum.cpuMs += cpuMs;
    sum.clockMs += clockMs;
  }
  return sum;
}

async function batchesOf(file: string, model: string) {
  const session = await openSession(model, { threads: 1 });
  const whole = loadDataset(file, root);
  const size = await batchSize(whole.bind(session.inputs), session);
  const samples = await enough(session, whole, size);
  const batches = [...loadDataset(file, root, { samples }).bind(session.inputs).batches(size)];
  await session.release();
  return { batches, samples };
}

/** As an evaluation, in a fresh session: the first batch takes the memory of all. */
async function bareLoop(model: string, batches: readonly Batch[]): Promise<Spent> {
  const session = await openSession(model, { threads: 1 });
  const bare = stopwatch();
  for (const batch of batches) await session.run(batch.inputs);
  const spent = bare();
  await session.release();
  return spent;
}

/** How many samples a round needs. The first run is not counted: it finds out where memory goes. */
async function enough(session: Session, dataset: Dataset, size: number): Promise<number> {
  const [batch] = dataset.bind(session.inputs).batches(size);
  await session.run(batch!.inputs);
  const once = stopwatch();
  await session.run(batch!.inputs);
  const runs = Math.max(2, Math.ceil(ROUND_MS / Math.max(0.1, once().cpuMs)));
  return Math.min(dataset.samples, runs * batch!.samples.length);
}

/** From the first batch to the score: loading the model is not throughput. */
async function evaluation(model: string, data: DataRequest): Promise<Spent> {
  let started = stopwatch();
  const report = (stage: string, done: number) => {
    if (done === 0 && stage.startsWith('running')) started = stopwatch();
  };
  await evaluate({ model, data, threads: 1 }, { scratch: '', report });
  return started();
}

interface Spent {
  /** Of all threads. */
  readonly cpuMs: number;
  readonly clockMs: number;
}

function stopwatch(): () => Spent {
  const [cpu, clock] = [process.cpuUsage(), performance.now()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { cpuMs: (user + system) / 1000, clockMs: performance.now() - clock };
  };
}

const median = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

export default async (): Promise<Row[]> => {
  const rows: Row[] = [];
  const models = [
    ...BUNDLED.map((name) => [name, path.join(root, `templates/samples/${name}.onnx`)] as const),
    ...SHARED.map(
      (name) => [name, path.join(root, `../shared/models/samples/${name}.onnx`)] as const,
    ),
  ];
  for (const [name, model] of models.filter(([, file]) => existsSync(file))) {
    const { cpu, clock, samples } = await ratiosOf(name, model);
    rows.push({
      name: `${name} against a bare loop`,
      value: cpu,
      unit: '× CPU',
      bar: LIMIT,
      note: `${clock.toFixed(2)} × on the clock, ${samples} samples`,
    });
  }
  return rows;
};
