/** What the commands share: options, output, progress. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { WhittleError } from '../errors';
import { readBinding } from '../graph/bindings';
import type { ShapeBindings } from '../graph/facts';
import type { Report } from '../protocol';
import { budgetText } from '../recipe/reportTable';

/** What a command is run in: a process and its terminal, or a test. */
export interface Surroundings {
  /** Results go here, and nothing else. */
  readonly stdout: { write(text: string): unknown };
  readonly stderr: {
    readonly isTTY?: boolean;
    readonly columns?: number;
    write(text: string): unknown;
  };
  /** A signal that fires when the user wants the command to stop. */
  interruption(): AbortSignal;
  /** The script of ONNX Runtime's process; default: the built one. */
  readonly runtimeEntry?: string;
}

export type Command = (argv: readonly string[], surroundings: Surroundings) => Promise<void>;

/** The command was called in a way that it does not understand: exit code 2. */
export class UsageError extends WhittleError {}

type Options = NonNullable<ParseArgsConfig['options']>;

const COMMON = {
  json: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
} as const;

export const SHAPE_OPTION = {
  shape: { type: 'string', multiple: true, default: [] as string[] },
} as const;

/** @param names of the positional arguments, all of them required */
export function readArguments<const O extends Options>(
  argv: readonly string[],
  names: readonly string[],
  options: O,
) {
  const config = {
    args: [...argv],
    options: { ...COMMON, ...options },
    allowPositionals: true,
    strict: true,
  } as const;
  const { values, positionals } = parsed(() => parseArgs(config));
  if (positionals.length < names.length)
    throw new UsageError(`${names[positionals.length]!} is missing`);
  if (positionals.length > names.length)
    throw new UsageError(`unexpected argument ${positionals[names.length]!}`);
  return { values, positionals };
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]!.replace(/\. To specify.*$/, ''));
  }
}

/** `--shape image=1,3,224,224` for an input (`ids=16,` for a vector), `--shape batch=8` for a symbol. */
export function readShapes(given: readonly string[]): ShapeBindings {
  const bindings: Record<string, number | number[]> = {};
  for (const text of given) {
    const binding = readBinding(text);
    if (!binding)
      throw new UsageError(`--shape ${text}: NAME=SIZE or NAME=SIZE,SIZE,… is expected`);
    bindings[binding.name] = binding.size;
  }
  return bindings;
}

/** A whole number above zero, where it is given. */
export function count(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${option} ${given}: a number is expected`);
  return value;
}

/** @throws WhittleError where a result is over the budget of its recipe, so that CI fails */
export function requireBudget({ budget = [] }: Pick<Report, 'budget'>): void {
  const broken = budget.filter(({ kept }) => !kept);
  if (broken.length) throw new WhittleError(broken.map(budgetText).join('; '));
}

export interface Voice {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** One JSON document, or lines for people. */
export function print(
  { stdout }: Surroundings,
  { json, quiet }: Voice,
  document: unknown,
  lines: () => readonly string[],
): void {
  if (json) stdout.write(`${JSON.stringify(document)}\n`);
  else if (!quiet) stdout.write(`${lines().join('\n')}\n`);
}

type Progress = (label: string, fraction: number) => void;

/** Shows a bar on stderr while `work` goes on, if there is a terminal to show it. */
export async function withProgress<T>(
  { stderr }: Surroundings,
  { json, quiet }: Voice,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  if (json || quiet || !stderr.isTTY) return work(() => undefined);
  try {
    return await work((label, fraction) => {
      const filled = Math.round(20 * Math.min(1, fraction));
      const room = Math.max(10, (stderr.columns ?? 80) - 30);
      stderr.write(
        `${CLEAR_LINE}${'█'.repeat(filled)}${'░'.repeat(20 - filled)} ${label.slice(0, room)}`,
      );
    });
  } finally {
    stderr.write(CLEAR_LINE);
  }
}

const CLEAR_LINE = '\r\u001b[K';

/** Columns of text, numbers to the right. */
export function table(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const widths = rows[0]?.map((_, c) => Math.max(...rows.map((row) => row[c]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, c) => (right.includes(c) ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
      .join('  ')
      .trimEnd(),
  );
}

export const thousands = (value: number): string => Math.round(value).toLocaleString('en-US');
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
export const milliseconds = (ms: number | null): string =>
  ms === null ? 'unknown' : `${ms.toPrecision(4)} ms`;
export const millijoules = (mj: number | null): string =>
  mj === null ? 'no energy data' : `${mj.toPrecision(4)} mJ`;
