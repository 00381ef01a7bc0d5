/** The kinds of sources that a description may name, and what each of them asks for. `sources.ts` opens them. */
import { z } from 'zod';

const file = z.string().min(1);
const length = z
  .int()
  .min(1)
  .max(2 ** 20);
const side = z.int().positive().max(16384);

const tokens = {
  tokenizer: file.describe('A tokenizer.json (Hugging Face)'),
  length: length.describe('Tokens of a sample'),
  special: z.boolean().optional().describe('Whether the tokenizer adds its special tokens'),
};

const npz = z.strictObject({ npz: file.describe('An .npz file, as numpy.savez writes it') });

const npy = z.strictObject({
  npy: z
    .record(z.string().min(1), file)
    .describe('.npy files by the names that the arrays are given here'),
});

const images = z.strictObject({
  images: file.describe('A folder of png, jpg and webp images; sub-folders are classes'),
  size: z.tuple([side, side]).optional().describe('Height and width; default: of the first image'),
  fit: z
    .enum(['exact', 'stretch', 'crop'])
    .optional()
    .describe('How images get that size: they have it (default), are stretched, or cropped'),
  resize: side.optional().describe('Length of the shorter side before the crop'),
  channels: z.literal([1, 3]).optional().describe('3 (default) or 1: grey'),
  labels: file.optional().describe('A CSV file: a column `file`, and one array per other column'),
  classes: z.array(z.string()).optional().describe('Names of the sub-folders in class order'),
  masks: file.optional().describe('A folder of PNG label maps with the names of the images'),
});

const text = z.strictObject({
  text: file.describe('A text file, cut into windows of tokens'),
  ...tokens,
  stride: length.optional().describe('Tokens from one window to the next; default: length'),
});

const jsonl = z.strictObject({
  jsonl: file.describe('A file with one JSON object per line; its fields are arrays'),
  tokenizer: tokens.tokenizer.optional(),
  length: tokens.length.optional(),
  special: tokens.special,
  pad: z.int().nonnegative().optional().describe('Token that fills up short texts; default 0'),
  classes: z
    .record(z.string(), z.array(z.string()).min(1))
    .optional()
    .describe('Names of classes in their order, for fields that hold such a name'),
});

const SCHEMAS = { npz, npy, images, text, jsonl };

export type SourceKind = keyof typeof SCHEMAS;
export const sourceKinds = Object.keys(SCHEMAS) as readonly SourceKind[];
export const sourceSchema = z.union([npz, npy, images, text, jsonl]);
export type SourceDescription = z.infer<typeof sourceSchema>;
export type ImagesSource = z.infer<typeof images>;
export type TextSource = z.infer<typeof text>;
export type JsonlSource = z.infer<typeof jsonl>;

/** The files and folders that a source names, as it spells them. */
export function sourceFiles(source: SourceDescription): string[] {
  if ('npz' in source) return [source.npz];
  if ('npy' in source) return Object.values(source.npy);
  const { images, labels, masks, text, jsonl, tokenizer } = source as Partial<
    ImagesSource & TextSource & JsonlSource
  >;
  return [images, labels, masks, text, jsonl, tokenizer].filter((name) => name !== undefined);
}
