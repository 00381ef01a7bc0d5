/** `whittle calibrate`: a profile fitted to a device from a table of measurements, or of this machine from its own. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { calibrate, type Calibration, type Measurement } from '../cost/calibrate';
import { readMeasurements } from '../cost/measurements';
import type { Precision } from '../cost/precision';
import { describeBasis, type MobileProfile } from '../cost/profile';
import { describeError, WhittleError } from '../errors';
import { targetProfile } from '../recipe/bundled';
import { resolveFrom } from '../recipe/files';
import { bindModel, openModel } from '../recipe/opened';
import { HOST, writeProfile } from '../recipe/thisMachine';
import calibrateHost from './calibrateHost';
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
  if (argv[0] === HOST) return calibrateHost(argv, surroundings);
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
