/** Calibrating the target `host`: networks are measured here, layer by layer. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { calibrateHost, type HostCalibration, type ProfiledNetwork } from '../cost/calibrateHost';
import { WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import { probes } from '../runtime/probes';
import { runTask } from '../runtime/runtime';
import { withScratch } from '../runtime/scratch';
import { SAMPLES_FOLDER, targetProfile } from './bundled';
import { bindModel, inputSizes, openModel } from './opened';
import { HOST } from './thisMachine';

export interface HostRequest {
  /** Models of the user's to measure beside the probes. */
  readonly models: readonly string[];
  readonly shapes: ShapeBindings;
  readonly threads: number;
  /** How long to measure each network at least, in ms. */
  readonly budgetMs?: number;
}

export interface HostControl {
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string, fraction: number) => void;
  readonly runtimeEntry?: string | undefined;
}

const BUDGET_MS = 300;
/** Everything is measured in turn so often; what other programs disturbed is left out. */
const ROUNDS = 3;

/** Its ratios hold where the measurements say nothing. */
const BASE = 'mobile.generic-cpu';

/** Models as exporters write them, beside the probes, where they are there: a packaged extension holds none. */
const SAMPLES = [
  { name: 'shapes-resnet', shapes: {} },
  { name: 'shapes-vit', shapes: {} },
  { name: 'text-llama', shapes: { sequence: 64 } },
];

/** Measures the probes, the samples and the user's models, and fits a profile to them. */
export function measureHost(request: HostRequest, control: HostControl): Promise<HostCalibration> {
  return withScratch(async (folder) => {
    const samples = SAMPLES.map(({ name, shapes }) => ({
      name,
      file: path.join(SAMPLES_FOLDER, `${name}.onnx`),
      shapes,
    })).filter(({ file }) => existsSync(file));
    const own = request.models.map((file) => ({
      name: path.basename(file),
      file,
      shapes: request.shapes,
    }));
    for (const { file, shapes } of own) bindModel(openModel(file), shapes);
    const made = probes().map(({ name, write }, i) => {
      const file = path.join(folder, `probe-${i}.onnx`);
      write(file);
      return { name, file, shapes: {} };
    });
    return fitTo([...made, ...samples, ...own], request, control);
  });
}

export async function fitTo(
  networks: readonly Subject[],
  request: HostRequest,
  control: HostControl,
): Promise<HostCalibration> {
  const base = targetProfile(BASE);
  if (base.kind !== 'mobile') throw new WhittleError(`${base.id} holds no rates to start from`);
  const fastest = new Map<string, Profiled>();
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, network] of networks.entries()) {
      control.onProgress(network.name, (round + i / networks.length) / ROUNDS);
      const now = await profiled(network, request, control);
      const before = fastest.get(network.file);
      if (!before || now.network.wholeMs < before.network.wholeMs) fastest.set(network.file, now);
    }
  const measured = [...fastest.values()];
  const { threads } = request;
  return calibrateHost(
    base,
    measured.map(({ network }) => network),
    { id: HOST, threads, conditions: measured[0]!.conditions },
  );
}

/** A network to measure. */
export interface Subject {
  readonly name: string;
  readonly file: string;
  readonly shapes: ShapeBindings;
}

interface Profiled {
  readonly network: ProfiledNetwork;
  readonly conditions: string;
}

async function profiled(
  { name, file, shapes }: Subject,
  { threads, budgetMs = BUDGET_MS }: HostRequest,
  { signal, runtimeEntry }: HostControl,
): Promise<Profiled> {
  const bound = bindModel(openModel(file), shapes);
  const { layers, wholeMs, conditions } = await runTask(
    { kind: 'profile', model: file, shapes: inputSizes(bound), threads, budgetMs },
    { signal, entry: runtimeEntry },
  );
  const { graph, facts } = bound;
  // The number of runs differs from network to network.
  const common = conditions.replace(/median of \d+ runs[^,]*/, 'medians of runs');
  return { network: { name, graph, facts, layers, wholeMs }, conditions: common };
}
