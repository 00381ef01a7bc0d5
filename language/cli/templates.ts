/** `whittle templates`: recipes to begin with. */
import { templateInfos } from '../recipe/bundled';
import { print, readArguments, table, type Command } from './command';

const templates: Command = (argv) => {
  const { values: options } = readArguments(argv, [], {});
  const infos = templateInfos();
  print(options.json, options.quiet, { templates: infos }, () =>
    table(infos.map(({ id, title, path }) => [id, title, path])),
  );
  return Promise.resolve();
};
export default templates;
