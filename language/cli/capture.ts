/** `whittle capture`: statistics of values inside a model over data. */
import path from 'node:path';
import { allNodes, attentionsAt, selectValues } from '../recipe/captures';
import { bindModel, inputSizes, openModel } from '../recipe/opened';
import type { AttentionMap, Captured, ChannelStatistics, Histogram } from '../runtime/tasks';
import {
  count,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  UsageError,
  type Command,
} from './command';
import { writeGramFiles } from './gramFiles';
import { dataAt, runShown } from './running';

const KINDS = ['range', 'moments', 'histogram', 'channel-histograms', 'attention'] as const;
type Kind = (typeof KINDS)[number];

/** As a person reads it; what decides on ranges counts finer. */
const BINS = 128;
const CHANNEL_BINS = 32;

const command: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    ...SHAPE_OPTION,
    data: { type: 'string' },
    tensors: { type: 'string', multiple: true, default: [] as string[] },
    kinds: { type: 'string', default: 'range' },
    samples: { type: 'string' },
    grams: { type: 'string' },
  });
  if (options.data === undefined) throw new UsageError('--data is missing');
  const kinds = kindsOf(options.kinds);
  const model = path.resolve((positionals as [string])[0]);
  const base = bindModel(openModel(model), readShapes(options.shape));
  const everything = options.tensors.length === 0;
  const { values, nodes } = everything
    ? {
        values: base.graph.order.flatMap(({ outputs }) => outputs).filter(Boolean),
        nodes: allNodes(base.graph),
      }
    : selectValues(base, options.tensors);
  const samples = count('samples', options.samples);
  const onlyAttention = kinds.size === 1 && kinds.has('attention');
  const run = { model, data: dataAt(options.data, samples), shapes: inputSizes(base) };
  const grams =
    options.grams === undefined
      ? undefined
      : await writeGramFiles(path.resolve(options.grams), (into) =>
          runShown(surroundings, options, { kind: 'grams', ...run, values, into }),
        );
  const found = await runShown(surroundings, options, {
    kind: 'capture',
    ...run,
    values: onlyAttention ? [] : values,
    moments: kinds.has('range') || kinds.has('moments'),
    ...((kinds.has('histogram') || kinds.has('channel-histograms')) && { histogramBins: BINS }),
    ...(kinds.has('channel-histograms') && { channelBins: CHANNEL_BINS }),
    ...(kinds.has('attention') && { attentions: attentionsAt(base, nodes) }),
  });
  const skipped = [...new Map([...(grams?.skipped ?? []), ...found.skipped])].map(
    ([name, reason]) => ({ name, reason }),
  );
  const document = {
    ...{ model, kind: 'measured', data: found.data, generated: found.generated },
    samples: found.samples,
    tensors: tensorsOf(found, kinds),
    ...(kinds.has('attention') && { attentions: attentionsOf(found) }),
    ...(grams && { grams: grams.files }),
    skipped,
  };
  print(surroundings, options, document, () => [
    `${found.samples} samples of ${found.data} (measured)`,
    ...table(rows(found), [1, 2]),
    ...[...found.attentions].map(([node, map]) => attentionLine(node, map)),
    ...(grams ? [`${grams.files.length} Gram matrices in ${options.grams}`] : []),
    ...skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`),
  ]);
};
export default command;

function kindsOf(given: string): ReadonlySet<Kind> {
  const kinds = given.split(',').map((kind) => kind.trim());
  const wrong = kinds.find((kind) => !(KINDS as readonly string[]).includes(kind));
  if (wrong !== undefined)
    throw new UsageError(`--kinds ${wrong}: one or more of ${KINDS.join(', ')} are expected`);
  return new Set(kinds as Kind[]);
}

function tensorsOf({ moments, histograms, channelHistograms }: Captured, kinds: ReadonlySet<Kind>) {
  const names = new Set([...moments.keys(), ...histograms.keys()]);
  return [...names].map((name) => {
    const found = moments.get(name);
    const histogram = histograms.get(name);
    const channels = channelHistograms.get(name);
    return {
      name,
      ...(found && rangeOf(found)),
      ...(found && kinds.has('moments') && { channels: channelsOf(found) }),
      ...(histogram && kinds.has('histogram') && { histogram: plain(histogram) }),
      ...(channels && { channelHistograms: channels.map(plain) }),
    };
  });
}

const rangeOf = ({ min, max }: ChannelStatistics) => ({
  min: min.reduce((a, b) => Math.min(a, b)),
  max: max.reduce((a, b) => Math.max(a, b)),
});

const channelsOf = ({ count: elements, min, max, mean, meanSquare }: ChannelStatistics) => ({
  count: elements,
  min: [...min],
  max: [...max],
  mean: [...mean],
  meanSquare: [...meanSquare],
});

const plain = ({ start, width, counts }: Histogram) => ({ start, width, counts: [...counts] });

/** Six digits of each probability are more than the samples tell. */
const attentionsOf = ({ attentions }: Captured) =>
  [...attentions].map(([node, { mean, ...sizes }]) => ({
    node,
    ...sizes,
    mean: Array.from(mean, (share) => Number(share.toPrecision(6))),
  }));

function rows({ moments, histograms }: Captured): string[][] {
  return [...new Set([...moments.keys(), ...histograms.keys()])].map((name) => {
    const found = moments.get(name);
    const histogram = histograms.get(name);
    const { min, max } = found ? rangeOf(found) : spanOf(histogram!);
    const channels = found ? [`${found.min.length} channels`] : [];
    const bins = histogram ? [`${histogram.counts.length} bins of ${histogram.width}`] : [];
    return [name, min.toPrecision(4), max.toPrecision(4), [...channels, ...bins].join(', ')];
  });
}

const spanOf = ({ start, width, counts }: Histogram) => ({
  min: start,
  max: start + width * counts.length,
});

const attentionLine = (node: string, { heads, queries, keys, count: maps }: AttentionMap): string =>
  `${node}: ${heads} heads, ${queries} queries × ${keys} keys, the mean of ${maps}`;
