/** Target profiles on disk: reading, `extends`, and errors that name file, line and field. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { isMap, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { describeError, didYouMean, WhittleError } from '../errors';
import { targetProfile, type TargetProfile } from './profile';

export const TARGET_SUFFIX = '.target.yaml';

/** Every profile of a folder, by id. */
export function loadTargets(folder: string): TargetProfile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(TARGET_SUFFIX))
    .sort()
    .map((name) => readProfile(path.join(folder, name), folder));
}

/**
 * The profile of an id of the bundled folder, or of a path; relative paths start at `base`.
 * @throws WhittleError for an unknown id or a profile that is not valid
 */
export function resolveTarget(
  idOrPath: string,
  bundled: string,
  base: string = process.cwd(),
): TargetProfile {
  return readProfile(locate(idOrPath, bundled, base), bundled);
}

function locate(idOrPath: string, bundled: string, base: string): string {
  const isPath = /[\\/]/.test(idOrPath) || /\.ya?ml$/.test(idOrPath);
  const file = isPath ? path.resolve(base, idOrPath) : path.join(bundled, idOrPath + TARGET_SUFFIX);
  if (existsSync(file)) return file;
  if (isPath) throw new WhittleError(`there is no target profile ${idOrPath}`);
  const known = readdirSync(bundled)
    .filter((name) => name.endsWith(TARGET_SUFFIX))
    .map((name) => name.slice(0, -TARGET_SUFFIX.length));
  const hint = didYouMean(idOrPath, known) || `There are ${known.join(', ')}`;
  throw new WhittleError(`there is no target ${idOrPath}`, { hint });
}

// ---- reading, kept by the state of the files

interface Read {
  /** Of the profile and of those that it extends: when they were written. */
  readonly stamps: ReadonlyMap<string, string>;
  readonly profile: TargetProfile;
}
const profiles = new Map<string, Read>();

function readProfile(file: string, bundled: string): TargetProfile {
  const known = profiles.get(file);
  if (known && [...known.stamps].every(([from, stamp]) => stampOf(from) === stamp))
    return known.profile;
  const layers = readLayers(file, bundled);
  const profile = validate(file, layers, idOf(file, bundled));
  profiles.set(file, {
    stamps: new Map(layers.map((layer) => [layer.file, stampOf(layer.file)])),
    profile,
  });
  return profile;
}

function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs} ${stat.size}` : 'absent';
}

/** The name of a bundled profile, the path of any other. */
const idOf = (file: string, bundled: string): string =>
  path.dirname(file) === path.resolve(bundled) ? path.basename(file, TARGET_SUFFIX) : file;

/** A file of a profile, and what it says. */
interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly values: Readonly<Record<string, unknown>>;
}

/** The profile itself first, then what it extends. */
function readLayers(file: string, bundled: string, text?: string): Source[] {
  const layers: Source[] = [];
  for (let next: string | undefined = file; next !== undefined;) {
    const current: string = next;
    if (layers.some((layer) => layer.file === current))
      throw new WhittleError(`${file} extends itself`, { where: current });
    const layer = readLayer(current, current === file ? text : undefined);
    layers.push(layer);
    const base = layer.values.extends;
    if (base !== undefined && typeof base !== 'string')
      throw invalid(layer, ['extends'], 'the name or the path of a profile is expected');
    next = base === undefined ? undefined : locate(base, bundled, path.dirname(current));
  }
  return layers;
}

function readLayer(file: string, given?: string): Source {
  const lines = new LineCounter();
  const text = given ?? readProfileText(file);
  const document = parseDocument(text, { lineCounter: lines });
  const source = { file, document, lines, values: {} };
  const [problem] = document.errors;
  if (problem) {
    const { line } = lines.linePos(problem.pos[0]);
    throw new WhittleError(problem.message.split('\n')[0]!, { where: `${file}:${line}` });
  }
  if (!isMap(document.contents)) throw invalid(source, [], 'a profile is a list of fields');
  return { ...source, values: document.toJS({ maxAliasCount: 100 }) as Source['values'] };
}

function readProfileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new WhittleError(`the target profile cannot be read: ${describeError(error)}`);
  }
}

/**
 * All that is wrong with a profile, each with `where`; the text may be newer than the file.
 * @param bundled the folder of the profiles that come with Whittle
 */
export function problemsOf(file: string, text: string, bundled: string): WhittleError[] {
  try {
    const layers = readLayers(file, bundled, text);
    const values = valuesOf(layers);
    const result = targetProfile.safeParse(values);
    return result.success
      ? []
      : result.error.issues.map((issue) => errorOf(issue, file, layers, values));
  } catch (error) {
    if (error instanceof WhittleError) return [error];
    throw error;
  }
}

/** A field as the schema has it. */
export interface Field {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Field;
  readonly oneOf?: readonly Field[];
}

/** What the schema knows at a place of a profile, with what the profile extends; undefined for what it does not know. */
export function fieldOf(
  file: string,
  text: string,
  bundled: string,
  at: readonly PropertyKey[],
): Field | undefined {
  let values: Readonly<Record<string, unknown>> = {};
  try {
    values = valuesOf(readLayers(file, bundled, text));
  } catch (error) {
    if (!(error instanceof WhittleError)) throw error;
  }
  return schemaAt(at, values);
}

function validate(file: string, layers: readonly Source[], id: string): TargetProfile {
  const values = valuesOf(layers);
  const result = targetProfile.safeParse(values);
  if (result.success) return { ...result.data, id };
  throw errorOf(result.error.issues[0]!, file, layers, values);
}

/** What a profile says with all that it extends. */
function valuesOf(layers: readonly Source[]): Record<string, unknown> {
  const { extends: _, ...values } = layers
    .map((layer) => layer.values)
    .reduceRight<Record<string, unknown>>(merged, {});
  return values;
}

function errorOf(
  issue: Issue,
  file: string,
  layers: readonly Source[],
  values: Readonly<Record<string, unknown>>,
): WhittleError {
  const at = issue.path.map(String);
  // Lists are replaced as a whole: their elements are where the list is.
  const list = issue.path.findIndex((key) => typeof key === 'number');
  const said = list < 0 ? at : at.slice(0, list);
  const source = layers.find(({ document }) => document.hasIn(said)) ?? layers[0]!;
  const { message, hint } = explained(issue, values);
  return invalid(source.document.hasIn(said) ? source : { ...layers[0]!, file }, at, message, hint);
}

type Issue = z.core.$ZodIssue;

/** A schema's complaint in the words of somebody who writes a profile. */
function explained(
  issue: Issue,
  values: Readonly<Record<string, unknown>>,
): { message: string; hint: string } {
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(issue.path, values);
    const near = didYouMean(issue.keys[0] ?? '', known);
    const rest = known.length ? `There are ${known.join(', ')}` : '';
    return {
      message: `${issue.message}: the unit is part of a field's name`,
      hint: near || rest || 'Remove it',
    };
  }
  const isMissing = issue.code === 'invalid_type' && valueAt(values, issue.path) === undefined;
  if (isMissing)
    return {
      message: `is missing: ${issue.message}`,
      hint: 'Give it, or extend a profile that has it (extends: ID)',
    };
  if (issue.code === 'invalid_union' && issue.path.length === 1) {
    const choices = issue.path[0] === 'design' ? DESIGNS[String(values.kind)] : KINDS;
    return { message: 'is not known', hint: `There are ${choices?.join(', ') ?? ''}` };
  }
  if (issue.code === 'too_small')
    return { message: issue.message, hint: 'A rate or a size must be above zero' };
  return { message: issue.message, hint: '' };
}

const KINDS = ['mobile', 'fpga', 'asic', 'reram'];
const DESIGNS: Readonly<Record<string, readonly string[]>> = {
  fpga: ['overlay', 'dataflow'],
  asic: ['systolic', 'blocked'],
};

const valueAt = (values: unknown, at: readonly PropertyKey[]): unknown =>
  at.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    values,
  );

/** The names that the schema has at a place of a profile. */
const fieldsAt = (
  at: readonly PropertyKey[],
  values: Readonly<Record<string, unknown>>,
): string[] => Object.keys(schemaAt(at, values)?.properties ?? {});

let whole: Field | undefined;

function schemaAt(
  at: readonly PropertyKey[],
  values: Readonly<Record<string, unknown>>,
): Field | undefined {
  whole ??= z.toJSONSchema(targetProfile, { io: 'input' }) as Field;
  const kinds = whole.oneOf?.flatMap((option) => option.oneOf ?? [option]) ?? [];
  const of = ({ properties }: Field, name: string) => properties?.[name]?.const;
  const own = kinds.filter((option) => of(option, 'kind') === values.kind);
  let field = own.find((option) => of(option, 'design') === values.design) ?? own[0];
  const passed: PropertyKey[] = [];
  for (const key of at) {
    field = field?.items ?? field?.properties?.[String(key)];
    passed.push(key);
    // What a profile rests on has fields by its status.
    const status = (valueAt(values, passed) as { status?: unknown } | undefined)?.status;
    field = field?.oneOf?.find((option) => of(option, 'status') === status) ?? field;
  }
  return field;
}

/** Fields of the second over those of the first; lists are replaced, not joined. */
function merged(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const out = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = out[key];
    out[key] = isRecord(before) && isRecord(value) ? merged(before, value) : value;
  }
  return out;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An error at a field, or at what is nearest around it in the file. */
function invalid(
  source: Source,
  field: readonly string[],
  message: string,
  hint = '',
): WhittleError {
  let { line } = { line: 1 };
  for (let depth = field.length; depth > 0; depth--) {
    const node = source.document.getIn(field.slice(0, depth), true);
    const range = (node as { range?: [number, number, number] } | undefined)?.range;
    if (!range) continue;
    line = source.lines.linePos(range[0]).line;
    break;
  }
  const name = field.length > 0 ? `${field.join('.')}: ` : '';
  return new WhittleError(`${name}${message}`, {
    where: `${source.file}:${line}`,
    ...(hint && { hint }),
  });
}
