/** A failure that a person can act on: what is wrong, where, and what to do next. Anything else thrown is a bug. */
export class WhittleError extends Error {
  override readonly name = 'WhittleError';
  /** The place: a node, a tensor, a byte, a line of a file. */
  readonly where: string | undefined;
  /** The next step for the person who reads it. */
  readonly hint: string | undefined;

  constructor(what: string, detail: { where?: string; hint?: string; cause?: unknown } = {}) {
    const where = detail.where ? ` (${detail.where})` : '';
    super(`${what}${where}${detail.hint ? `. ${detail.hint}` : ''}`, { cause: detail.cause });
    this.where = detail.where;
    this.hint = detail.hint;
  }
}

/**
 * Why something cannot be told, thrown by a rule to whoever asked it. A large model may give thousands of them, so they
 * take no stack trace.
 */
export class Untold extends Error {
  constructor(reason: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(reason);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** One line for a person: our own errors as written, anything else by its message alone. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}

/** The error of a cancelled job; never shown as a failure. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  constructor() {
    super('cancelled');
  }
}

export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError();
}

/** For the default branch of a switch over a union: fails to compile when a case is missing. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value ${JSON.stringify(value)}`);
}

/** ` Did you mean …?` with the names nearest to a mistyped one, or nothing when none is near. */
export function didYouMean(name: string, candidates: Iterable<string>, most = 3): string {
  const limit = Math.max(2, Math.floor(name.length / 3));
  const near = [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate, limit) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
  return near.length ? `Did you mean ${near.join(' or ')}?` : '';
}

/** Levenshtein distance, given up (limit + 1) once it must exceed `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j]! + 1, row[j - 1]! + 1));
    }
    if (Math.min(...row) > limit) return limit + 1;
    previous = row;
  }
  return previous[b.length]!;
}
