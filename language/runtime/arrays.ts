/** Arrays too large for messages between processes: written to a file one after the other, and read back. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { WhittleError } from '../errors';

/** Writes arrays to a new file; each is known afterwards by the byte it starts at. */
export class ArrayWriter {
  readonly #file: number;
  #at = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  add(array: Float32Array | Float64Array): number {
    const start = this.#at;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let written = 0; written < bytes.byteLength;) {
      const end = Math.min(bytes.byteLength, written + MAX_TRANSFER);
      written += writeSync(this.#file, bytes, written, end - written, this.#at + written);
    }
    this.#at += bytes.byteLength;
    return start;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Systems write and read at most 2 GB at once. */
const MAX_TRANSFER = 2 ** 30;

/** Reads arrays of an `ArrayWriter`. */
export class ArrayReader {
  readonly #file: number;

  constructor(private readonly path: string) {
    this.#file = openSync(path, 'r');
  }

  /** Fills the array with what starts at a byte. */
  read<T extends Float32Array | Float64Array>(start: number, array: T): T {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let done = 0; done < bytes.byteLength;) {
      const length = Math.min(bytes.byteLength - done, MAX_TRANSFER);
      const count = readSync(this.#file, bytes, done, length, start + done);
      if (count === 0)
        throw new WhittleError('a temporary file is cut short', { where: this.path });
      done += count;
    }
    return array;
  }

  close(): void {
    closeSync(this.#file);
  }
}
