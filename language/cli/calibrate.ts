/** `whittle calibrate`: a profile fitted to a device from a table of measurements, or of this machine from its own. */
import type { Calibration } from '../cost/calibrate';
import type { Precision } from '../cost/precision';
import { describeBasis } from '../cost/profile';
import { calibrateDevice } from '../recipe/calibrating';
import { HOST } from '../recipe/thisMachine';
import calibrateHost from './calibrateHost';
import { heldOutTable, leaveOneOut } from './heldOut';
import {
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
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
  const result = calibrateDevice({
    target,
    table: file,
    output,
    title,
    as: as as Precision | undefined,
    shapes: readShapes(options.shape),
  });
  show(surroundings, options, output, result);
  return Promise.resolve();
};
export default command;

function show(
  surroundings: Surroundings,
  voice: { json: boolean; quiet: boolean },
  output: string,
  { profile, scales, heldOut, warnings }: Calibration,
): void {
  const document = {
    profile: output,
    base: profile.title,
    constants: {
      scales,
      precisions: profile.precisions,
    },
    leaveOneOut: leaveOneOut(profile, heldOut),
    warnings,
  };
  print(surroundings, voice, document, () => [
    `${output}: ${profile.title}`,
    `  times against the profile it started from: compute ×${scales.compute.toPrecision(3)}, weights ×${scales.weights.toPrecision(3)}, overhead ×${scales.overhead.toPrecision(3)}`,
    `  ${describeBasis(profile)}`,
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...heldOutTable(heldOut),
  ]);
}
