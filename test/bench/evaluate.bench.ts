/**
 * Throughput of an evaluation against a bare loop of ONNX Runtime over the same batches, as a ratio of processor time, in turn
 * in one run: what else the machine does weighs on both. More models than the bundled samples are measured where they lie
 * beside the project.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadDataset, type Batch } from '../../language/data/dataset';
import { readDescription, type Description } from '../../language/data/description';
import { npyHeader, readNpyHeader } from '../../language/data/npy';
import { resolveBeside } from '../../language/data/sources';
import { openMember, readDirectory } from '../../language/data/zip';
import { FileSource } from '../../language/onnx/source';
import { batchSize } from '../../language/runtime/perform/data';
import { evaluate } from '../../language/runtime/perform/evaluate';
import { openSession } from '../../language/runtime/session';
import type { DataRequest } from '../../language/runtime/tasks';
import type { Bench, Row } from './lib/bench';

const root = process.cwd();
const ROUNDS = 7;
const LIMIT = 1.3;
/** Processor time of a round of the bare loop at least: what an evaluation does once weighs little then. */
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

async function ratiosOf(name: string, model: string, scratch: string): Promise<Ratios> {
  const file = path.join(root, 'test/datasets', `${name}.dataset.yaml`);
  const { dataset, batches, samples } = await enough(file, model, scratch);
  const data = { dataset, folder: path.dirname(file), samples };
  await evaluation(model, data); // compiles the code that reads and judges
  const cpu: number[] = [];
  const clock: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bare = await bareLoop(model, batches);
    const ours = await evaluation(model, data);
    cpu.push(ours.cpuMs / bare.cpuMs);
    clock.push(ours.clockMs / bare.clockMs);
  }
  return { cpu: median(cpu), clock: median(clock), samples };
}

/** As many samples as a round needs, all of them again and again where the set is small. */
async function enough(file: string, model: string, scratch: string) {
  const folder = path.dirname(file);
  const session = await openSession(model, { threads: 1 });
  const whole = loadDataset(file, folder);
  const binding = whole.bind(session.inputs);
  const size = await batchSize(binding, session);
  const [batch] = binding.batches(size);
  await session.run(batch!.inputs); // finds out where memory goes
  const once = stopwatch();
  await session.run(batch!.inputs);
  const runs = Math.ceil(ROUND_MS / Math.max(0.1, once().cpuMs));
  const samples = runs * batch!.samples.length;
  const dataset =
    samples > whole.samples ? repeated(file, Math.ceil(samples / whole.samples), scratch) : file;
  // What a batch feeds is written over by the next.
  const batches = Array.from(
    loadDataset(dataset, folder, { samples }).bind(session.inputs).batches(size),
    (batch) => structuredClone(batch),
  );
  await session.release();
  return { dataset, batches, samples };
}

/** The data set with its samples so many times. */
function repeated(file: string, times: number, scratch: string): Description {
  const description = readDescription(file);
  if (!('inputs' in description && 'npz' in description.source))
    throw new Error(`${file} is no data set of arrays in an .npz file`);
  const from = resolveBeside(path.dirname(file), description.source.npz);
  const source = new FileSource(from);
  const npy: Record<string, string> = {};
  for (const member of readDirectory(source, from).values()) {
    const name = path.basename(member.name, '.npy');
    const inside = openMember(source, member, from);
    const { descr, dims, dataStart } = readNpyHeader(inside, name);
    const [samples = 0, ...row] = dims;
    const data = Buffer.from(inside.read(dataStart, inside.size));
    const header = npyHeader(descr, [samples * times, ...row]);
    npy[name] = path.join(scratch, `${path.basename(from)}.${name}.npy`);
    writeFileSync(npy[name], Buffer.concat([header, ...Array<Buffer>(times).fill(data)]));
  }
  return { ...description, source: { npy } };
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

export default async ({ scratch }: Bench): Promise<Row[]> => {
  const rows: Row[] = [];
  const models = [
    ...BUNDLED.map((name) => [name, path.join(root, `templates/samples/${name}.onnx`)] as const),
    ...SHARED.map(
      (name) => [name, path.join(root, `../shared/models/samples/${name}.onnx`)] as const,
    ),
  ];
  for (const [name, model] of models.filter(([, file]) => existsSync(file))) {
    const { cpu, clock, samples } = await ratiosOf(name, model, scratch);
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
