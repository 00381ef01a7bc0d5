/** Reads the structure of an ONNX file. Weights stay where they are, as spans or external locations. */
import path from 'node:path';
import { WhittleError } from '../errors';
import { externalPath } from './external';
import type {
  Attribute,
  AttributeValue,
  Dim,
  ExternalLocation,
  FunctionRecord,
  GraphRecord,
  Model,
  NodeRecord,
  Tensor,
  TensorData,
  ValueInfo,
  ValueType,
} from './model';
import { canonicalDomain, elementTypeOf } from './schema';
import { FileSource, MemorySource, type ByteSource, type Span } from './source';
import { FieldReader, Wire } from './wire';

/** Deeper nesting of graphs and types than any exporter makes; keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 64;

/** @throws WhittleError naming the byte or the element that is wrong. */
export function readModelFile(file: string): Model {
  const source = new FileSource(file);
  try {
    return readModel(source, path.resolve(file));
  } finally {
    source.release();
  }
}

/** A model from bytes in memory; external data is looked for beside `file` where given. */
export function readModelBytes(bytes: Uint8Array, file?: string): Model {
  return readModel(new MemorySource(bytes), file);
}

function readModel(source: ByteSource, file: string | undefined): Model {
  const other = otherFormat(source);
  if (other)
    throw new WhittleError(`not a valid ONNX model: ${other.what}`, {
      ...(file && { where: file }),
      hint: other.hint,
    });
  const context = contextOf(file ? path.dirname(file) : '.');
  const opsets = new Map<string, number>();
  const functions: FunctionRecord[] = [];
  const carried: Span[] = [];
  const graphs: GraphRecord[] = [];
  let irVersion = 0;
  let producer = '';
  const reader = new FieldReader(source, 0, source.size, 'the model');
  while (reader.next()) {
    if (reader.field === 7) {
      graphs.push(readGraph(reader.message('the graph'), context));
      continue;
    }
    carried.push(reader.fieldSpan);
    if (reader.field === 1 && reader.wire === Wire.varint) irVersion = reader.value;
    else if (reader.field === 2) producer = `${reader.text()} ${producer}`.trim();
    else if (reader.field === 3) producer = `${producer} ${reader.text()}`.trim();
    else if (reader.field === 8) readOpset(reader.message('an opset import'), opsets);
    else if (reader.field === 25)
      functions.push(readFunction(reader.message('a function'), context));
  }
  if (graphs.length === 0)
    throw new WhittleError('not a valid ONNX model: it has no graph', {
      ...(file && { where: file }),
      hint: 'The file may be of another format, or hold weights only',
    });
  return {
    path: file,
    irVersion,
    producer,
    opsets,
    functions,
    graph: mergeGraphs(graphs),
    span: { source, start: 0, end: source.size },
    carried,
  };
}

/** What a file that is no model is instead, told by how it begins. */
function otherFormat(source: ByteSource): { what: string; hint: string } | undefined {
  if (source.size === 0) return { what: 'the file is empty', hint: 'Export or download it again' };
  const head = new TextDecoder('latin1').decode(source.read(0, Math.min(64, source.size)));
  if (head.startsWith('version https://git-lfs'))
    return { what: 'the file is a Git LFS pointer', hint: 'Fetch the model with `git lfs pull`' };
  if (/^\s*<(!doctype|html)/i.test(head))
    return {
      what: 'the file is a web page',
      hint: 'Download the file itself, not the page about it',
    };
  if (head.startsWith('PK\u0003\u0004'))
    return {
      what: 'the file is a ZIP archive',
      hint: 'Unpack it, or export a PyTorch model to ONNX',
    };
  return undefined;
}

/** Protobuf merges a repeated occurrence of an embedded message into the first. */
function mergeGraphs(graphs: readonly GraphRecord[]): GraphRecord {
  const [first, ...rest] = graphs;
  if (rest.length === 0) return first!;
  return {
    name: first!.name,
    nodes: graphs.flatMap((g) => g.nodes),
    initializers: graphs.flatMap((g) => g.initializers),
    inputs: graphs.flatMap((g) => g.inputs),
    outputs: graphs.flatMap((g) => g.outputs),
    valueInfos: graphs.flatMap((g) => g.valueInfos),
    carried: graphs.flatMap((g) => g.carried),
  };
}

interface Context {
  /** The folder that external data is relative to. */
  readonly folder: string;
  /** External locations that were found to lie in the folder. */
  readonly inside: Set<string>;
  readonly depth: number;
}

const contextOf = (folder: string): Context => ({ folder, inside: new Set(), depth: 0 });

function deeper(context: Context, reader: FieldReader): Context {
  if (context.depth < MAX_DEPTH) return { ...context, depth: context.depth + 1 };
  throw new WhittleError(`not a valid ONNX model: nested deeper than ${MAX_DEPTH} levels`, {
    where: `byte ${reader.fieldStart}`,
  });
}

function readOpset(reader: FieldReader, into: Map<string, number>): void {
  let domain = '';
  let version = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text();
    else if (reader.field === 2 && reader.wire === Wire.varint) version = reader.value;
  }
  into.set(canonicalDomain(domain), version);
}

function readGraph(reader: FieldReader, context: Context): GraphRecord {
  const nodes: NodeRecord[] = [];
  const initializers: Tensor[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const valueInfos: ValueInfo[] = [];
  const carried: Span[] = [];
  let name = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        nodes.push(readNode(reader.message('a node'), reader.span, context));
        break;
      case 5:
        initializers.push(readTensor(reader.message('an initializer'), reader.span, context));
        break;
      case 11:
        inputs.push(readValueInfo(reader.message('a graph input'), reader.span, context));
        break;
      case 12:
        outputs.push(readValueInfo(reader.message('a graph output'), reader.span, context));
        break;
      case 13:
        valueInfos.push(readValueInfo(reader.message('a value'), reader.span, context));
        break;
      case 15:
        initializers.push(readSparse(reader.message('a sparse initializer'), context));
        break;
      case 2:
        name = reader.text();
        carried.push(reader.fieldSpan);
        break;
      default:
        carried.push(reader.fieldSpan);
    }
  }
  return { name, nodes, initializers, inputs, outputs, valueInfos, carried };
}

function readNode(reader: FieldReader, span: Span, context: Context): NodeRecord {
  const inputs: string[] = [];
  const outputs: string[] = [];
  let attributes: Map<string, Attribute> | undefined;
  let metadata: Map<string, string> | undefined;
  let carried: Span[] | undefined;
  let name = '';
  let op = '';
  let domain = '';
  let overload = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        inputs.push(reader.name());
        break;
      case 2:
        outputs.push(reader.name());
        break;
      case 3:
        name = reader.name();
        break;
      case 4:
        op = reader.name();
        break;
      case 5: {
        const attribute = readAttribute(reader.message('an attribute'), reader.span, context);
        (attributes ??= new Map<string, Attribute>()).set(attribute.name, attribute);
        break;
      }
      case 7:
        domain = canonicalDomain(reader.name());
        break;
      case 8:
        overload = reader.name();
        break;
      case 9:
        readEntry(reader.message('a metadata entry'), (metadata ??= new Map<string, string>()));
        break;
      default:
        (carried ??= []).push(reader.fieldSpan);
    }
  }
  return {
    name,
    op,
    domain,
    overload,
    inputs,
    outputs,
    attributes: attributes ?? NO_ATTRIBUTES,
    metadata: metadata ?? NO_METADATA,
    span,
    carried: carried ?? NOTHING_CARRIED,
  };
}

// Most nodes of a large model have none of these.
const NO_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map();
const NO_METADATA: ReadonlyMap<string, string> = new Map();
const NOTHING_CARRIED: readonly Span[] = [];

function readEntry(reader: FieldReader, into: Map<string, string>): void {
  let key = '';
  let value = '';
  while (reader.next()) {
    if (reader.field === 1) key = reader.text();
    else if (reader.field === 2) value = reader.text();
  }
  into.set(key, value);
}

/** AttributeProto.AttributeType, by number. */
const ATTRIBUTE_KINDS: Readonly<Record<number, AttributeValue['kind']>> = {
  1: 'float',
  2: 'int',
  3: 'string',
  4: 'tensor',
  5: 'graph',
  6: 'floats',
  7: 'ints',
  8: 'strings',
  9: 'tensors',
  10: 'graphs',
};

function readAttribute(reader: FieldReader, span: Span, context: Context): Attribute {
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  const tensors: Tensor[] = [];
  const graphs: GraphRecord[] = [];
  let name = '';
  let declared = 0;
  let reference = '';
  let single: AttributeValue | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.name();
        break;
      case 2:
        single = { kind: 'float', value: reader.float() };
        break;
      case 3:
        single = { kind: 'int', value: reader.value };
        break;
      case 4:
        single = { kind: 'string', value: reader.text() };
        break;
      case 5:
        single = {
          kind: 'tensor',
          value: readTensor(reader.message('a tensor'), reader.span, context),
        };
        break;
      case 6:
        single = {
          kind: 'graph',
          value: readGraph(reader.message('a subgraph'), deeper(context, reader)),
        };
        break;
      case 7:
        for (const value of reader.floats()) floats.push(value);
        break;
      case 8:
        for (const value of reader.varints()) ints.push(value);
        break;
      case 9:
        strings.push(reader.text());
        break;
      case 10:
        tensors.push(readTensor(reader.message('a tensor'), reader.span, context));
        break;
      case 11:
        graphs.push(readGraph(reader.message('a subgraph'), deeper(context, reader)));
        break;
      case 22: {
        const value = readSparse(reader.message('a sparse tensor'), context);
        single = { kind: 'tensor', value };
        break;
      }
      case 20:
        declared = reader.value;
        break;
      case 21:
        reference = reader.text();
        break;
    }
  }
  return { name, span, value: reference ? { kind: 'reference', value: reference } : value() };

  function value(): AttributeValue {
    const kind = ATTRIBUTE_KINDS[declared];
    if (single && (kind === undefined || kind === single.kind)) return single;
    if (kind === 'floats' || (declared === 0 && floats.length))
      return { kind: 'floats', value: floats };
    if (kind === 'ints' || (declared === 0 && ints.length)) return { kind: 'ints', value: ints };
    if (kind === 'strings' || (declared === 0 && strings.length))
      return { kind: 'strings', value: strings };
    if (kind === 'tensors') return { kind: 'tensors', value: tensors };
    if (kind === 'graphs') return { kind: 'graphs', value: graphs };
    // A singular field at its default is not written by some encoders.
    if (kind === 'float' || kind === 'int') return { kind, value: 0 };
    if (kind === 'string') return { kind, value: '' };
    return { kind: 'opaque' };
  }
}

/** A tensor wherever it stands in a model whose files lie in `folder`. */
export function readTensorAt(span: Span, folder: string): Tensor {
  return readTensor(FieldReader.of(span, 'a tensor'), span, contextOf(folder));
}

/** Fields of TensorProto that hold elements when raw_data does not. */
const TYPED_FIELDS = new Set([4, 5, 6, 7, 10, 11]);

function readTensor(reader: FieldReader, span: Span, context: Context): Tensor {
  const dims: number[] = [];
  const external = new Map<string, string>();
  let name = '';
  let code = 0;
  let raw: Span | undefined;
  let typedField = 0;
  let isExternal = false;
  while (reader.next()) {
    if (reader.field === 1) for (const dim of reader.varints()) dims.push(dim);
    else if (reader.field === 2 && reader.wire === Wire.varint) code = reader.value;
    else if (reader.field === 8) name = reader.name();
    else if (reader.field === 9 && reader.wire === Wire.bytes) raw = reader.span;
    else if (reader.field === 13) readEntry(reader.message('an external data entry'), external);
    else if (reader.field === 14 && reader.wire === Wire.varint) isExternal = reader.value === 1;
    else if (TYPED_FIELDS.has(reader.field)) typedField = reader.field;
  }
  checkDims(dims, name, span);
  const data: TensorData = isExternal
    ? { kind: 'external', location: externalLocation(external, name, context) }
    : raw
      ? { kind: 'raw', span: raw }
      : typedField
        ? { kind: 'typed', field: typedField, message: span }
        : { kind: 'memory', bytes: new Uint8Array(0) };
  return { name, elementType: elementTypeOf(code), dims, data, span };
}

function checkDims(dims: readonly number[], name: string, { start }: Span): void {
  for (const dim of dims)
    if (!Number.isSafeInteger(dim) || dim < 0)
      throw new WhittleError(`not a valid ONNX model: tensor ${name} has the dimension ${dim}`, {
        where: `byte ${start}`,
      });
}

/** A SparseTensorProto; its values bear the name of the whole. */
function readSparse(reader: FieldReader, context: Context): Tensor {
  const message = { source: reader.source, start: reader.start, end: reader.limit };
  const dims: number[] = [];
  let values: Tensor | undefined;
  let indices: Tensor | undefined;
  while (reader.next()) {
    if (reader.field === 1)
      values = readTensor(reader.message('sparse values'), reader.span, context);
    else if (reader.field === 2)
      indices = readTensor(reader.message('sparse indices'), reader.span, context);
    else if (reader.field === 3) for (const dim of reader.varints()) dims.push(dim);
  }
  const place = `byte ${message.start}`;
  if (!values || !indices)
    throw new WhittleError('not a valid ONNX model: a sparse tensor without values or indices', {
      where: place,
    });
  const { name, elementType } = values;
  checkDims(dims, name, message);
  return { name, elementType, dims, data: { kind: 'sparse', message, values, indices } };
}

function externalLocation(
  entries: ReadonlyMap<string, string>,
  tensor: string,
  { folder, inside }: Context,
): ExternalLocation {
  const number = (key: string) => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new WhittleError(
      `not a valid ONNX model: tensor ${tensor} has the external ${key} ${text}, which is not a size`,
    );
  };
  const location = entries.get('location') ?? '';
  if (!inside.has(location)) {
    externalPath(folder, location, tensor);
    inside.add(location);
  }
  return {
    folder,
    location,
    offset: number('offset') ?? 0,
    length: number('length'),
  };
}

function readValueInfo(reader: FieldReader, span: Span, context: Context): ValueInfo {
  let name = '';
  let type: ValueType = { kind: 'unknown' };
  while (reader.next()) {
    if (reader.field === 1) name = reader.name();
    else if (reader.field === 2) type = readType(reader.message('a type'), context);
  }
  return { name, type, span };
}

function readType(reader: FieldReader, context: Context): ValueType {
  let type: ValueType = { kind: 'unknown' };
  while (reader.next()) {
    if (reader.field === 1 || reader.field === 8)
      type = readTensorType(
        reader.message('a tensor type'),
        reader.field === 1 ? 'tensor' : 'sparse',
      );
    else if (reader.field === 4 || reader.field === 9) {
      const kind = reader.field === 4 ? 'sequence' : 'optional';
      const inner = readElementType(reader.message('a type'), deeper(context, reader));
      type = { kind, ...(inner.element && { element: inner.element }) };
    } else if (reader.field === 5) {
      const inner = readElementType(reader.message('a map type'), deeper(context, reader));
      type = {
        kind: 'map',
        keyType: elementTypeOf(inner.keyCode),
        ...(inner.element && { value: inner.element }),
      };
    }
  }
  return type;
}

/** The element type of a sequence, optional (field 1) or map (key type in field 1, value in field 2). */
function readElementType(
  reader: FieldReader,
  context: Context,
): { element?: ValueType; keyCode: number } {
  let element: ValueType | undefined;
  let keyCode = 0;
  while (reader.next()) {
    if (reader.wire === Wire.varint) keyCode = reader.value;
    else if (reader.field === 1 || reader.field === 2)
      element = readType(reader.message('a type'), context);
  }
  return { ...(element && { element }), keyCode };
}

function readTensorType(reader: FieldReader, kind: 'tensor' | 'sparse'): ValueType {
  let code = 0;
  let shape: Dim[] | undefined;
  while (reader.next()) {
    if (reader.field === 1 && reader.wire === Wire.varint) code = reader.value;
    else if (reader.field === 2) {
      shape ??= [];
      const dims = reader.message('a shape');
      while (dims.next()) if (dims.field === 1) shape.push(readDim(dims.message('a dimension')));
    }
  }
  return { kind, elementType: elementTypeOf(code), ...(shape && { shape }) };
}

function readDim(reader: FieldReader): Dim {
  let dim: Dim = null;
  while (reader.next()) {
    // Some exporters write a negative size for "free".
    if (reader.field === 1 && reader.wire === Wire.varint)
      dim = reader.value >= 0 ? reader.value : null;
    else if (reader.field === 2) dim = reader.text() || null;
  }
  return dim;
}

function readFunction(reader: FieldReader, context: Context): FunctionRecord {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const nodes: NodeRecord[] = [];
  const valueInfos: ValueInfo[] = [];
  const opsets = new Map<string, number>();
  const defaults = new Map<string, Attribute>();
  let name = '';
  let domain = '';
  let overload = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.name();
        break;
      case 4:
        inputs.push(reader.name());
        break;
      case 5:
        outputs.push(reader.name());
        break;
      case 7:
        nodes.push(readNode(reader.message('a node'), reader.span, deeper(context, reader)));
        break;
      case 9:
        readOpset(reader.message('an opset import'), opsets);
        break;
      case 10:
        domain = canonicalDomain(reader.name());
        break;
      case 12:
        valueInfos.push(readValueInfo(reader.message('a value'), reader.span, context));
        break;
      case 11: {
        const attribute = readAttribute(reader.message('an attribute'), reader.span, context);
        defaults.set(attribute.name, attribute);
        break;
      }
      case 13:
        overload = reader.name();
        break;
    }
  }
  return { name, domain, overload, opsets, inputs, outputs, defaults, nodes, valueInfos };
}
