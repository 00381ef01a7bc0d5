/** Messages of onnx.proto made field by field, with what no builder of the product writes. */
import { writeFileSync } from 'node:fs';
import { FieldReader, MessageBuilder, type Piece } from '../../../language/onnx/wire';
import { MemorySource } from '../../../language/onnx/source';

export const message = (): MessageBuilder => new MessageBuilder();

export function bytesOf(built: MessageBuilder): Uint8Array {
  const bytes = (piece: Piece): Uint8Array => {
    if (piece.kind === 'bytes') return piece.bytes;
    if (piece.kind === 'deferred') return piece.produce();
    return piece.span.source.read(piece.span.start, piece.span.end);
  };
  return Buffer.concat(built.pieces.map(bytes));
}

export const write = (file: string, built: MessageBuilder): void =>
  writeFileSync(file, bytesOf(built));

/** A field that no schema knows. */
export const stranger = (built: MessageBuilder, text: string): MessageBuilder =>
  built.text(1023, text);

export const entry = (key: string, value: string): MessageBuilder =>
  message().text(1, key).text(2, value);

/** The fields of a message as they stand in it, `field:bytes`, in the order of their numbers. */
export function fieldsOf(bytes: Uint8Array, without?: number): string[] {
  const reader = new FieldReader(new MemorySource(bytes), 0, bytes.byteLength, 'a message');
  const fields: string[] = [];
  while (reader.next()) {
    const { source, start, end } = reader.fieldSpan;
    if (reader.field !== without)
      fields.push(
        `${String(reader.field).padStart(4)}:${Buffer.from(source.read(start, end)).toString('hex')}`,
      );
  }
  return fields.sort();
}

/** The bytes of the only embedded message with a field number. */
export function inner(bytes: Uint8Array, field: number): Uint8Array {
  const reader = new FieldReader(new MemorySource(bytes), 0, bytes.byteLength, 'a message');
  while (reader.next()) if (reader.field === field) return reader.bytes();
  throw new Error(`no field ${field}`);
}
