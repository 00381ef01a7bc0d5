/**
 * A data set, described once and used for calibration, evaluation and samples alike: `NAME.dataset.yaml`, or the same
 * inline in a recipe.
 *
 * ```yaml
 * source: { npz: ./eval-shapes.npz }
 * inputs:
 *   image: { array: x, scale: 1/255, mean: [0.5], std: [0.25], layout: NCHW }
 * target: { array: y }
 * metric: { id: top1 }
 * samples: 700
 * seed: 0
 * ```
 *
 * Every array has one row per sample. `inputs` says, by the name of each of the model's inputs, which array feeds it:
 * `(array · scale − mean) / std`, in the element type that the model asks for. `mean` and `std` have one number, or one per
 * channel; `layout` names the axes that the model takes (N the samples, C the channels) and `stored` those of the array
 * where they differ. An input that is the same for every sample is `{ fill: 1, shape: [96] }`.
 *
 * `slice: [from, to]` takes a part of the axis after the samples, counted as in Python: negative from the end, and without
 * `to` up to the end. So a language model that predicts the next token of (N, 97) ids, scored on some of them, is
 *
 * ```yaml
 * inputs:
 *   input_ids: { array: ids, slice: [0, -1] }
 * target: { array: ids, slice: [1], mask: { array: ans, slice: [1] } }
 * metric: { id: answer-accuracy }
 * ```
 *
 * `target` is what the metric holds the model's output against, `mask` marks (not 0) the parts of the target that count, and
 * `extra` gives a metric further arrays by the names that it asks for. `samples` takes that many, drawn by `seed`; without it
 * all are taken. Paths are relative to the description, or to the recipe that contains it.
 */
import { readFileSync, statSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { didYouMean, WhittleError } from '../errors';
import { SOURCES } from './sources';

const slice = z
  .union([z.tuple([z.int()]), z.tuple([z.int(), z.int()])])
  .describe('Part of the axis after the samples: [from, to], counted as in Python');

const column = z.strictObject({
  array: z.string().min(1).describe('Name of an array, one row per sample'),
  slice: slice.optional(),
});

const numberOrFraction = z.union([
  z.number(),
  z
    .string()
    .regex(/^\s*\d+(\.\d+)?\s*\/\s*\d+(\.\d+)?\s*$/, 'expected a number or a fraction: 1/255'),
]);
const perChannel = z.union([z.number(), z.array(z.number()).min(1)]);
const axes = z
  .string()
  .regex(/^N(?!.*(.).*\1)[A-Z]*$/, 'expected the axes as different letters, samples first: NCHW');

const inputType = z.enum([
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
]);

const arrayInput = column.extend({
  type: inputType.optional().describe('Element type that the input must have; checked'),
  scale: numberOrFraction.optional().describe('Factor on the stored elements, such as 1/255'),
  mean: perChannel.optional().describe('Subtracted after scaling: one number, or one per channel'),
  std: perChannel.optional().describe('Divided by last: one number, or one per channel'),
  layout: axes.optional().describe('Axes of the input: NCHW'),
  stored: axes.optional().describe('Axes of the array where they differ: NHWC'),
});

const filledInput = z.strictObject({
  fill: z.number().describe('The number that every element has'),
  shape: z.array(z.int().nonnegative()).describe('Sizes for one sample'),
  type: inputType.optional().describe('Element type that the input must have; checked'),
});

const target = column.extend({
  mask: column.optional().describe('Not 0 where the target counts'),
});

const metric = z.looseObject({
  id: z.string().min(1).describe('Metric, such as top1'),
});

const arraySource = z.union(
  Object.entries(SOURCES).map(([kind, { location }]) => z.strictObject({ [kind]: location })),
);
const generatedSource = z.strictObject({
  generated: z.strictObject({}).describe('Made-up inputs of the types and shapes of the model'),
});

/** Source kinds that descriptions may name in a later version. */
const LATER = ['images', 'text', 'jsonl'];

const counts = {
  metric: metric.optional(),
  samples: z.int().positive().optional().describe('How many samples are used; default: all'),
  seed: z.int().optional().describe('Draws the samples when not all are used; default 0'),
};

export const descriptionSchema = z.union([
  z.strictObject({
    source: arraySource,
    inputs: z.record(z.string(), z.union([arrayInput, filledInput])),
    target: target.optional(),
    extra: z.record(z.string(), column).optional(),
    ...counts,
  }),
  z.strictObject({ source: generatedSource, ...counts }),
]);

export type Description = z.infer<typeof descriptionSchema>;
export type ArrayDescription = Extract<Description, { inputs: object }>;
export type ColumnDescription = z.infer<typeof column>;
export type InputDescription = z.infer<typeof arrayInput> | z.infer<typeof filledInput>;
export type ArrayInput = z.infer<typeof arrayInput>;
export type InputType = z.infer<typeof inputType>;
export type MetricChoice = z.infer<typeof metric>;

/** A description larger than this is some other file. */
const MAX_DESCRIPTION_BYTES = 2 ** 20;

/** @throws WhittleError naming the file, and the line or the key that is wrong */
export function readDescription(file: string): Description {
  const text = readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const error = document.errors[0];
  if (error) {
    const { line } = lines.linePos(error.pos[0]);
    throw new WhittleError(`not valid YAML: ${error.message.split('\n')[0]}`, {
      where: `${file}:${line}`,
      cause: error,
    });
  }
  return parseDescription(document.toJS(), file);
}

/** @param where the file that the description stands in, for messages */
export function parseDescription(value: unknown, where: string): Description {
  refuseUnknownSource(value, where);
  const kind = isObject(value) && isObject(value.source) && 'generated' in value.source ? 1 : 0;
  const parsed = descriptionSchema.options[kind].safeParse(value);
  if (parsed.success) return parsed.data;
  const { keys, message } = innermost(parsed.error.issues);
  const at = keys.length ? `${keys.join('.')}: ` : '';
  throw new WhittleError(`not a description of a data set: ${at}${message}`, { where });
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size <= MAX_DESCRIPTION_BYTES) return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new WhittleError(`cannot read the description of the data set`, { where: file, cause });
  }
  throw new WhittleError('too large for a description of a data set', {
    where: file,
    hint: 'Name a NAME.dataset.yaml that describes the data',
  });
}

function refuseUnknownSource(value: unknown, where: string): void {
  if (!isObject(value) || !isObject(value.source)) return;
  const known = [...Object.keys(SOURCES), 'generated'];
  const kind = Object.keys(value.source).find((key) => !known.includes(key));
  if (kind === undefined) return;
  const what = LATER.includes(kind)
    ? `data from ${kind} is not supported by this version`
    : `${kind} is no source of data`;
  throw new WhittleError(what, {
    where,
    hint: didYouMean(kind, known) || `Sources are ${known.join(' and ')}`,
  });
}

/** Of several ways to read a value, the one that came nearest says what is wrong with it. */
function innermost(
  issues: readonly z.core.$ZodIssue[],
  before: readonly PropertyKey[] = [],
): { keys: readonly PropertyKey[]; message: string } {
  const issue = issues[0];
  if (!issue) return { keys: before, message: 'not valid' };
  const keys = [...before, ...issue.path];
  if (issue.code === 'invalid_union') {
    const readings = issue.errors.filter((reading) => reading.length > 0);
    readings.sort((a, b) => deepest(b) - deepest(a) || a.length - b.length);
    if (readings[0]) return innermost(readings[0], keys);
  }
  if (issue.code === 'unrecognized_keys')
    return { keys, message: `${issue.keys.join(', ')} is not known here` };
  return { keys, message: issue.message };
}

const deepest = (issues: readonly z.core.$ZodIssue[]): number =>
  Math.max(...issues.map((issue) => issue.path.length));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
