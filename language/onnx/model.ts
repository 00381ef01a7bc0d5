/**
 * An ONNX file in memory: structure only. Records are immutable; a record that still has its `span` is exactly what the
 * file holds and is written back by copying, so nothing that this version does not understand is ever lost.
 */
import type { ElementType } from './schema';
import type { Span } from './source';

/** A dimension: a size, a symbol, or nothing known. */
export type Dim = number | string | null;
export type Shape = readonly Dim[];

export type ValueType =
  | { readonly kind: 'tensor'; readonly elementType: ElementType; readonly shape?: Shape }
  | { readonly kind: 'sparse'; readonly elementType: ElementType; readonly shape?: Shape }
  | { readonly kind: 'sequence' | 'optional'; readonly element?: ValueType }
  | { readonly kind: 'map'; readonly keyType: ElementType; readonly value?: ValueType }
  | { readonly kind: 'unknown' };

/** A declared value: graph input, output or value_info. */
export interface ValueInfo {
  readonly name: string;
  readonly type: ValueType;
  readonly span?: Span;
}

/** Where the elements of a tensor are. */
export type TensorData =
  /** Packed little-endian elements, as raw_data. */
  | { readonly kind: 'raw'; readonly span: Span }
  /** float_data, int32_data, …: the fields as they stand in the file, decoded when asked for. */
  | { readonly kind: 'typed'; readonly field: number; readonly message: Span }
  | { readonly kind: 'external'; readonly location: ExternalLocation }
  /** Of a SparseTensorProto: the elements that are not zero, and where they are (linear, or a row for each). */
  | {
      readonly kind: 'sparse';
      readonly message: Span;
      readonly values: Tensor;
      readonly indices: Tensor;
    }
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  /** Bytes that are computed when the model is written; a preview never asks for them. */
  | { readonly kind: 'computed'; readonly compute: () => Uint8Array };

export interface ExternalLocation {
  /** The folder of the model that names it. */
  readonly folder: string;
  readonly location: string;
  readonly offset: number;
  /** Undefined: up to the end of the file. */
  readonly length: number | undefined;
}

/** How many of a tensor's elements are not zero; `estimated` while a decision that fixes it is not yet taken. */
export interface Density {
  readonly nonzeros: number;
  readonly estimated: boolean;
}

/** A tensor: its type, shape and where its elements are. */
export interface Tensor {
  readonly name: string;
  readonly elementType: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
  /** The TensorProto as it stands in the file. */
  readonly span?: Span;
  /** For a computed tensor: its non-zero elements, found without its bytes where possible. */
  readonly density?: () => Density;
}

export type AttributeValue =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: GraphRecord }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly GraphRecord[] }
  /** In a function body: the attribute of the calling node that stands here. */
  | { readonly kind: 'reference'; readonly value: string }
  /** Types and whatever came later: carried as it is. */
  | { readonly kind: 'opaque' };

export interface Attribute {
  readonly name: string;
  readonly value: AttributeValue;
  readonly span?: Span;
}

/** A NodeProto. */
export interface NodeRecord {
  /** As in the file: may be empty, may be shared. */
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The NodeProto as it stands in the file; absent once anything was changed. */
  readonly span?: Span | undefined;
  /** Fields carried over when the node is written anew: doc string, whatever is not modelled. */
  readonly carried: readonly Span[];
}

/** A GraphProto. */
export interface GraphRecord {
  readonly name: string;
  readonly nodes: readonly NodeRecord[];
  readonly initializers: readonly Tensor[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfos: readonly ValueInfo[];
  readonly span?: Span;
  /** Every other field: doc string, quantisation annotations, metadata, unknown ones. */
  readonly carried: readonly Span[];
}

/** A FunctionProto: an operator defined by the model itself. Functions are read, never rewritten. */
export interface FunctionRecord {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  /** What its nodes are of, which may be older than the operator sets of the model. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly defaults: ReadonlyMap<string, Attribute>;
  readonly nodes: readonly NodeRecord[];
  readonly valueInfos: readonly ValueInfo[];
}

/** A ModelProto. */
export interface Model {
  /** The file it was read from; undefined for a model made in memory. */
  readonly path: string | undefined;
  readonly irVersion: number;
  readonly producer: string;
  /** Operator set version by canonical domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: readonly FunctionRecord[];
  readonly graph: GraphRecord;
  readonly span: Span;
  /** Every field but the graph, in file order. */
  readonly carried: readonly Span[];
}
