/** Protobuf's wire format: reading fields from a source that may not fit in memory, and building messages. */
import { WhittleError } from '../errors';
import type { ByteSource, Span } from './source';

export const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const HEADER_BYTES = 20; // a key and a value or length, both varints of at most ten bytes
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What decoders put in place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';

const EMPTY = Buffer.alloc(0);

/** What the readers of one file share: the bytes at hand, and the names read so far. */
class Window {
  buffer: Buffer = EMPTY;
  start = 0;
  /** A name is one string wherever it stands, which makes it a fast key. */
  readonly names = new Map<string, string>();
}

/**
 * Walks the fields of one message. After `next()` the current field is `field` with wire type `wire`; its value is
 * `value` (varint), or the range [start, end) (everything else).
 */
export class FieldReader {
  field = 0;
  wire: number = Wire.varint;
  /** Where the current field's key begins, so that a field can be kept as a whole. */
  fieldStart = 0;
  start = 0;
  end = 0;

  #low = 0;
  #middle = 0;
  #high = 0;
  #position: number;

  constructor(
    readonly source: ByteSource,
    position: number,
    readonly limit: number,
    private readonly what: string,
    private readonly window = new Window(),
  ) {
    this.#position = position;
    this.start = position;
  }

  static of(span: Span, what: string): FieldReader {
    return new FieldReader(span.source, span.start, span.end, what);
  }

  next(): boolean {
    if (this.#position >= this.limit) return false;
    this.fieldStart = this.#position;
    this.#readVarint();
    const key = this.#low + this.#middle * 2 ** 28;
    this.field = Math.floor(key / 8);
    this.wire = key % 8;
    if (this.field === 0 || this.field > 536_870_911)
      throw this.#malformed('an impossible field number');
    switch (this.wire) {
      case Wire.varint:
        this.start = this.#position;
        this.#readVarint();
        break;
      case Wire.fixed64:
        this.#take(8);
        break;
      case Wire.fixed32:
        this.#take(4);
        break;
      case Wire.bytes: {
        this.#readVarint();
        if (this.#high !== 0) throw this.#malformed('an impossible length');
        this.#take(this.#low + this.#middle * 2 ** 28);
        break;
      }
      default:
        throw this.#malformed(`wire type ${this.wire}, which does not exist`);
    }
    this.end = this.#position;
    return true;
  }

  /** The current varint as an int64; beyond ±2^53 the nearest double. */
  get value(): number {
    const high = this.#high >= 128 ? this.#high - 256 : this.#high;
    return high * 2 ** 56 + this.#middle * 2 ** 28 + this.#low;
  }

  /** The current varint as an exact int64. */
  get integer(): bigint {
    const bits = (BigInt(this.#high) << 56n) | (BigInt(this.#middle) << 28n) | BigInt(this.#low);
    return BigInt.asIntN(64, bits);
  }

  get span(): Span {
    return { source: this.source, start: this.start, end: this.end };
  }
  /** The whole field, key included. */
  get fieldSpan(): Span {
    return { source: this.source, start: this.fieldStart, end: this.end };
  }
  bytes(): Uint8Array {
    if (this.wire === Wire.varint) throw this.#malformed('a number where bytes belong');
    return this.#slice(this.start, this.end);
  }
  text(): string {
    return decoder.decode(this.bytes());
  }
  /** Text that identifies something, which has to be the same wherever it stands. */
  name(): string {
    try {
      const text = this.#plain() ?? strictDecoder.decode(this.bytes());
      const { names } = this.window;
      const known = names.get(text);
      if (known === undefined) names.set(text, text);
      return known ?? text;
    } catch (error) {
      if (error instanceof WhittleError) throw error;
      throw this.#malformed('a name that is not valid UTF-8');
    }
  }
  float(): number {
    return view(this.bytes()).getFloat32(0, true);
  }
  /** Fields of the current embedded message. */
  message(what: string): FieldReader {
    if (this.wire !== Wire.bytes) throw this.#malformed('a number where a message belongs');
    return new FieldReader(this.source, this.start, this.end, what, this.window);
  }
  /** The current field's numbers, packed or single. */
  *varints(): Generator<number> {
    if (this.wire === Wire.varint) yield this.value;
    else {
      const inner = this.message(this.what);
      while (inner.#position < inner.limit) {
        inner.#readVarint();
        yield inner.value;
      }
    }
  }
  /** Like `varints`, as exact 64-bit integers. */
  *integers(): Generator<bigint> {
    if (this.wire === Wire.varint) yield this.integer;
    else {
      const inner = this.message(this.what);
      while (inner.#position < inner.limit) {
        inner.#readVarint();
        yield inner.integer;
      }
    }
  }
  *floats(): Generator<number> {
    const bytes = this.bytes();
    if (bytes.byteLength % 4 !== 0) throw this.#malformed('a list of floats of odd length');
    const data = view(bytes);
    for (let at = 0; at < bytes.byteLength; at += 4) yield data.getFloat32(at, true);
  }

  /** The field as text where it is at hand and surely valid, which names nearly always are. */
  #plain(): string | undefined {
    const { buffer, start } = this.window;
    const from = this.start - start;
    const to = this.end - start;
    if (this.wire === Wire.varint || from < 0 || to > buffer.byteLength) return undefined;
    const text = buffer.toString('utf8', from, to);
    return text.includes(REPLACEMENT) ? undefined : text;
  }

  #take(length: number): void {
    this.start = this.#position;
    this.#position += length;
    if (this.#position > this.limit)
      throw this.#malformed(
        `a field of ${length} bytes that runs past the end (${this.limit - this.start} left)`,
      );
  }

  #readVarint(): void {
    this.#ensure();
    const { buffer, start } = this.window;
    const last = Math.min(buffer.byteLength, this.limit - start);
    let at = this.#position - start;
    if (at < last && buffer[at]! < 128) {
      this.#low = buffer[at]!;
      this.#middle = this.#high = 0;
      this.#position++;
      return;
    }
    const parts: [number, number, number] = [0, 0, 0]; // 28, 28 and 8 bits
    for (let i = 0; i < 10; i++) {
      if (at >= last) throw this.#malformed('a number that is cut off');
      const byte = buffer[at++]!;
      parts[i >> 2]! += (byte & 127) * 2 ** (7 * (i & 3));
      if (byte < 128) {
        [this.#low, this.#middle] = parts;
        this.#high = parts[2] & 255;
        this.#position = at + start;
        return;
      }
    }
    throw this.#malformed('a number longer than ten bytes');
  }

  /** Makes sure that a field header starting at the position is in the buffer. */
  #ensure(): void {
    const { window } = this;
    const have = window.start + window.buffer.byteLength;
    if (this.#position >= window.start && this.#position + HEADER_BYTES <= have) return;
    if (have >= this.limit && this.#position >= window.start && this.#position < have) return;
    const end = Math.min(this.limit, this.#position + 4096);
    const bytes = this.source.read(this.#position, end);
    window.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    window.start = this.#position;
  }

  #slice(start: number, end: number): Uint8Array {
    const { window } = this;
    const from = start - window.start;
    if (from >= 0 && end - window.start <= window.buffer.byteLength)
      return window.buffer.subarray(from, from + end - start);
    return this.source.read(start, end);
  }

  #malformed(what: string): WhittleError {
    return new WhittleError(`not a valid ONNX model: ${this.what} has ${what}`, {
      where: `byte ${this.fieldStart}`,
      hint: 'The file is damaged, incomplete or not an ONNX file',
    });
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A stretch of output whose length is known before its bytes are. */
export type Piece =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'span'; readonly span: Span }
  | { readonly kind: 'deferred'; readonly byteLength: number; readonly produce: () => Uint8Array };

export function pieceLength(piece: Piece): number {
  switch (piece.kind) {
    case 'bytes':
      return piece.bytes.byteLength;
    case 'span':
      return piece.span.end - piece.span.start;
    case 'deferred':
      return piece.byteLength;
  }
}

const encoder = new TextEncoder();

/** Builds one message field by field; embedded payloads stay where they are until written. */
export class MessageBuilder {
  readonly pieces: Piece[] = [];
  byteLength = 0;

  add(piece: Piece): this {
    const length = pieceLength(piece);
    if (length > 0) this.pieces.push(piece);
    this.byteLength += length;
    return this;
  }
  int(field: number, value: number | bigint): this {
    return this.#header(field, Wire.varint, value);
  }
  float(field: number, value: number): this {
    this.add({ kind: 'bytes', bytes: varintBytes(BigInt(field * 8 + Wire.fixed32)) });
    return this.add({ kind: 'bytes', bytes: new Uint8Array(Float32Array.of(value).buffer) });
  }
  bytes(field: number, bytes: Uint8Array): this {
    this.#header(field, Wire.bytes, bytes.byteLength);
    return this.add({ kind: 'bytes', bytes });
  }
  text(field: number, text: string): this {
    return this.bytes(field, encoder.encode(text));
  }
  /** A length-delimited field whose payload is a piece. */
  payload(field: number, piece: Piece): this {
    this.#header(field, Wire.bytes, pieceLength(piece));
    return this.add(piece);
  }
  message(field: number, message: MessageBuilder): this {
    this.#header(field, Wire.bytes, message.byteLength);
    for (const piece of message.pieces) this.add(piece);
    return this;
  }
  /** Fields copied as they are, keys included. */
  verbatim(span: Span): this {
    return this.add({ kind: 'span', span });
  }

  #header(field: number, wire: number, value: number | bigint): this {
    const key = varintBytes(BigInt(field * 8 + wire));
    // INT64_MAX read as a double is 2^63, one too many.
    const integer = value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value);
    const rest = varintBytes(BigInt.asUintN(64, integer));
    const bytes = new Uint8Array(key.length + rest.length);
    bytes.set(key);
    bytes.set(rest, key.length);
    return this.add({ kind: 'bytes', bytes });
  }
}

function varintBytes(value: bigint): Uint8Array {
  if (value < 128n) return Uint8Array.of(Number(value));
  const out: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) {
      out.push(Number(rest));
      return Uint8Array.from(out);
    }
    out.push(Number(rest & 127n) | 128);
  }
}
