/** `whittle calibrate host`: measures this machine, which is a target from then on. */
import path from 'node:path';
import { describeBasis } from '../cost/profile';
import { calibrateThisMachine } from '../recipe/calibrating';
import { hostFile, HOST } from '../recipe/thisMachine';
import {
  count,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  withProgress,
  type Command,
} from './command';
import { heldOutTable, leaveOneOut } from './heldOut';

const calibrateHost: Command = async (argv, surroundings) => {
  const { values: options } = readArguments(argv, [HOST], {
    ...SHAPE_OPTION,
    model: { type: 'string', multiple: true, default: [] as string[] },
    threads: { type: 'string' },
    budget: { type: 'string' },
    output: { type: 'string', short: 'o' },
  });
  const budgetMs = count('budget', options.budget);
  const request = {
    models: options.model.map((model) => path.resolve(model)),
    shapes: readShapes(options.shape),
    threads: count('threads', options.threads) ?? 1,
    ...(budgetMs !== undefined && { budgetMs }),
  };
  const { profile, heldOut, file } = await withProgress(surroundings, options, (progress) =>
    calibrateThisMachine(
      {
        signal: surroundings.interruption(),
        onProgress: (detail, fraction) => progress(`measuring: ${detail}`, fraction),
        runtimeEntry: surroundings.runtimeEntry,
      },
      request,
      options.output === undefined ? hostFile() : path.resolve(options.output),
    ),
  );
  const { precisions, threads } = profile;
  const document = {
    profile: file,
    target: options.output === undefined ? HOST : file,
    kind: 'measured',
    threads,
    constants: { precisions },
    leaveOneOut: leaveOneOut(profile, heldOut),
  };
  print(surroundings, options, document, () => [
    `${file}: ${profile.title}`,
    `  ${describeBasis(profile)}`,
    ...heldOutTable(heldOut),
    `Use it as --target ${document.target}`,
  ]);
};
export default calibrateHost;
