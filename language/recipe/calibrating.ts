/** Profiles fitted to measurements: those of a device, in a table, or of this machine, made on the spot. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { calibrate, type Calibration, type Measurement } from '../cost/calibrate';
import type { HostCalibration } from '../cost/calibrateHost';
import { readMeasurements } from '../cost/measurements';
import type { Precision } from '../cost/precision';
import type { MobileProfile } from '../cost/profile';
import { WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import { targetProfile } from './bundled';
import { readText, resolveFrom } from './files';
import { measureHost, type HostControl, type HostRequest } from './measureHost';
import { bindModel, openModel } from './opened';
import { hostFile, writeProfile } from './thisMachine';

export interface DeviceRequest {
  /** The profile whose ratios hold where the measurements say nothing. */
  readonly target: string;
  /** CSV; paths of models in it are relative to it. */
  readonly table: string;
  /** Where the profile goes; what is there is replaced. */
  readonly output: string;
  readonly title?: string | undefined;
  readonly as?: Precision | undefined;
  readonly shapes: ShapeBindings;
}

/** @throws WhittleError that names file, line and field where target or table are wrong; nothing is written then */
export function calibrateDevice(request: DeviceRequest): Calibration {
  const { target, table, output, title, as, shapes } = request;
  const prior = mobileProfile(target);
  const measurements = readMeasurements(table, readText(table)).map((row): Measurement => {
    const model = resolveFrom(path.dirname(table), row.model);
    if (!existsSync(model))
      throw new WhittleError(`model: there is no file ${row.model}`, {
        where: row.where,
        hint: 'Paths are relative to the table',
      });
    const { graph, facts, free } = bindModel(openModel(model), {
      ...shapes,
      ...row.shapes,
    });
    const [open] = free;
    if (open)
      throw new WhittleError(
        `model: ${open.symbol} of ${open.inputs.join(', ')} is free in ${row.model}, so what was measured is not known`,
        {
          where: row.where,
          hint: `Say it in a column \`shape\` of the table (${open.symbol}=SIZE), or for all with whittle calibrate --shape ${open.symbol}=SIZE`,
        },
      );
    const { where, latencyMs } = row;
    const name = row.shape === '' ? row.model : `${row.model} at ${row.shape}`;
    return { name, network: model, where, graph, facts, latencyMs };
  });
  const result = calibrate(prior, measurements, as);
  const profile = {
    ...result.profile,
    title: title ?? `${prior.title}, calibrated`,
    sources: [...prior.sources, `Fitted to the measurements of ${path.basename(table)}`],
  };
  writeProfile(output, profile);
  return { ...result, profile };
}

function mobileProfile(id: string): MobileProfile {
  const profile = targetProfile(id);
  if (profile.kind === 'mobile') return profile;
  throw new WhittleError(`${id} is of kind ${profile.kind}, and only mobile profiles are fitted`, {
    hint: 'Of other kinds the constants are those of the design: edit the profile instead',
  });
}

const ONE_THREAD: HostRequest = { models: [], shapes: {}, threads: 1 };

/** Measures this machine, which is the target `host` from then on unless `output` says otherwise. */
export async function calibrateThisMachine(
  control: HostControl,
  request: HostRequest = ONE_THREAD,
  output = hostFile(),
): Promise<HostCalibration & { readonly file: string }> {
  const calibration = await measureHost(request, control);
  writeProfile(output, calibration.profile);
  return { ...calibration, file: output };
}
