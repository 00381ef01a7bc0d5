/** `whittle profile`: what each layer of a model takes on this machine. */
import path from 'node:path';
import { bindModel, inputSizes, openModel } from '../recipe/opened';
import {
  count,
  milliseconds,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  type Command,
} from './command';
import { dataAt, runShown } from './running';

const profile: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    ...SHAPE_OPTION,
    data: { type: 'string' },
    threads: { type: 'string' },
    batch: { type: 'string' },
    top: { type: 'string' },
  });
  const model = path.resolve((positionals as [string])[0]);
  const data = options.data === undefined ? undefined : dataAt(options.data);
  const threads = count('threads', options.threads);
  const batch = count('batch', options.batch);
  const top = count('top', options.top) ?? 20;
  const shapes = inputSizes(bindModel(openModel(model), readShapes(options.shape)));
  const task = {
    kind: 'profile',
    model,
    shapes,
    ...(data && { data }),
    ...(threads && { threads }),
    ...(batch && { batch }),
  } as const;
  const { layers, wholeMs, conditions, generated } = await runShown(surroundings, options, task);
  const sumMs = layers.reduce((sum, { ms }) => sum + ms, 0);
  const document = { model, kind: 'measured', wholeMs, sumMs, conditions, generated, layers };
  print(surroundings, options, document, () => {
    const costly = [...layers].sort((a, b) => b.ms - a.ms);
    return [
      `${milliseconds(wholeMs)} measured, its layers ${milliseconds(sumMs)} (${conditions})`,
      ...table(
        costly
          .slice(0, top)
          .map(({ node, op, ms, kernels, fused }) => [
            `  ${node}`,
            op,
            milliseconds(ms),
            `${((100 * ms) / sumMs).toFixed(1)} %`,
            kernels.join(' + '),
            fused.length ? `with ${fused.length} more` : '',
          ]),
        [2, 3],
      ),
      ...(costly.length > top ? [`  … and ${costly.length - top} more layers`] : []),
    ];
  });
};
export default profile;
