/** Reads a recipe: YAML text to checked steps, every complaint with its place in the text. */
import { z } from 'zod';
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node as YamlNode,
} from 'yaml';
import { didYouMean, WhittleError } from '../errors';
import type { Pass } from '../passes/pass';
import { recipeSchema, STEP_KEYS, type RecipeContent } from './schema';

export interface Recipe extends Omit<RecipeContent, 'steps'> {
  readonly steps: readonly Step[];
}

export interface Step {
  readonly index: number;
  readonly pass: Pass;
  /** Undefined: the default sites of the pass. */
  readonly at: readonly string[] | undefined;
  readonly except: readonly string[];
  readonly strict: boolean;
  readonly enabled: boolean;
  /** As the pass's schema parsed them, defaults filled in. */
  readonly parameters: unknown;
  /** Set when the step cannot run as it is written. */
  readonly error?: string;
}

export const needsCalibration = ({ pass, parameters }: Step): boolean =>
  pass.needs(parameters).includes('calibration');

export interface RecipeProblem {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** Offsets in the text. */
  readonly start: number;
  readonly end: number;
  readonly step?: number;
}

export interface ParsedRecipe {
  /** Undefined when the text is not a recipe at all; steps with errors are kept, marked. */
  readonly recipe: Recipe | undefined;
  readonly problems: readonly RecipeProblem[];
  readonly document: Document;
  readonly lines: LineCounter;
}

/** What names may stand for while a recipe is read. */
export interface Vocabulary {
  readonly passes: readonly Pass[];
  /** Whether a target id or profile path exists; the answer is the complaint. */
  target(id: string): string | undefined;
}

/** Where a guard means this machine, not a target. */
export const MEASURED = 'measured';

const EMPTY: Recipe = { version: 1, shapes: {}, targets: [], steps: [] };

export function parseRecipe(text: string, vocabulary: Vocabulary): ParsedRecipe {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems: RecipeProblem[] = document.errors.map((error) => ({
    severity: 'error',
    message: error.message.split('\n')[0]!.replace(/ at line .*$/, ''),
    start: error.pos[0],
    end: error.pos[1],
  }));
  const report = (path: readonly PropertyKey[], message: string, step?: number) => {
    problems.push({
      severity: 'error',
      message,
      ...rangeOf(document, path),
      ...(step !== undefined && { step }),
    });
  };
  const result = (recipe: Recipe | undefined): ParsedRecipe => ({
    recipe,
    problems,
    document,
    lines,
  });
  if (problems.length) return result(undefined);
  if (document.contents === null) return result(EMPTY); // an empty recipe is one without steps

  const content: unknown = document.toJS();
  const version = isRecord(content) ? content.version : undefined;
  if (typeof version === 'number' && version > 1) {
    report(
      ['version'],
      `recipe version ${version} is newer than this Whittle understands; update the extension`,
    );
    return result(undefined);
  }
  const parsed = recipeSchema.safeParse(content);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const step =
        issue.path[0] === 'steps' && typeof issue.path[1] === 'number' ? issue.path[1] : undefined;
      report(issue.path, issueText(issue, Object.keys(recipeSchema.shape)), step);
    }
    return result(undefined);
  }
  for (const [i, target] of parsed.data.targets.entries()) {
    const complaint = vocabulary.target(target);
    if (complaint) report(['targets', i], complaint);
  }
  const guarded = parsed.data.guard?.on;
  const complaint =
    guarded === undefined || guarded === MEASURED ? undefined : vocabulary.target(guarded);
  if (complaint) report(['guard', 'on'], complaint);
  const steps = parsed.data.steps.map((step, index) => readStep(step, index, vocabulary, report));
  return result({ ...parsed.data, steps });
}

/** The recipe, or the first complaint as an error with its line. */
export function requireRecipe({ recipe, problems, lines }: ParsedRecipe, file: string): Recipe {
  const first = problems.find((problem) => problem.severity === 'error');
  if (recipe && !first) return recipe;
  const { line, col } = lines.linePos(first?.start ?? 0);
  throw new WhittleError(first?.message ?? 'not a recipe', { where: `${file}:${line}:${col}` });
}

type RawStep = RecipeContent['steps'][number];
type Report = (path: readonly PropertyKey[], message: string, step?: number) => void;

function readStep(raw: RawStep, index: number, vocabulary: Vocabulary, report: Report): Step {
  const { pass: id, at, except, strict, enabled, ...rest } = raw;
  const common = { index, at, except, strict, enabled };
  const failed = (pass: Pass, path: readonly PropertyKey[], error: string): Step => {
    report(['steps', index, ...path], error, index);
    return { ...common, pass, parameters: rest, error };
  };
  const pass = vocabulary.passes.find((candidate) => candidate.id === id);
  if (!pass) {
    const ids = vocabulary.passes.map((candidate) => candidate.id);
    return failed(
      unknownPass(id),
      ['pass'],
      `there is no pass ${id}. ${didYouMean(id, ids) || `There are ${ids.join(', ')}`}`,
    );
  }
  const parsed = pass.parameters.safeParse(rest);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const known = [...STEP_KEYS, ...parameterNames(pass)];
    return failed(pass, issue!.path, issueText(issue!, known));
  }
  for (const [name, property] of Object.entries(parameterProperties(pass))) {
    const value = (parsed.data as Record<string, unknown>)[name];
    if (property.role === 'target' && typeof value === 'string') {
      const complaint = vocabulary.target(value);
      if (complaint) return failed(pass, [name], complaint);
    }
    if (property.perSite && Array.isArray(value) && at && at.length !== value.length)
      return failed(
        pass,
        [name],
        `${name} has ${value.length} values for ${at.length} entries of at`,
      );
  }
  return { ...common, pass, parameters: parsed.data };
}

/** Stands for a pass that does not exist, so that its step can be shown. */
function unknownPass(id: string): Pass {
  return {
    id,
    title: id,
    family: 'graph',
    summary: '',
    parameters: z.unknown(),
    needs: () => [],
    sites: () => ({ sites: [], refused: [] }),
    plan: () => Promise.resolve(null),
    standIn: () => null,
    rewrite: () => [],
  };
}

type JsonProperties = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const knownProperties = new WeakMap<Pass, JsonProperties>();

/** The JSON schema of each parameter, by name. */
export function parameterProperties(pass: Pass): JsonProperties {
  let properties = knownProperties.get(pass);
  if (!properties) {
    const schema = z.toJSONSchema(pass.parameters, { io: 'input' });
    properties = (schema.properties ?? {}) as JsonProperties;
    knownProperties.set(pass, properties);
  }
  return properties;
}
const parameterNames = (pass: Pass): string[] => Object.keys(parameterProperties(pass));

function issueText(issue: z.core.$ZodIssue, known: readonly string[]): string {
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    return `unknown key ${key}. ${didYouMean(key!, known) || `Known here: ${known.join(', ')}`}`;
  }
  const where = issue.path.filter((part) => typeof part === 'string').at(-1);
  return where ? `${where}: ${lowerFirst(issue.message)}` : lowerFirst(issue.message);
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where a path of the recipe stands in the text; the nearest enclosing node where the path itself is missing. */
export function rangeOf(
  document: Document,
  path: readonly PropertyKey[],
): { start: number; end: number } {
  for (let length = path.length; length >= 0; length--) {
    const node = nodeAt(document, path.slice(0, length));
    if (node?.range) return { start: node.range[0], end: node.range[1] };
  }
  return { start: 0, end: 0 };
}

function nodeAt(document: Document, path: readonly PropertyKey[]): YamlNode | undefined {
  let node: unknown = document.contents;
  for (const key of path) {
    if (isMap(node))
      node = node.items.find((pair) => isScalar(pair.key) && pair.key.value === key)?.value;
    else if (isSeq(node) && typeof key === 'number') node = node.items[key];
    else return undefined;
  }
  return isNode(node) ? node : undefined;
}
