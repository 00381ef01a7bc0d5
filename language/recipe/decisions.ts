/** Decisions that plans took, kept to repeat a run without planning: a lock file for compression. */
import { z } from 'zod';
import { describeError, WhittleError } from '../errors';
import { readText, textHash } from './files';
import { datasetHash, modelHash } from './hashes';
import { parseJson, writeJson } from './largeArrays';
import type { Recipe, Step } from './recipe';
import type { Run } from './run';
import type { Base } from './steps';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const decisionFile = z.strictObject({
  version: z.literal(1),
  model: hash,
  recipe: hash,
  data: hash.nullable(),
  /** Of the enabled steps, in order. */
  steps: z.array(
    z.strictObject({
      pass: z.string(),
      decisions: z.unknown(),
      /** The recipe's guard left the step out. */
      dropped: z.boolean().optional(),
      /** It broke what has to hold after a step. */
      rolledBack: z.object({ reason: z.string(), node: z.exactOptional(z.string()) }).optional(),
    }),
  ),
});
export type DecisionFile = z.infer<typeof decisionFile>;

/** What decisions depend on. */
export type Provenance = Pick<DecisionFile, 'model' | 'recipe' | 'data'>;

export async function provenanceOf(
  model: string,
  base: Base,
  recipe: Recipe,
  folder: string,
): Promise<Provenance> {
  const dataset = recipe.calibration?.dataset;
  return {
    model: await modelHash(model, base.graph),
    recipe: recipeHash(recipe.steps, base),
    data: dataset === undefined ? null : await datasetHash(dataset, folder),
  };
}

export const enabledSteps = (steps: readonly Step[]): Step[] =>
  steps.filter((step) => step.enabled);

/** The steps that run and the shapes they run at; comments, order of keys and everything else make no difference. */
function recipeHash(steps: readonly Step[], { inputs }: Base): string {
  const essence = enabledSteps(steps).map(({ pass, at, except, parameters }) => [
    pass.id,
    at ?? null,
    except,
    parameters,
  ]);
  return textHash(JSON.stringify([essence, [...inputs]]));
}

/** @throws WhittleError when the file cannot be written */
export function writeDecisions(
  file: string,
  provenance: Provenance,
  { attempts, decisions }: Pick<Run, 'attempts' | 'decisions'>,
): void {
  const steps = attempts.map(({ outcome: { step }, guard, rolledBack }, i) => ({
    pass: step.pass.id,
    decisions: decisions[i] ?? null,
    ...(guard?.dropped && { dropped: true }),
    ...(rolledBack && { rolledBack }),
  }));
  try {
    writeJson(file, { version: 1, ...provenance, steps });
  } catch (error) {
    throw new WhittleError(`cannot write ${file}: ${describeError(error)}`);
  }
}

/** @throws WhittleError when the file is none, or was made from something else */
export function readDecisions(file: string, expected: Provenance): DecisionFile {
  let content: unknown;
  try {
    content = parseJson(readText(file), file);
  } catch (cause) {
    throw cause instanceof WhittleError
      ? cause
      : new WhittleError(`${file} is not a decisions file`, { cause });
  }
  const parsed = decisionFile.safeParse(content);
  if (!parsed.success) throw new WhittleError(`${file} is not a decisions file of version 1`);
  for (const [what, key] of [
    ['another model', 'model'],
    ['other steps or shapes', 'recipe'],
    ['other calibration data', 'data'],
  ] as const)
    if (parsed.data[key] !== expected[key])
      throw new WhittleError(`the decisions in ${file} were taken for ${what}`, {
        hint: 'Apply the recipe again to plan anew',
      });
  return parsed.data;
}
