/** The target `host`: this machine, measured once and kept in the user's folder for data. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { calibrateHost, type HostCalibration, type ProfiledNetwork } from '../cost/calibrateHost';
import type { TargetProfile } from '../cost/profile';
import { resolveTarget, TARGET_SUFFIX } from '../cost/targets';
import { describeError, WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import { probes } from '../runtime/probes';
import { runTask } from '../runtime/runtime';
import { withScratch } from '../runtime/scratch';
import { bindModel, inputSizes, openModel } from './opened';

export const HOST = 'host';

export const hostFile = (): string => path.join(dataFolder(), 'targets', HOST + TARGET_SUFFIX);

export const isCalibrated = (): boolean => existsSync(hostFile());

/** @throws WhittleError while this machine is not calibrated */
export function hostTarget(): TargetProfile {
  const file = hostFile();
  if (!existsSync(file))
    throw new WhittleError(`${HOST}: this machine is not calibrated yet`, {
      hint: 'Run whittle calibrate host; it takes about a minute',
    });
  return resolveTarget(HOST, path.dirname(file));
}

/** The folder that the system has for what users keep; WHITTLE_DATA names another. */
function dataFolder(): string {
  const { WHITTLE_DATA, XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  if (WHITTLE_DATA) return WHITTLE_DATA;
  if (XDG_DATA_HOME) return path.join(XDG_DATA_HOME, 'whittle');
  if (process.platform === 'win32' && LOCALAPPDATA) return path.join(LOCALAPPDATA, 'whittle');
  const data = process.platform === 'darwin' ? 'Library/Application Support' : '.local/share';
  return path.join(os.homedir(), data, 'whittle');
}

// ---- calibration

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

const BUDGET_MS = 400;
/** Everything is measured in turn so often; what other programs disturbed is left out. */
const ROUNDS = 2;

/**
 * Measures networks layer by layer and fits a profile to them.
 * @param base the profile whose ratios hold where the measurements say nothing
 */
export function measureHost(
  base: TargetProfile,
  request: HostRequest,
  control: HostControl,
): Promise<HostCalibration> {
  if (base.kind !== 'mobile') throw new WhittleError(`${base.id} holds no rates to start from`);
  return withScratch(async (folder) => {
    const own = request.models.map((file) => ({ name: path.basename(file), file }));
    const made = probes().map(({ name, write }, i) => {
      const file = path.join(folder, `probe-${i}.onnx`);
      write(file);
      return { name, file };
    });
    const all = [...made, ...own];
    const fastest = new Map<string, Profiled>();
    for (let round = 0; round < ROUNDS; round++)
      for (const [i, { name, file }] of all.entries()) {
        control.onProgress(name, (round + i / all.length) / ROUNDS);
        const now = await profiled(name, file, request, control);
        const before = fastest.get(file);
        if (!before || now.network.wholeMs < before.network.wholeMs) fastest.set(file, now);
      }
    const found = [...fastest.values()];
    const { conditions } = found[0]!;
    const networks = found.map(({ network }) => network);
    return calibrateHost(base, networks, { id: HOST, threads: request.threads, conditions });
  });
}

interface Profiled {
  readonly network: ProfiledNetwork;
  readonly conditions: string;
}

async function profiled(
  name: string,
  file: string,
  { shapes, threads, budgetMs = BUDGET_MS }: HostRequest,
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

/** Complete and by itself. @throws WhittleError when the folder cannot be written to */
export function writeProfile(file: string, { id: _, ...profile }: TargetProfile): void {
  const staged = `${file}.${process.pid}.part`;
  try {
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    writeFileSync(staged, stringify(profile, { lineWidth: 110 }));
    renameSync(staged, file);
  } catch (error) {
    rmSync(staged, { force: true });
    throw new WhittleError(`the profile cannot be written: ${describeError(error)}`);
  }
}
