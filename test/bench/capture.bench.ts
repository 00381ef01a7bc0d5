/**
 * Memory of a capture: Gram matrices of what all linear layers read, at once and ten times the data. Linux tells the most
 * memory that the process of ONNX Runtime held; elsewhere there are no rows.
 */
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Graph } from '../../language/graph/graph';
import { readModelFile } from '../../language/onnx/read';
import type { HostMessage, Task } from '../../language/runtime/tasks';
import type { Bench, Row } from './lib/bench';

const root = process.cwd();
const MODELS = [
  {
    name: 'llama-shakespeare',
    file: path.join(root, '../shared/models/trained/llama-shakespeare.onnx'),
  },
  { name: 'text-llama', file: path.join(root, 'templates/samples/text-llama.onnx') },
];
const SAMPLES = 6;
/** MB beside the sums themselves. */
const BAR = 300;
const MB = 1e6;

interface Captured {
  readonly peakBytes: number;
  /** Σ 8·K² over the values. */
  readonly sumBytes: number;
}

export default async function ({ scratch }: Bench): Promise<Row[]> {
  if (process.platform !== 'linux') return [];
  const rows: Row[] = [];
  for (const { name, file } of MODELS.filter(({ file }) => existsSync(file))) {
    const of = (samples: number) => capture(name, file, samples, path.join(scratch, name));
    const [once, tenfold] = [await of(SAMPLES), await of(10 * SAMPLES)];
    for (const [what, { peakBytes, sumBytes }] of [
      ['', once],
      [', ten times the data', tenfold],
    ] as const)
      rows.push({
        name: `${name}: peak beside the sums${what}`,
        value: (peakBytes - sumBytes) / MB,
        unit: 'MB',
        bar: BAR,
        note: `sums ${(sumBytes / MB).toFixed(1)} MB`,
      });
    rows.push({
      name: `${name}: peak at ten times the data`,
      value: tenfold.peakBytes / once.peakBytes,
      unit: '×',
      bar: 1.2,
    });
  }
  return rows;
}

function capture(name: string, model: string, samples: number, folder: string): Promise<Captured> {
  mkdirSync(folder, { recursive: true });
  const dataset = path.join(root, 'test/datasets', `${name}.calibration.dataset.yaml`);
  const task: Task = {
    kind: 'grams',
    model,
    values: linearInputs(model),
    data: { dataset, folder: root, samples },
    into: path.join(folder, 'grams'),
  };
  return new Promise((resolve, reject) => {
    const child = fork(path.join(root, 'dist/runtime.js'), [String(process.pid), folder], {
      serialization: 'advanced',
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    });
    child.on('exit', () => reject(new Error(`${name}: the process ended without an answer`)));
    child.on('message', (message: HostMessage) => {
      if (message.kind === 'progress') return;
      const peakBytes = peakOf(child.pid!);
      child.kill('SIGKILL');
      if (message.kind === 'failure') reject(new Error(message.what));
      else if ('grams' in message.result) {
        const sizes = [...message.result.grams.values()].map(({ size }) => size);
        resolve({ peakBytes, sumBytes: sizes.reduce((sum, size) => sum + 8 * size ** 2, 0) });
      }
    });
    child.send(task);
  });
}

function linearInputs(model: string): string[] {
  const graph = Graph.of(readModelFile(model));
  const linear = graph.order.filter(
    ({ op, inputs }) => /^(MatMul|Gemm)$/.test(op) && graph.constant(inputs[1] ?? ''),
  );
  return [...new Set(linear.map(({ inputs }) => inputs[0]!))];
}

function peakOf(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return 1024 * Number(kib);
}
