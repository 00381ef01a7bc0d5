/** The target `host`: this machine, measured once and kept in the user's folder for data. */
import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import type { TargetProfile } from '../cost/profile';
import { resolveTarget, TARGET_SUFFIX } from '../cost/targets';
import { describeError, WhittleError } from '../errors';
import { writeWhole } from './files';

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

/** Complete and by itself. @throws WhittleError when the folder cannot be written to */
export function writeProfile(file: string, { id: _, ...profile }: TargetProfile): void {
  try {
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    writeWhole(file, stringify(profile, { lineWidth: 110 }));
  } catch (error) {
    throw new WhittleError(`the profile cannot be written: ${describeError(error)}`);
  }
}
