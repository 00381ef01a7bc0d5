/**
 * Writes a model. What was not touched is copied range by range from where it was read; what was changed is encoded;
 * computed tensors are produced one at a time as they are written.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { throwIfCancelled, WhittleError } from '../errors';
import { existsExternal, resolveExternal } from './external';
import type {
  Attribute,
  GraphRecord,
  Model,
  NodeRecord,
  Tensor,
  ValueInfo,
  ValueType,
} from './model';
import { readTensorAt } from './read';
import { elementCode, MAIN_DOMAIN } from './schema';
import { FileSource, type Span } from './source';
import { tensorByteLength, tensorBytes } from './tensor';
import { FieldReader, MessageBuilder, pieceLength, Wire, type Piece } from './wire';

/** Protobuf's own limit; a larger model keeps its weights in a file beside it. */
const MAX_INLINE_BYTES = 2 ** 31 - 1;
/** Smaller tensors stay in the model, where shape inference can see them. */
const MIN_EXTERNAL_BYTES = 1024;
/** ONNX asks for page alignment so that runtimes can map the file. */
const EXTERNAL_ALIGNMENT = 4096;
const COPY_BYTES = 4 * 1024 * 1024;

export interface Written {
  readonly model: string;
  /** Weights beside the model: there when the source had them so, or when the model exceeds 2 GB. */
  readonly external: string | undefined;
}

/**
 * Writes `graph` with everything else taken from `model`.
 * @param file the path to write; nothing at that path is kept
 * @throws WhittleError when weights that are needed cannot be read, CancelledError when the signal fires
 */
export function writeModel(
  model: Model,
  graph: GraphRecord,
  opsets: ReadonlyMap<string, number>,
  file: string,
  signal?: AbortSignal,
): Written {
  const inline = new Inline();
  const plain = encodeModel(model, graph, opsets, inline);
  if (!inline.sawExternal && plain.byteLength <= MAX_INLINE_BYTES) {
    writePieces(file, plain.pieces, signal);
    return { model: file, external: undefined };
  }
  const { encoded, pieces } = encodeApart(model, graph, opsets, `${file}.data`);
  writePieces(file, encoded.pieces, signal);
  if (pieces.length === 0) return { model: file, external: undefined };
  const external = `${file}.data`;
  writePieces(external, pieces, signal);
  return { model: file, external };
}

/** The model with weights in a file of their own: those that were so before, and all of them where that is not enough. */
function encodeApart(
  model: Model,
  graph: GraphRecord,
  opsets: ReadonlyMap<string, number>,
  external: string,
): { encoded: MessageBuilder; pieces: readonly Piece[] } {
  for (const which of ['needed', 'all'] as const) {
    const mover = new Mover(path.basename(external), path.dirname(model.path ?? '.'), which);
    const encoded = encodeModel(model, graph, opsets, mover);
    if (encoded.byteLength <= MAX_INLINE_BYTES) return { encoded, pieces: mover.pieces };
  }
  throw new WhittleError('the model is larger than 2 GB even with its weights in another file', {
    hint: 'Weights that lie in Constant nodes stay in the model; store them as initializers',
  });
}

/** How tensors are put down, those in stretches that are copied included. */
interface Encoder {
  tensor(tensor: Tensor): MessageBuilder | Span;
  /** A message of the source, unchanged but for where its tensors are. */
  copy(kind: MessageKind, message: Span): MessageBuilder | Span;
}

/** Leaves every tensor where it is, and notes whether one is in another file. */
class Inline implements Encoder {
  sawExternal = false;

  tensor(tensor: Tensor): MessageBuilder | Span {
    this.sawExternal ||= tensor.data.kind === 'external';
    return encodeTensor(tensor);
  }
  copy(kind: MessageKind, message: Span): Span {
    this.sawExternal ||= holdsExternal(kind, message);
    return message;
  }
}

function holdsExternal(kind: MessageKind, message: Span, depth = 0): boolean {
  if (depth > DEEPEST) return false;
  const reader = FieldReader.of(message, `a ${kind}`);
  while (reader.next()) {
    if (kind === 'tensor' && reader.field === 14 && reader.wire === Wire.varint)
      return reader.value === 1;
    const inner = reader.wire === Wire.bytes ? TENSORS_IN[kind][reader.field] : undefined;
    if (inner && holdsExternal(inner, reader.span, depth + 1)) return true;
  }
  return false;
}

/** Puts weights into the external file, one after the other, each stretch of a source once. */
class Mover implements Encoder {
  readonly pieces: Piece[] = [];
  readonly #placed = new Map<string, number>();
  #offset = 0;

  constructor(
    private readonly location: string,
    private readonly folder: string,
    private readonly which: 'needed' | 'all',
  ) {}

  tensor(tensor: Tensor): MessageBuilder | Span {
    const payload = movable(tensor, this.which);
    if (!payload) return encodeTensor(tensor);
    return encodeExternal(tensor, this.location, this.#place(payload), pieceLength(payload));
  }

  copy(kind: MessageKind, message: Span, depth = 0): MessageBuilder | Span {
    if (depth > DEEPEST) return message;
    if (kind === 'tensor') {
      const tensor = readTensorAt(message, this.folder);
      return tensor.data.kind === 'external' ? this.tensor(tensor) : message;
    }
    const out = new MessageBuilder();
    let moved = false;
    const reader = FieldReader.of(message, `a ${kind}`);
    while (reader.next()) {
      const inner = reader.wire === Wire.bytes ? TENSORS_IN[kind][reader.field] : undefined;
      const copied = inner && this.copy(inner, reader.span, depth + 1);
      if (copied instanceof MessageBuilder) {
        moved = true;
        out.message(reader.field, copied);
      } else out.verbatim(reader.fieldSpan);
    }
    return moved ? out : message;
  }

  #place(payload: Piece): number {
    const key = payload.kind === 'span' && placeOf(payload.span);
    const known = key ? this.#placed.get(key) : undefined;
    if (known !== undefined) return known;
    const padding = (EXTERNAL_ALIGNMENT - (this.#offset % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT;
    if (padding) this.pieces.push({ kind: 'bytes', bytes: new Uint8Array(padding) });
    this.pieces.push(payload);
    const start = this.#offset + padding;
    this.#offset = start + pieceLength(payload);
    if (key) this.#placed.set(key, start);
    return start;
  }
}

const placeOf = ({ source, start, end }: Span): string | undefined =>
  source instanceof FileSource ? `${start} ${end} ${source.path}` : undefined;

type MessageKind =
  'model' | 'graph' | 'node' | 'attribute' | 'sparse' | 'function' | 'training' | 'tensor';

/** Where tensors are in the messages of onnx.proto: by field, what kind of message stands there. */
const TENSORS_IN: Readonly<Record<MessageKind, Readonly<Record<number, MessageKind>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};
/** Messages in each other, beyond which no exporter goes. */
const DEEPEST = 250;

/** The payload of a tensor that leaves the model; undefined where it stays, or its own file is not there. */
function movable(tensor: Tensor, which: 'needed' | 'all'): Piece | undefined {
  if (tensor.data.kind === 'external') {
    const length = tensor.data.location.length ?? tensorByteLength(tensor);
    const location = { ...tensor.data.location, length };
    // Weights that are absent stay absent: the reference is copied as it is.
    if (!existsExternal(location, tensor.name)) return undefined;
    return { kind: 'span', span: resolveExternal(location, tensor.name) };
  }
  if (tensorByteLength(tensor) < MIN_EXTERNAL_BYTES || tensor.elementType === 'string')
    return undefined;
  if (which === 'needed' && (tensor.data.kind === 'raw' || tensor.data.kind === 'typed'))
    return undefined; // it was in the model before
  return payloadOf(tensor);
}

function payloadOf(tensor: Tensor): Piece {
  switch (tensor.data.kind) {
    case 'raw':
      return { kind: 'span', span: tensor.data.span };
    case 'memory':
      return { kind: 'bytes', bytes: tensor.data.bytes };
    default:
      return {
        kind: 'deferred',
        byteLength: tensorByteLength(tensor),
        produce: () => tensorBytes(tensor),
      };
  }
}

function encodeModel(
  model: Model,
  graph: GraphRecord,
  opsets: ReadonlyMap<string, number>,
  encoder: Encoder,
): MessageBuilder {
  const out = new MessageBuilder();
  const sameOpsets =
    opsets === model.opsets ||
    (opsets.size === model.opsets.size && [...opsets].every(([d, v]) => model.opsets.get(d) === v));
  const irVersion = irVersionOf(opsets.get(MAIN_DOMAIN) ?? 1);
  const isRaised = !sameOpsets && irVersion > model.irVersion;
  for (const span of model.carried) {
    const { field } = fieldOf(span);
    if ((sameOpsets || field !== 8) && !(isRaised && field === 1))
      carry(out, 'model', span, encoder);
  }
  if (isRaised) out.int(1, irVersion);
  if (!sameOpsets)
    for (const [domain, version] of opsets) {
      const opset = new MessageBuilder();
      if (domain !== MAIN_DOMAIN) opset.text(1, domain);
      out.message(8, opset.int(2, version));
    }
  return out.message(7, encodeGraph(graph, encoder));
}

/** The first version of the format for a version of the operator set (ONNX, docs/Versioning.md). */
function irVersionOf(opset: number): number {
  const since = [9, 10, 11, 12, 15, 19, 21, 23]; // of versions 4 to 11
  return 3 + since.filter((first) => opset >= first).length;
}

/** The field that a stretch of a message is. */
function fieldOf(span: Span): FieldReader {
  const reader = FieldReader.of(span, 'a field');
  reader.next();
  return reader;
}

/** A field of the source, unchanged but for where tensors in it are. */
function carry(out: MessageBuilder, kind: MessageKind, span: Span, encoder: Encoder): void {
  const reader = fieldOf(span);
  const inner = reader.wire === Wire.bytes ? TENSORS_IN[kind][reader.field] : undefined;
  const copied = inner && encoder.copy(inner, reader.span);
  if (copied instanceof MessageBuilder) out.message(reader.field, copied);
  else out.verbatim(span);
}

function encodeGraph(graph: GraphRecord, encoder: Encoder): MessageBuilder {
  const out = new MessageBuilder();
  for (const node of graph.nodes)
    put(out, 1, node.span ? encoder.copy('node', node.span) : encodeNode(node, encoder));
  if (graph.name && graph.carried.length === 0) out.text(2, graph.name); // a graph made in memory
  for (const span of graph.carried) carry(out, 'graph', span, encoder);
  for (const initializer of graph.initializers)
    if (isSparse(initializer)) put(out, 15, encoder.copy('sparse', initializer.data.message));
    else put(out, 5, encoder.tensor(initializer));
  for (const input of graph.inputs) put(out, 11, input.span ?? encodeValueInfo(input));
  for (const output of graph.outputs) put(out, 12, output.span ?? encodeValueInfo(output));
  for (const value of graph.valueInfos) put(out, 13, value.span ?? encodeValueInfo(value));
  return out;
}

type SparseTensor = Tensor & { readonly data: { readonly kind: 'sparse' } };

/** Whether a tensor is still the SparseTensorProto that it was read from. */
const isSparse = (tensor: Tensor): tensor is SparseTensor =>
  tensor.data.kind === 'sparse' && tensor.data.values.name === tensor.name;

function put(out: MessageBuilder, field: number, content: MessageBuilder | Span): void {
  if (content instanceof MessageBuilder) out.message(field, content);
  else out.payload(field, { kind: 'span', span: content });
}

function encodeNode(node: NodeRecord, encoder: Encoder): MessageBuilder {
  const out = new MessageBuilder();
  for (const input of node.inputs) out.text(1, input);
  for (const output of node.outputs) out.text(2, output);
  if (node.name) out.text(3, node.name);
  out.text(4, node.op);
  for (const attribute of node.attributes.values())
    put(
      out,
      5,
      attribute.span
        ? encoder.copy('attribute', attribute.span)
        : encodeAttribute(attribute, encoder),
    );
  if (node.domain) out.text(7, node.domain);
  if (node.overload) out.text(8, node.overload);
  for (const [key, value] of node.metadata)
    out.message(9, new MessageBuilder().text(1, key).text(2, value));
  for (const span of node.carried) out.verbatim(span);
  return out;
}

function encodeAttribute({ name, value }: Attribute, encoder: Encoder): MessageBuilder {
  const out = new MessageBuilder().text(1, name);
  switch (value.kind) {
    case 'float':
      return out.float(2, value.value).int(20, 1);
    case 'int':
      return out.int(3, value.value).int(20, 2);
    case 'string':
      return out.text(4, value.value).int(20, 3);
    case 'tensor':
      put(out, 5, encoder.tensor(value.value));
      return out.int(20, 4);
    case 'graph':
      out.message(6, encodeGraph(value.value, encoder));
      return out.int(20, 5);
    case 'floats':
      for (const v of value.value) out.float(7, v);
      return out.int(20, 6);
    case 'ints':
      for (const v of value.value) out.int(8, v);
      return out.int(20, 7);
    case 'strings':
      for (const v of value.value) out.text(9, v);
      return out.int(20, 8);
    case 'tensors':
      for (const v of value.value) put(out, 10, encoder.tensor(v));
      return out.int(20, 9);
    case 'graphs':
      for (const v of value.value) out.message(11, encodeGraph(v, encoder));
      return out.int(20, 10);
    case 'reference':
      return out.text(21, value.value);
    case 'opaque':
      throw new Error(`attribute ${name} can only be copied`);
  }
}

function encodeTensor(tensor: Tensor): MessageBuilder | Span {
  if (tensor.span) return tensor.span;
  const out = tensorHeader(tensor);
  if (tensor.data.kind !== 'typed') return out.payload(9, payloadOf(tensor));
  const reader = FieldReader.of(tensor.data.message, `tensor ${tensor.name}`);
  while (reader.next()) if (ELEMENT_FIELDS.has(reader.field)) out.verbatim(reader.fieldSpan);
  return out;
}

function tensorHeader(tensor: Tensor): MessageBuilder {
  const out = new MessageBuilder();
  for (const dim of tensor.dims) out.int(1, dim);
  out.int(2, elementCode(tensor.elementType));
  return tensor.name ? out.text(8, tensor.name) : out;
}

const EXTERNAL_FIELDS = new Set([13, 14]);
const ELEMENT_FIELDS = new Set([4, 5, 6, 7, 9, 10, 11]);

/** The tensor with its elements in another file; every other field is kept. */
function encodeExternal(
  tensor: Tensor,
  location: string,
  offset: number,
  length: number,
): MessageBuilder {
  const out = tensor.span ? new MessageBuilder() : tensorHeader(tensor);
  if (tensor.span) {
    const reader = FieldReader.of(tensor.span, `tensor ${tensor.name}`);
    while (reader.next())
      if (!EXTERNAL_FIELDS.has(reader.field) && !ELEMENT_FIELDS.has(reader.field))
        out.verbatim(reader.fieldSpan);
  }
  for (const [key, value] of Object.entries({ location, offset, length }))
    out.message(13, new MessageBuilder().text(1, key).text(2, String(value)));
  return out.int(14, 1);
}

function encodeValueInfo(info: ValueInfo): MessageBuilder {
  const out = new MessageBuilder().text(1, info.name);
  return info.type.kind === 'unknown' ? out : out.message(2, encodeType(info.type));
}

function encodeType(type: ValueType): MessageBuilder {
  const out = new MessageBuilder();
  switch (type.kind) {
    case 'tensor':
    case 'sparse': {
      const inner = new MessageBuilder().int(1, elementCode(type.elementType));
      if (type.shape) {
        const shape = new MessageBuilder();
        for (const dim of type.shape) {
          const entry = new MessageBuilder();
          if (typeof dim === 'number') entry.int(1, dim);
          else if (dim !== null) entry.text(2, dim);
          shape.message(1, entry);
        }
        inner.message(2, shape);
      }
      return out.message(type.kind === 'tensor' ? 1 : 8, inner);
    }
    case 'sequence':
    case 'optional': {
      const inner = new MessageBuilder();
      if (type.element) inner.message(1, encodeType(type.element));
      return out.message(type.kind === 'sequence' ? 4 : 9, inner);
    }
    case 'map': {
      const inner = new MessageBuilder().int(1, elementCode(type.keyType));
      if (type.value) inner.message(2, encodeType(type.value));
      return out.message(5, inner);
    }
    case 'unknown':
      return out;
  }
}

/** Writes and fsyncs a file; spans are copied in chunks. */
function writePieces(
  file: string,
  pieces: readonly Piece[],
  signal: AbortSignal | undefined,
): void {
  const descriptor = openSync(file, 'w');
  let open: FileSource | undefined;
  try {
    const sink = new BufferedSink(descriptor);
    for (const piece of joined(pieces)) {
      throwIfCancelled(signal);
      if (piece.kind === 'bytes') sink.write(piece.bytes);
      else if (piece.kind === 'deferred') {
        const bytes = piece.produce();
        if (bytes.byteLength !== piece.byteLength)
          throw new Error(`${bytes.byteLength} bytes where ${piece.byteLength} were announced`);
        sink.write(bytes);
      } else {
        const { source } = piece.span;
        if (source instanceof FileSource && source !== open) {
          open?.release(); // weights may come from hundreds of files
          open = source;
        }
        for (let at = piece.span.start; at < piece.span.end; at += COPY_BYTES) {
          throwIfCancelled(signal);
          sink.write(piece.span.source.read(at, Math.min(piece.span.end, at + COPY_BYTES)));
        }
      }
    }
    sink.flush();
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
    open?.release();
  }
}

/** Neighbouring spans of one source become one, so that untouched stretches are copied in large reads. */
function* joined(pieces: readonly Piece[]): Generator<Piece> {
  let open: Span | undefined;
  for (const piece of pieces) {
    if (
      piece.kind === 'span' &&
      open?.source === piece.span.source &&
      open.end === piece.span.start
    ) {
      open = { ...open, end: piece.span.end };
      continue;
    }
    if (open) yield { kind: 'span', span: open };
    open = undefined;
    if (piece.kind === 'span') open = piece.span;
    else yield piece;
  }
  if (open) yield { kind: 'span', span: open };
}

class BufferedSink {
  readonly #buffer = new Uint8Array(256 * 1024);
  #used = 0;
  constructor(private readonly descriptor: number) {}

  write(bytes: Uint8Array): void {
    if (this.#used + bytes.byteLength > this.#buffer.byteLength) this.flush();
    if (bytes.byteLength >= this.#buffer.byteLength) {
      this.#writeAll(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.byteLength;
  }
  flush(): void {
    this.#writeAll(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
  #writeAll(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) at += writeSync(this.descriptor, bytes, at);
  }
}
