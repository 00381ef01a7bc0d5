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
 * `prepend` puts elements before that part: the token that starts every sequence, say. An input of a diffusion model is
 * clean data with stored noise on it (`noised`). Key-value caches that the model takes and nobody feeds are empty at the start.
 *
 * `target` is what the metric holds the model's output against (times its `scale`), `mask` marks (not 0) the parts of the
 * target that count, and `extra` gives a metric further arrays by the names that it asks for. `samples` takes that many, drawn
 * by `seed`; without it all are taken. Paths are relative to the description, or to the recipe that contains it.
 * `docs/datasets.md` tells users about all of it.
 */
import { readFileSync, statSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { didYouMean, WhittleError } from '../errors';
import { sourceKinds, sourceSchema } from './kinds';

const slice = z
  .union([z.tuple([z.int()]), z.tuple([z.int(), z.int()])])
  .describe('Part of the axis after the samples: [from, to], counted as in Python');

const column = z.strictObject({
  array: z.string().min(1).describe('Name of an array, one row per sample'),
  slice: slice.optional(),
  prepend: z
    .array(z.number())
    .min(1)
    .optional()
    .describe('Elements that come before each sample, after slicing'),
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
  fill: z
    .union([z.number(), z.literal('count')])
    .describe('The number that every element has; count: 0, 1, 2 … along the last axis'),
  shape: z.array(z.int().nonnegative()).describe('Sizes for one sample'),
  type: inputType.optional().describe('Element type that the input must have; checked'),
});

const schedule = z.union([
  z.strictObject({
    linear: z.tuple([z.number().positive(), z.number().positive()]),
    steps: z.int().positive(),
  }),
  z.strictObject({ cosine: z.number().nonnegative(), steps: z.int().positive() }),
  z.strictObject({ values: z.array(z.number().min(0).max(1)).min(1) }),
]);

const noisedInput = z.strictObject({
  noised: z
    .strictObject({
      clean: arrayInput.omit({ type: true }),
      noise: arrayInput.omit({ type: true }),
      time: column.describe('Step of the schedule, one number per sample'),
      schedule: schedule.describe(
        'Share of the clean signal (ᾱ) at each step: from linear betas, a cosine with its offset, or as values',
      ),
    })
    .describe('√ᾱ[time] · clean + √(1 − ᾱ[time]) · noise'),
  type: inputType.optional().describe('Element type that the input must have; checked'),
});

const label = column.extend({
  scale: numberOrFraction.optional().describe('Factor on the stored elements, such as 1/255'),
});

const target = label.extend({
  mask: column.optional().describe('Not 0 where the target counts'),
});

const metric = z.looseObject({
  id: z.string().min(1).describe('Metric, such as top1'),
});

const generatedSource = z.strictObject({
  generated: z.strictObject({}).describe('Made-up inputs of the types and shapes of the model'),
});

const counts = {
  metric: metric.optional(),
  samples: z.int().positive().optional().describe('How many samples are used; default: all'),
  step: z
    .int()
    .positive()
    .optional()
    .describe('Tokens that a model with key-value caches gets at a time; default: all of a sample'),
  seed: z.int().optional().describe('Draws the samples when not all are used; default 0'),
};

export const descriptionSchema = z.union([
  z.strictObject({
    source: sourceSchema,
    inputs: z.record(z.string(), z.union([arrayInput, filledInput, noisedInput])),
    target: target.optional(),
    extra: z.record(z.string(), label).optional(),
    ...counts,
  }),
  z.strictObject({ source: generatedSource, ...counts }),
]);

export type Description = z.infer<typeof descriptionSchema>;
export type ArrayDescription = Extract<Description, { inputs: object }>;
export type ColumnDescription = z.infer<typeof column>;
export type LabelDescription = z.infer<typeof label>;
export type ArrayInput = z.infer<typeof arrayInput>;
export type NoisedInput = z.infer<typeof noisedInput>;
export type Schedule = z.infer<typeof schedule>;
export type InputDescription = ArrayInput | z.infer<typeof filledInput> | NoisedInput;
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
  const known = [...sourceKinds, 'generated'];
  const keys = Object.keys(value.source);
  if (keys.length === 0 || keys.some((key) => known.includes(key))) return;
  throw new WhittleError(`${keys[0]!} is no source of data`, {
    where,
    hint: didYouMean(keys[0]!, known) || `Sources are ${known.join(', ')}`,
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
