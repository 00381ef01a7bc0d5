/**
 * Writes a model. What was not touched is copied range by range from where it was read; what was changed is encoded;
 * computed tensors are produced one at a time as they are written.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { throwIfCancelled } from '../errors';
import { resolveExternal } from './external';
import type {
  Attribute,
  GraphRecord,
  Model,
  NodeRecord,
  Tensor,
  ValueInfo,
  ValueType,
} from './model';
import { elementCode, MAIN_DOMAIN } from './schema';
import { FileSource, type Span } from './source';
import { tensorByteLength, tensorBytes } from './tensor';
import { FieldReader, MessageBuilder, pieceLength, type Piece } from './wire';

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
  const inline = encodeModel(model, graph, opsets, (tensor) => encodeTensor(tensor));
  const hasExternal = graph.initializers.some((t) => t.data.kind === 'external');
  if (!hasExternal && inline.byteLength <= MAX_INLINE_BYTES) {
    writePieces(file, inline.pieces, signal);
    return { model: file, external: undefined };
  }
  const external = `${file}.data`;
  const moved: Piece[] = [];
  let offset = 0;
  const encoded = encodeModel(model, graph, opsets, (tensor) => {
    const payload = movable(tensor);
    if (!payload) return encodeTensor(tensor);
    const padding = (EXTERNAL_ALIGNMENT - (offset % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT;
    if (padding) moved.push({ kind: 'bytes', bytes: new Uint8Array(padding) });
    moved.push(payload);
    const start = offset + padding;
    offset = start + pieceLength(payload);
    return encodeExternal(tensor, path.basename(external), start, pieceLength(payload));
  });
  writePieces(file, encoded.pieces, signal);
  if (moved.length === 0) return { model: file, external: undefined };
  writePieces(external, moved, signal);
  return { model: file, external };
}

/** The payload of a tensor that may leave the model; undefined where it has to stay, or its own file is not there. */
function movable(tensor: Tensor): Piece | undefined {
  if (tensor.data.kind === 'external') {
    const length = tensor.data.location.length ?? tensorByteLength(tensor);
    try {
      const span = resolveExternal({ ...tensor.data.location, length }, tensor.name);
      return { kind: 'span', span };
    } catch {
      return undefined; // weights that are absent stay absent: the reference is copied as it is
    }
  }
  if (tensorByteLength(tensor) < MIN_EXTERNAL_BYTES || tensor.elementType === 'string')
    return undefined;
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

type TensorEncoder = (tensor: Tensor) => MessageBuilder | Span;

function encodeModel(
  model: Model,
  graph: GraphRecord,
  opsets: ReadonlyMap<string, number>,
  tensor: TensorEncoder,
): MessageBuilder {
  const out = new MessageBuilder();
  const sameOpsets =
    opsets === model.opsets ||
    (opsets.size === model.opsets.size && [...opsets].every(([d, v]) => model.opsets.get(d) === v));
  for (const span of model.carried) {
    const reader = FieldReader.of(span, 'the model');
    reader.next();
    if (reader.field !== 8 || sameOpsets) out.verbatim(span);
  }
  if (!sameOpsets)
    for (const [domain, version] of opsets) {
      const opset = new MessageBuilder();
      if (domain !== MAIN_DOMAIN) opset.text(1, domain);
      out.message(8, opset.int(2, version));
    }
  return out.message(7, encodeGraph(graph, tensor));
}

function encodeGraph(graph: GraphRecord, tensor: TensorEncoder): MessageBuilder {
  const out = new MessageBuilder();
  for (const node of graph.nodes) put(out, 1, node.span ?? encodeNode(node));
  if (graph.name && graph.carried.length === 0) out.text(2, graph.name); // a graph made in memory
  for (const span of graph.carried) out.verbatim(span);
  for (const initializer of graph.initializers) put(out, 5, tensor(initializer));
  for (const input of graph.inputs) put(out, 11, input.span ?? encodeValueInfo(input));
  for (const output of graph.outputs) put(out, 12, output.span ?? encodeValueInfo(output));
  for (const value of graph.valueInfos) put(out, 13, value.span ?? encodeValueInfo(value));
  return out;
}

function put(out: MessageBuilder, field: number, content: MessageBuilder | Span): void {
  if (content instanceof MessageBuilder) out.message(field, content);
  else out.payload(field, { kind: 'span', span: content });
}

function encodeNode(node: NodeRecord): MessageBuilder {
  const out = new MessageBuilder();
  for (const input of node.inputs) out.text(1, input);
  for (const output of node.outputs) out.text(2, output);
  if (node.name) out.text(3, node.name);
  out.text(4, node.op);
  for (const attribute of node.attributes.values())
    put(out, 5, attribute.span ?? encodeAttribute(attribute));
  if (node.domain) out.text(7, node.domain);
  if (node.overload) out.text(8, node.overload);
  for (const span of node.carried) out.verbatim(span);
  return out;
}

function encodeAttribute({ name, value }: Attribute): MessageBuilder {
  const out = new MessageBuilder().text(1, name);
  const inner = (graph: GraphRecord) => encodeGraph(graph, encodeTensor);
  switch (value.kind) {
    case 'float':
      return out.float(2, value.value).int(20, 1);
    case 'int':
      return out.int(3, value.value).int(20, 2);
    case 'string':
      return out.text(4, value.value).int(20, 3);
    case 'tensor':
      put(out, 5, encodeTensor(value.value));
      return out.int(20, 4);
    case 'graph':
      put(out, 6, value.value.span ?? inner(value.value));
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
      for (const v of value.value) put(out, 10, encodeTensor(v));
      return out.int(20, 9);
    case 'graphs':
      for (const v of value.value) put(out, 11, v.span ?? inner(v));
      return out.int(20, 10);
    case 'reference':
      return out.text(21, value.value);
    case 'opaque':
      throw new Error(`attribute ${name} can only be copied`);
  }
}

function encodeTensor(tensor: Tensor): MessageBuilder | Span {
  if (tensor.span) return tensor.span;
  return tensorHeader(tensor).payload(9, payloadOf(tensor));
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
  const sources = new Set<FileSource>();
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
        if (piece.span.source instanceof FileSource) sources.add(piece.span.source);
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
    for (const source of sources) source.release();
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
