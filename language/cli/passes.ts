/** `whittle passes`: what can be done to a model. */
import { passInfos } from '../recipe/bundled';
import { print, readArguments, type Command } from './command';

const passes: Command = (argv, surroundings) => {
  const { values: options } = readArguments(argv, [], {});
  const infos = passInfos();
  print(surroundings, options, { passes: infos }, () =>
    infos.flatMap(({ id, title, summary, parameters, paper }) => [
      `${id}: ${title}`,
      `  ${summary}`,
      ...(paper ? [`  ${paper.authors}: ${paper.title}. ${paper.venue}`] : []),
      ...Object.entries(parameters.properties).map(
        ([name, { description, default: value }]) =>
          `  ${name}${value === undefined ? '' : ` = ${JSON.stringify(value)}`}: ${description ?? ''}`,
      ),
    ]),
  );
  return Promise.resolve();
};
export default passes;
