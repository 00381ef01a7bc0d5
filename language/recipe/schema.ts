/** The recipe as people write it. Parameters of a pass stand beside its other keys and are checked by the pass's own schema. */
import { z } from 'zod';

/** Keys of a step that are not parameters of its pass. */
export const STEP_KEYS = ['pass', 'at', 'except', 'strict', 'enabled'] as const;

const MILLISECONDS: Readonly<Record<string, number>> = { us: 1e-3, µs: 1e-3, ms: 1, s: 1e3 };

/** `10ms`, `2 s`, or a number of milliseconds. */
const duration = z.union([
  z.number().positive(),
  z
    .string()
    .regex(/^\d+(\.\d+)?\s*(us|µs|ms|s)$/, 'a duration such as 10ms')
    .transform((text) => parseFloat(text) * MILLISECONDS[text.replace(/^[\d.\s]+/, '')]!),
]);

/** `1%`, or a share of 1. */
const share = z.union([
  z.number().min(0).max(1),
  z
    .string()
    .regex(/^\d+(\.\d+)?\s*%$/, 'a percentage such as 1%')
    .transform((text) => parseFloat(text) / 100),
]);

/** `20 dB`, or a number of decibels. */
const decibels = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+(\.\d+)?\s*dB$/, 'a ratio such as 20dB')
    .transform((text) => parseFloat(text)),
]);

/** A data set: the path of its description, or the description itself (checked when it is loaded). */
const dataset = z.union([z.string().min(1), z.record(z.string(), z.unknown())]);

/** A data set whose inputs are made up from the model's own input types. */
export const isMadeUp = (dataset: DatasetReference): boolean =>
  typeof dataset === 'object' &&
  typeof dataset.source === 'object' &&
  dataset.source !== null &&
  'generated' in dataset.source;

const selectors = z.union([
  z
    .string()
    .min(1)
    .transform((one) => [one]),
  z.array(z.string().min(1)).min(1),
]);

const size = z.number().int().positive();

export const stepSchema = z.looseObject({
  pass: z.string().min(1),
  at: selectors.optional(),
  except: selectors.default([]),
  strict: z.boolean().default(false),
  enabled: z.boolean().default(true),
});

export const recipeSchema = z.strictObject({
  version: z.literal(1),
  model: z.string().min(1).optional(),
  shapes: z.record(z.string(), z.union([size, z.array(size)])).default({}),
  targets: z.array(z.string().min(1)).default([]),
  calibration: z.strictObject({ dataset, samples: size.optional() }).optional(),
  evaluation: z.strictObject({ dataset, samples: size.optional() }).optional(),
  budget: z
    .strictObject({
      latency: z.strictObject({ target: z.string().min(1), max: duration }).optional(),
      drop: share.optional(),
    })
    .optional(),
  /** How far outputs may be from those of the original; a result beyond it is not written. */
  tolerance: z
    .strictObject({
      sqnr: decibels.optional(),
      cosine: z.number().max(1).optional(),
      maxAbs: z.number().min(0).optional(),
      /** Layers made to run on integers that ONNX Runtime may compute in floating point all the same. */
      unfused: z.int().min(0).optional(),
      /** Leaves out a step that breaks any of this or that ONNX Runtime refuses, and goes on without it. */
      rollback: z.boolean().optional(),
    })
    .optional(),
  /** What each step has to take off the latency; one that does not is reported, or left out. */
  guard: z
    .strictObject({
      minGain: share.default(0.02),
      drop: z.boolean().default(false),
      /** A target, or `measured` for this machine. Default: the target of the budget, or the first one. */
      on: z.string().min(1).optional(),
    })
    .optional(),
  steps: z.array(stepSchema).default([]),
});

export type RecipeContent = z.infer<typeof recipeSchema>;
export type DatasetReference = z.infer<typeof dataset>;
