/** `whittle targets`: the devices that costs can be modelled for. */
import { targetInfos } from '../recipe/bundled';
import { print, readArguments, table, type Command } from './command';

const targets: Command = (argv, surroundings) => {
  const { values: options } = readArguments(argv, [], {});
  const infos = targetInfos();
  print(surroundings, options, { targets: infos }, () =>
    table(infos.map(({ id, title, basis }) => [id, title, basis])),
  );
  return Promise.resolve();
};
export default targets;
