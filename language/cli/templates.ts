/** `whittle templates`: recipes to begin with. */
import { templateInfos } from '../recipe/bundled';
import { print, readArguments, table, type Command } from './command';

const templates: Command = (argv, surroundings) => {
  const { values: options } = readArguments(argv, [], {});
  const infos = templateInfos();
  print(surroundings, options, { templates: infos }, () =>
    table(infos.map(({ id, title, path }) => [id, title, path])),
  );
  return Promise.resolve();
};
export default templates;
