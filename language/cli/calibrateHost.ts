/** `whittle calibrate host`: measures this machine, which is a target from then on. */
import path from 'node:path';
import { describeBasis } from '../cost/profile';
import { calibrateThisMachine } from '../recipe/calibrating';
import { hostFile, HOST } from '../recipe/thisMachine';
import {
  count,
  milliseconds,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  withProgress,
  type Command,
} from './command';

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
  const control = {
    signal: surroundings.interruption(),
    runtimeEntry: surroundings.runtimeEntry,
  };
  const { profile, heldOut, file } = await withProgress(surroundings, options, (progress) =>
    calibrateThisMachine(
      {
        ...control,
        onProgress: (detail, fraction) => progress(`measuring: ${detail}`, fraction),
      },
      request,
      options.output === undefined ? hostFile() : path.resolve(options.output),
    ),
  );
  const { basis, precisions, threads } = profile;
  const [error] = basis.status === 'calibrated' ? basis.errors : [];
  const document = {
    profile: file,
    target: options.output === undefined ? HOST : file,
    kind: 'measured',
    threads,
    constants: { precisions },
    leaveOneOut: { ...error, measurements: heldOut },
  };
  print(surroundings, options, document, () => [
    `${file}: ${profile.title}`,
    `  ${describeBasis(profile)}`,
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
    `Use it as --target ${document.target}`,
  ]);
};
export default calibrateHost;
