/**
 * Where the bytes of a model come from. Structure is read through a small window that moves over the file; weights are
 * read range by range when somebody asks. Nothing here ever holds a whole file.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { WhittleError } from '../errors';

/** The window is small after a jump, over a weight mostly, and grows as long as reading goes on where it ended. */
const SMALLEST_WINDOW = 4 * 1024;
const LARGEST_WINDOW = 64 * 1024;
/** The system reads no more than 2 GiB at once. */
const MOST_AT_ONCE = 2 ** 30;

export interface ByteSource {
  readonly size: number;
  /** The bytes [start, end), valid to keep. Throws when the range lies outside the source. */
  read(start: number, end: number): Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/** A range of a source, kept instead of the bytes themselves. */
export interface Span {
  readonly source: ByteSource;
  readonly start: number;
  readonly end: number;
}

export const spanBytes = (span: Span): Uint8Array => span.source.read(span.start, span.end);

export class MemorySource implements ByteSource {
  constructor(private readonly bytes: Uint8Array) {}
  get size(): number {
    return this.bytes.byteLength;
  }
  read(start: number, end: number): Uint8Array {
    return this.bytes.subarray(start, end);
  }
}

/**
 * A file, opened when read and released when asked. A file that changed since it was first seen is refused, because
 * every range taken from it would be wrong.
 */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly modifiedMs: number;
  #descriptor: number | undefined;
  #window: Uint8Array = NO_BYTES;
  #windowStart = 0;

  constructor(readonly path: string) {
    let stat;
    try {
      stat = statSync(path);
    } catch (cause) {
      throw new WhittleError(`cannot read ${path}: no such file`, { cause });
    }
    if (!stat.isFile()) throw new WhittleError(`cannot read ${path}: not a file`);
    this.size = stat.size;
    this.modifiedMs = stat.mtimeMs;
  }

  read(start: number, end: number): Uint8Array {
    if (start < 0 || end > this.size || start > end)
      throw new WhittleError(`bytes ${start} to ${end} lie outside the file`, { where: this.path });
    const inWindow = start - this.#windowStart;
    if (inWindow >= 0 && end - this.#windowStart <= this.#window.byteLength)
      return this.#window.subarray(inWindow, inWindow + end - start);
    if (end - start >= LARGEST_WINDOW) return this.#readExactly(start, end - start);
    const goesOn = inWindow >= 0 && inWindow <= this.#window.byteLength;
    const size = goesOn ? Math.min(LARGEST_WINDOW, 2 * this.#window.byteLength) : SMALLEST_WINDOW;
    const length = Math.max(end - start, Math.min(size, this.size - start));
    this.#window = this.#readExactly(start, length);
    this.#windowStart = start;
    return this.#window.subarray(0, end - start);
  }

  /** Closes the file and drops the window; the next read opens it again. */
  release(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#window = NO_BYTES;
    this.#windowStart = 0;
  }

  #readExactly(start: number, length: number): Uint8Array {
    const descriptor = (this.#descriptor ??= this.#open());
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = readSync(
        descriptor,
        bytes,
        done,
        Math.min(MOST_AT_ONCE, length - done),
        start + done,
      );
      if (count === 0) throw this.#changed();
      done += count;
    }
    return bytes;
  }

  #open(): number {
    let descriptor;
    try {
      descriptor = openSync(this.path, 'r');
    } catch (cause) {
      throw new WhittleError(`cannot open ${this.path}`, { cause });
    }
    const stat = fstatSync(descriptor);
    if (stat.size === this.size && stat.mtimeMs === this.modifiedMs) return descriptor;
    closeSync(descriptor);
    throw this.#changed();
  }

  #changed(): WhittleError {
    return new WhittleError(`${this.path} changed on disk while it was in use`, {
      hint: 'Open it again',
    });
  }
}
