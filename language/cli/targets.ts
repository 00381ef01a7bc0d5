/** `whittle targets`: the devices that costs can be modelled for; with `--schema`, what a profile may hold. */
import { profileSchema } from '../cost/profile';
import { targetInfos } from '../recipe/bundled';
import { print, readArguments, table, type Command } from './command';

const targets: Command = (argv, surroundings) => {
  const { values: options } = readArguments(argv, [], {
    schema: { type: 'boolean', default: false },
  });
  if (options.schema) {
    surroundings.stdout.write(`${JSON.stringify(profileSchema(), null, 2)}\n`);
    return Promise.resolve();
  }
  const infos = targetInfos();
  print(surroundings, options, { targets: infos }, () =>
    table(infos.map(({ id, title, basis }) => [id, title, basis])),
  );
  return Promise.resolve();
};
export default targets;
