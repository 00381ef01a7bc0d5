/** `whittle calibrate`: a profile fitted to a device from a table of measurements. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { calibrate, type Calibration, type Measurement } from '../cost/calibrate';
import { readMeasurements } from '../cost/measurements';
import type { Precision } from '../cost/precision';
import { describeBasis, type MobileProfile } from '../cost/profile';
import { describeError, WhittleError } from '../errors';
import { targetProfile } from '../recipe/bundled';
import { resolveFrom } from '../recipe/files';
import { bindModel, openModel } from '../recipe/opened';
import {
  milliseconds,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  UsageError,
  type Command,
  type Surroundings,
} from './command';

const PRECISIONS: readonly string[] = ['int8', 'fp16'] satisfies Precision[];

const command: Command = (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['TARGET', 'MEASUREMENTS.csv'], {
    ...SHAPE_OPTION,
    output: { type: 'string', short: 'o' },
    title: { type: 'string' },
    as: { type: 'string' },
  });
  const [target, file] = positionals as [string, string];
  const { output, as, title } = options;
  if (output === undefined) throw new UsageError('-o NAME.target.yaml is missing');
  if (!/\.ya?ml$/.test(output))
    throw new UsageError(`-o ${output}: a name that ends in .target.yaml is expected`);
  if (as !== undefined && !PRECISIONS.includes(as))
    throw new UsageError(`--as ${as}: int8 or fp16 is expected`);
  const prior = mobileProfile(target);
  const bindings = readShapes(options.shape);
  const measurements = readMeasurements(file, readTable(file)).map((row): Measurement => {
    const model = resolveFrom(path.dirname(file), row.model);
    if (!existsSync(model))
      throw new WhittleError(`model: there is no file ${row.model}`, {
        where: row.where,
        hint: 'Paths are relative to the table',
      });
    const { graph, facts } = bindModel(openModel(model), bindings);
    return { name: row.model, where: row.where, graph, facts, latencyMs: row.latencyMs };
  });
  const result = calibrate(prior, measurements, as as Precision | undefined);
  const profile: MobileProfile = {
    ...result.profile,
    title: title ?? `${prior.title}, calibrated`,
    sources: [...prior.sources, `Fitted to the measurements of ${path.basename(file)}`],
  };
  writeProfile(output, profile);
  show(surroundings, options, output, { ...result, profile });
  return Promise.resolve();
};
export default command;

function mobileProfile(id: string): MobileProfile {
  const profile = targetProfile(id);
  if (profile.kind === 'mobile') return profile;
  throw new WhittleError(`${id} is of kind ${profile.kind}, and only mobile profiles are fitted`, {
    hint: 'Of other kinds the constants are those of the design: edit the profile instead',
  });
}

function readTable(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new WhittleError(`the measurements cannot be read: ${describeError(error)}`);
  }
}

/** Complete and by itself, so that it stays what was fitted when the bundled profile changes. */
function writeProfile(file: string, { id: _, ...profile }: MobileProfile): void {
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

function show(
  surroundings: Surroundings,
  voice: { json: boolean; quiet: boolean },
  output: string,
  { profile, scales, heldOut, warnings }: Calibration,
): void {
  const { basis } = profile;
  const [error] = basis.status === 'calibrated' ? basis.errors : [];
  const document = {
    profile: output,
    base: profile.title,
    constants: {
      scales,
      precisions: profile.precisions,
    },
    leaveOneOut: { ...error, measurements: heldOut },
    warnings,
  };
  print(surroundings, voice, document, () => [
    `${output}: ${profile.title}`,
    `  times against the profile it started from: compute ×${scales.compute.toPrecision(3)}, weights ×${scales.weights.toPrecision(3)}, overhead ×${scales.overhead.toPrecision(3)}`,
    `  ${describeBasis(profile)}`,
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...table(
      [
        ['  network', 'measured', 'fitted', 'predicted without it'],
        ...heldOut.map(({ name, measuredMs, fittedMs, predictedMs }) => [
          `  ${name}`,
          milliseconds(measuredMs),
          milliseconds(fittedMs),
          milliseconds(predictedMs),
        ]),
      ],
      [1, 2, 3],
    ),
  ]);
}
