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
