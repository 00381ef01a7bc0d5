/**
 * The model as passes see it: nodes and values with producers and consumers in O(1), and the few edits that passes may
 * make. Nodes are immutable; an edit puts a new one in place of the old. `fork` shares everything until either side is
 * edited, so a preview of a large model is cheap. Invariant: the index always agrees with the nodes.
 */
import { WhittleError } from '../errors';
import type {
  Attribute,
  AttributeValue,
  GraphRecord,
  Model,
  NodeRecord,
  Shape,
  Tensor,
  ValueInfo,
} from '../onnx/model';
import { packInt64 } from '../onnx/tensor';
import { linksOf, type Links } from './links';
import { freshName, scopeOf, uniqueIds } from './names';
import { sameNames, sameNode, sameTensor } from './same';

/** A node of the graph, in place of the NodeProto it stands for. */
export interface Node extends NodeRecord {
  /** Unique in the graph, and stable: the node's own name where it has one. */
  readonly id: string;
  /** The node of the original model that this one is, replaces or serves. */
  readonly origin: string;
  /** Path of the scope in the model's code, the empty string for the root. */
  readonly scope: string;
  /** Put in by a pass. */
  readonly inserted: boolean;
  /** The target that this node was assigned to; undefined: the one being estimated. */
  readonly assigned?: string;
}

export interface NewNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly domain?: string;
  /** A name to start from; made unique. Default: after the first output. */
  readonly name?: string;
}

type NodeChange = Partial<
  Pick<
    Node,
    'op' | 'domain' | 'inputs' | 'outputs' | 'attributes' | 'name' | 'metadata' | 'assigned'
  >
>;

const NONE: readonly string[] = [];

/** What an edit copies by itself. */
type Part = 'nodes' | 'links' | 'initializers' | 'valueInfos';
const PARTS: ReadonlySet<Part> = new Set(['nodes', 'links', 'initializers', 'valueInfos']);

export class Graph {
  readonly #model: Model;
  #nodes = new Map<string, Node>();
  #producers = new Map<string, string>();
  /** Of values that several nodes make, against the rules: the others, which take over when the producer goes. */
  #rivals = new Map<string, readonly string[]>();
  #consumers = new Map<string, readonly string[]>();
  #initializers = new Map<string, Tensor>();
  #valueInfos = new Map<string, ValueInfo>();
  #inputs: readonly ValueInfo[] = [];
  #outputs: readonly ValueInfo[] = [];
  #opsets: ReadonlyMap<string, number> = new Map();
  #order: readonly Node[] | undefined;
  /** What happened to the nodes since they were put in order: `replaced` ones stand where the old ones stood. */
  #sinceOrder: 'nothing' | 'replaced' | 'moved' = 'nothing';
  /** Undefined since a node reads or gives other values, or there are other outputs. */
  #links: Links | undefined;
  #edited = false;
  /** Maps that are those of a fork too, and have to be copied before they change. */
  #shared: ReadonlySet<Part> = new Set();

  private constructor(from: Model | Graph) {
    if (from instanceof Graph) {
      this.#model = from.#model;
      this.become(from);
      return;
    }
    const { graph } = from;
    this.#model = from;
    this.#initializers = new Map(graph.initializers.map((t) => [t.name, t]));
    this.#valueInfos = new Map(graph.valueInfos.map((v) => [v.name, v]));
    this.#inputs = graph.inputs.filter((input) => !this.#initializers.has(input.name));
    this.#outputs = graph.outputs;
    this.#opsets = from.opsets;
    const ids = uniqueIds(graph.nodes);
    const consumers = new Map<string, string[]>();
    graph.nodes.forEach((record, i) => {
      const id = ids[i]!;
      const node = readNode(record, id);
      this.#nodes.set(id, node);
      this.#linkOutputs(node);
      for (const value of reads(node)) {
        const readers = consumers.get(value);
        if (readers) readers.push(id);
        else consumers.set(value, [id]);
      }
    });
    this.#consumers = consumers;
  }

  static of(model: Model): Graph {
    return new Graph(model);
  }

  /** An independent copy; edits of either leave the other alone. */
  fork(): Graph {
    return new Graph(this);
  }

  /** Takes over what another version of the same model is, so that edits are tried on a fork first. */
  become(other: Graph): void {
    this.#nodes = other.#nodes;
    this.#producers = other.#producers;
    this.#rivals = other.#rivals;
    this.#consumers = other.#consumers;
    this.#initializers = other.#initializers;
    this.#valueInfos = other.#valueInfos;
    this.#inputs = other.#inputs;
    this.#outputs = other.#outputs;
    this.#opsets = other.#opsets;
    this.#order = other.#order;
    this.#sinceOrder = other.#sinceOrder;
    this.#links = other.#links;
    this.#edited = other.#edited;
    this.#shared = PARTS;
    other.#shared = PARTS;
  }

  // ---- reading

  get model(): Model {
    return this.#model;
  }
  /** Inputs that a caller feeds; inputs with a default (an initializer of the same name) are constants here. */
  get inputs(): readonly ValueInfo[] {
    return this.#inputs;
  }
  get outputs(): readonly ValueInfo[] {
    return this.#outputs;
  }
  get opsets(): ReadonlyMap<string, number> {
    return this.#opsets;
  }
  get opset(): number {
    return this.#opsets.get('') ?? 1;
  }
  get size(): number {
    return this.#nodes.size;
  }
  /** Whether anything was edited since the file was read. */
  get edited(): boolean {
    return this.#edited;
  }
  node(id: string): Node | undefined {
    return this.#nodes.get(id);
  }
  /** The node that produces a value; undefined for inputs, constants and values that nothing produces. */
  producer(value: string): Node | undefined {
    const id = this.#producers.get(value);
    return id === undefined ? undefined : this.#nodes.get(id);
  }
  /** Nodes that read a value, those that capture it in a subgraph included. */
  consumers(value: string): readonly Node[] {
    return (this.#consumers.get(value) ?? NONE).map((id) => this.#nodes.get(id)!);
  }
  /** Whether a node reads a value. */
  isRead(value: string): boolean {
    return this.#consumers.has(value);
  }
  /** The node that reads a value where it is the only one. */
  onlyConsumer(value: string): Node | undefined {
    const ids = this.#consumers.get(value);
    return ids?.length === 1 ? this.#nodes.get(ids[0]!) : undefined;
  }
  initializer(name: string): Tensor | undefined {
    return this.#initializers.get(name);
  }
  get initializers(): ReadonlyMap<string, Tensor> {
    return this.#initializers;
  }
  valueInfo(name: string): ValueInfo | undefined {
    return this.#valueInfos.get(name);
  }
  isOutput(value: string): boolean {
    return this.#outputs.some((output) => output.name === value);
  }
  /** The tensor of a value that never changes: an initializer, or the output of a Constant node. */
  constant(value: string): Tensor | undefined {
    const initializer = this.#initializers.get(value);
    if (initializer) return initializer;
    const producer = this.producer(value);
    return producer?.op === 'Constant' ? constantTensor(producer) : undefined;
  }

  /**
   * Nodes with every producer before its consumers; otherwise in the order of the file, and inserted ones where they are
   * first needed. A cycle is left where it is: `cycle` names it.
   */
  get order(): readonly Node[] {
    if (!this.#order || this.#sinceOrder === 'moved') this.#order = this.#sort().order;
    else if (this.#sinceOrder === 'replaced')
      this.#order = this.#order.map(({ id }) => this.#nodes.get(id)!);
    this.#sinceOrder = 'nothing';
    return this.#order;
  }
  /** What the nodes of `order` read and give, by number; inputs and outputs of the graph have numbers too. */
  get links(): Links {
    const nodes = this.order;
    return (this.#links ??= linksOf(
      nodes,
      captures,
      [...this.#inputs, ...this.#outputs].map(({ name }) => name),
    ));
  }
  /** A node on a cycle, or undefined when there is none. */
  get cycle(): Node | undefined {
    return this.#sort().cycle;
  }

  #sort(): { order: Node[]; cycle: Node | undefined } {
    const order: Node[] = [];
    const state = new Map<string, 'open' | 'done'>();
    let cycle: Node | undefined;
    for (const start of this.#nodes.values()) {
      if (state.has(start.id)) continue;
      const stack: { node: Node; needs: readonly string[]; next: number }[] = [];
      const open = (node: Node) => {
        state.set(node.id, 'open');
        const captured = captures(node);
        const needs = captured.length > 0 ? [...node.inputs, ...captured] : node.inputs;
        stack.push({ node, needs, next: 0 });
      };
      open(start);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        if (top.next === top.needs.length) {
          state.set(top.node.id, 'done');
          order.push(top.node);
          stack.pop();
          continue;
        }
        const producer = this.producer(top.needs[top.next++]!);
        if (!producer) continue;
        const seen = state.get(producer.id);
        if (seen === undefined) open(producer);
        else if (seen === 'open') cycle ??= producer;
      }
    }
    return { order, cycle };
  }

  // ---- editing

  /** Adds a node that serves `near`, sharing its scope and origin. */
  insert(spec: NewNode, near: Node): Node {
    const base = spec.name ?? `${spec.outputs[0]}/${spec.op}`;
    const id = freshName(base, (name) => this.#nodes.has(name));
    const attributes = new Map(
      Object.entries(spec.attributes ?? {}).map(([name, value]) => [name, { name, value }]),
    );
    const node: Node = {
      id,
      name: id,
      op: spec.op,
      domain: spec.domain ?? '',
      overload: '',
      inputs: spec.inputs,
      outputs: spec.outputs,
      attributes,
      metadata: new Map(),
      carried: [],
      origin: near.origin,
      scope: near.scope,
      inserted: true,
    };
    for (const output of node.outputs)
      if (output && this.isDefined(output)) throw new Error(`${output} is made by something else`);
    this.#edited = true;
    this.#moved();
    this.#add(node);
    return node;
  }

  /** Takes a node out. Its outputs must not be needed any more, or be produced by another edit before the graph is used. */
  remove(id: string): void {
    const node = this.#known(id);
    this.#edited = true;
    this.#moved();
    this.#drop(node);
  }

  /** Puts a changed node in place of one. */
  replace(id: string, change: NodeChange): Node {
    const old = this.#known(id);
    const { span: _, ...kept } = old;
    const onlyAssigned = Object.keys(change).every((key) => key === 'assigned');
    const node: Node = onlyAssigned ? { ...old, ...change } : { ...kept, ...change };
    const linkedAlike = sameNames(old.outputs, node.outputs) && sameNames(reads(old), reads(node));
    if (!linkedAlike) this.#moved();
    else if (this.#sinceOrder === 'nothing') this.#sinceOrder = 'replaced';
    if (!sameNames(old.inputs, node.inputs)) this.#links = undefined;
    this.#own('nodes');
    if (!onlyAssigned) this.#edited = true;
    if (!linkedAlike) this.#unlink(old);
    this.#nodes.set(id, node);
    if (!linkedAlike) this.#link(node);
    return node;
  }

  setAttribute(id: string, name: string, value: AttributeValue): Node {
    const attributes = new Map(this.#known(id).attributes);
    attributes.set(name, { name, value });
    return this.replace(id, { attributes });
  }

  setInput(id: string, index: number, value: string): Node {
    const node = this.#known(id);
    return this.replace(id, { inputs: node.inputs.map((old, i) => (i === index ? value : old)) });
  }

  /**
   * Makes the readers of `from` read `to` instead; `only` narrows which. Graph outputs keep their names: where `from` is
   * one, give its name to the new producer with `renameOutput`.
   */
  rewire(from: string, to: string, only: (reader: Node) => boolean = () => true): void {
    for (const reader of this.consumers(from)) {
      if (!only(reader)) continue;
      this.replace(reader.id, {
        inputs: reader.inputs.map((input) => (input === from ? to : input)),
        attributes: renameCaptures(reader, from, to),
      });
    }
  }

  /** Gives one output of a node another name; readers are not moved. */
  renameOutput(id: string, from: string, to: string): Node {
    const node = this.#known(id);
    return this.replace(id, { outputs: node.outputs.map((o) => (o === from ? to : o)) });
  }

  setInitializer(tensor: Tensor): void {
    this.#edited = true;
    this.#own('initializers');
    this.#initializers.set(tensor.name, tensor);
  }

  /** Gives a constant other contents, wherever it is kept. */
  setConstant(value: string, tensor: Tensor): void {
    const producer = this.producer(value);
    if (producer?.op !== 'Constant') {
      const { span: _, ...renamed } = { ...tensor, name: value };
      this.setInitializer(tensor.name === value ? tensor : renamed);
      return;
    }
    const attribute = { name: 'value', value: { kind: 'tensor', value: tensor } } as const;
    this.replace(producer.id, { attributes: new Map([['value', attribute]]) });
  }

  /** Removes constants that nothing reads any more, of those that were read before. */
  removeUnused(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#consumers.get(name)?.length || this.isOutput(name)) continue;
      if (this.#initializers.has(name)) {
        this.#edited = true;
        this.#own('initializers');
        this.#initializers.delete(name);
      }
      const producer = this.producer(name);
      if (producer?.op === 'Constant') this.remove(producer.id);
    }
  }

  setOutputs(outputs: readonly ValueInfo[]): void {
    this.#edited = true;
    this.#links = undefined;
    this.#outputs = outputs;
  }

  /** Says what a value is, where its operator leaves that open. */
  declare(info: ValueInfo): void {
    this.#edited = true;
    this.#own('valueInfos');
    this.#valueInfos.set(info.name, info);
  }

  /** Forgets what the file said about values that edits may have changed. */
  dropValueInfos(keep: (info: ValueInfo) => boolean): void {
    this.#own('valueInfos');
    for (const info of [...this.#valueInfos.values()])
      if (!keep(info)) this.#valueInfos.delete(info.name);
  }

  /** Raises the version of an operator set, or imports one. */
  requireOpset(domain: string, version: number): void {
    if ((this.#opsets.get(domain) ?? 0) >= version) return;
    this.#edited = true;
    this.#opsets = new Map([...this.#opsets, [domain, version]]);
  }

  /** A value name that is free, made from `base`. */
  freshValue(base: string): string {
    return freshName(base, (name) => this.hasValue(name));
  }

  /** Whether a value is known by this name, be it only that something reads it. */
  hasValue(name: string): boolean {
    return this.isDefined(name) || this.#consumers.has(name);
  }

  /** Whether a value is made by a node, or is an input or a constant. */
  isDefined(name: string): boolean {
    return (
      this.#producers.has(name) ||
      this.#initializers.has(name) ||
      this.#inputs.some((input) => input.name === name)
    );
  }

  /**
   * Takes the objects of an earlier version over that say the same as those here, as far as both changed them from what
   * they were `before`: what is compared by identity then differs only where an edit came out differently.
   */
  settle(earlier: Graph, before: Graph): void {
    let order = this.order;
    const known = order.map((node) => {
      const other = earlier.#nodes.get(node.id);
      if (!other || other === node || node === before.#nodes.get(node.id)) return node;
      return sameNode(other, node) ? other : node;
    });
    if (known.some((node, i) => node !== order[i])) {
      this.#own('nodes');
      for (const node of known) this.#nodes.set(node.id, node);
      this.#order = order = known;
    }
    for (const [name, tensor] of this.#initializers) {
      const other = earlier.#initializers.get(name);
      if (!other || other === tensor || tensor === before.#initializers.get(name)) continue;
      if (!sameTensor(other, tensor)) continue;
      this.#own('initializers');
      this.#initializers.set(name, other);
    }
    const others = earlier.order;
    if (order.length !== others.length || !sameEnds(this, earlier)) return;
    if (order.every((node, i) => node === others[i])) this.#order = others;
    else if (!order.every((node, i) => isLinkedAlike(node, others[i]!))) return;
    this.#links ??= earlier.links;
  }

  /** The graph as a record to write. */
  toRecord(): GraphRecord {
    const { graph } = this.#model;
    if (!this.#edited) return graph;
    const defaults = graph.inputs.flatMap((input) => {
      const tensor = this.#initializers.get(input.name);
      return tensor && !this.#inputs.includes(input) ? [declaredAs(input, tensor)] : [];
    });
    return {
      name: graph.name,
      nodes: this.order,
      initializers: [...this.#initializers.values()],
      inputs: [...this.#inputs, ...defaults],
      outputs: this.#outputs,
      valueInfos: [...this.#valueInfos.values()],
      carried: graph.carried,
    };
  }

  #known(id: string): Node {
    const node = this.#nodes.get(id);
    if (!node) throw new WhittleError(`there is no node ${id}`);
    return node;
  }
  #moved(): void {
    this.#sinceOrder = 'moved';
    this.#links = undefined;
  }
  #own(part: Part): void {
    if (!this.#shared.has(part)) return;
    this.#shared = new Set([...this.#shared].filter((other) => other !== part));
    switch (part) {
      case 'nodes':
        this.#nodes = new Map(this.#nodes);
        break;
      case 'links':
        this.#producers = new Map(this.#producers);
        this.#rivals = new Map(this.#rivals);
        this.#consumers = new Map(this.#consumers);
        break;
      case 'initializers':
        this.#initializers = new Map(this.#initializers);
        break;
      case 'valueInfos':
        this.#valueInfos = new Map(this.#valueInfos);
    }
  }
  #add(node: Node): void {
    this.#own('nodes');
    this.#nodes.set(node.id, node);
    this.#link(node);
  }
  #drop(node: Node): void {
    this.#unlink(node);
    this.#own('nodes');
    this.#nodes.delete(node.id);
  }
  #link(node: Node): void {
    this.#own('links');
    this.#linkOutputs(node);
    for (const value of reads(node))
      this.#consumers.set(value, [...(this.#consumers.get(value) ?? NONE), node.id]);
  }
  /** A value with two producers is an error of the model; the first one counts. */
  #linkOutputs(node: Node): void {
    for (const output of node.outputs) {
      if (!output) continue;
      const producer = this.#producers.get(output);
      if (producer === undefined) this.#producers.set(output, node.id);
      else if (producer !== node.id)
        this.#setRivals(output, [...(this.#rivals.get(output) ?? NONE), node.id]);
    }
  }
  #unlinkOutputs(node: Node): void {
    for (const output of node.outputs) {
      const rivals = (this.#rivals.get(output) ?? NONE).filter((id) => id !== node.id);
      if (this.#producers.get(output) === node.id) {
        const [next, ...rest] = rivals;
        if (next === undefined) this.#producers.delete(output);
        else this.#producers.set(output, next);
        this.#setRivals(output, rest);
      } else this.#setRivals(output, rivals);
    }
  }
  #setRivals(value: string, rivals: readonly string[]): void {
    if (rivals.length > 0) this.#rivals.set(value, [...new Set(rivals)]);
    else this.#rivals.delete(value);
  }
  #unlink(node: Node): void {
    this.#own('links');
    this.#unlinkOutputs(node);
    for (const value of reads(node)) {
      const readers = (this.#consumers.get(value) ?? NONE).filter((id) => id !== node.id);
      if (readers.length) this.#consumers.set(value, readers);
      else this.#consumers.delete(value);
    }
  }
}

/** A node of the file. Field by field: spreading would cost more than all else that is done for it. */
const readNode = (record: NodeRecord, id: string): Node => ({
  name: record.name,
  op: record.op,
  domain: record.domain,
  overload: record.overload,
  inputs: record.inputs,
  outputs: record.outputs,
  attributes: record.attributes,
  metadata: record.metadata,
  span: record.span,
  carried: record.carried,
  id,
  origin: id,
  scope: scopeOf(record),
  inserted: false,
});

/** An input with a default, as the default now is: an edit may have cut or quantised it. */
function declaredAs(input: ValueInfo, { elementType, dims }: Tensor): ValueInfo {
  const { name, type } = input;
  const isSo =
    type.kind === 'tensor' &&
    type.elementType === elementType &&
    (!type.shape || sameSizes(type.shape, dims));
  return isSo ? input : { name, type: { kind: 'tensor', elementType, shape: dims } };
}

const sameSizes = (shape: Shape, dims: readonly number[]): boolean =>
  shape.length === dims.length &&
  shape.every((dim, i) => typeof dim !== 'number' || dim === dims[i]);

/** Whether two versions take and give the same. */
const sameEnds = (a: Graph, b: Graph): boolean =>
  sameNames(namesOf(a.inputs), namesOf(b.inputs)) &&
  sameNames(namesOf(a.outputs), namesOf(b.outputs));

const namesOf = (values: readonly ValueInfo[]): string[] => values.map(({ name }) => name);

const isLinkedAlike = (a: Node, b: Node): boolean =>
  a === b ||
  (sameNames(a.inputs, b.inputs) &&
    sameNames(a.outputs, b.outputs) &&
    sameNames(captures(a), captures(b)));

/** The values that a node reads, each once. */
function reads(node: Node): string[] {
  const values: string[] = [];
  for (const value of node.inputs) if (value !== '' && !values.includes(value)) values.push(value);
  const captured = captures(node);
  return captured.length > 0 ? [...new Set([...values, ...captured])] : values;
}

/** The tensor that a Constant node holds, whichever of its attributes gives it. */
export function constantTensor(node: NodeRecord): Tensor | undefined {
  for (const { name, value } of node.attributes.values()) {
    if ((name === 'value' || name === 'sparse_value') && value.kind === 'tensor')
      return value.value;
    const made = numberConstant(name, value);
    if (made) return made;
  }
  return undefined;
}

function numberConstant(name: string, value: AttributeValue): Tensor | undefined {
  const make = (
    elementType: 'float32' | 'int64',
    values: readonly number[],
    dims: number[],
  ): Tensor => {
    const bytes =
      elementType === 'float32'
        ? new Uint8Array(Float32Array.from(values).buffer)
        : packInt64(values);
    return { name: '', elementType, dims, data: { kind: 'memory', bytes } };
  };
  if (name === 'value_float' && value.kind === 'float') return make('float32', [value.value], []);
  if (name === 'value_int' && value.kind === 'int') return make('int64', [value.value], []);
  if (name === 'value_floats' && value.kind === 'floats')
    return make('float32', value.value, [value.value.length]);
  if (name === 'value_ints' && value.kind === 'ints')
    return make('int64', value.value, [value.value.length]);
  return undefined;
}

const NO_BODIES: readonly GraphRecord[] = [];

/** Subgraphs of a node: the bodies of If, Loop and Scan. */
export function subgraphs(node: NodeRecord): readonly GraphRecord[] {
  if (node.attributes.size === 0) return NO_BODIES;
  let out: GraphRecord[] | undefined;
  for (const { value } of node.attributes.values()) {
    if (value.kind === 'graph') (out ??= []).push(value.value);
    else if (value.kind === 'graphs') (out ??= []).push(...value.value);
  }
  return out ?? NO_BODIES;
}

const captureCache = new WeakMap<GraphRecord, readonly string[]>();

/** Values of the surrounding graph that a node's subgraphs read. */
export function captures(node: NodeRecord): readonly string[] {
  let out: string[] | undefined;
  for (const body of subgraphs(node)) (out ??= []).push(...freeValues(body));
  return out ?? NONE;
}

function freeValues(body: GraphRecord): readonly string[] {
  let free = captureCache.get(body);
  if (!free) {
    const own = new Set([
      ...body.inputs.map((v) => v.name),
      ...body.initializers.map((t) => t.name),
      ...body.nodes.flatMap((n) => n.outputs),
    ]);
    const read = body.nodes.flatMap((n) => [...n.inputs, ...captures(n)]);
    for (const output of body.outputs) read.push(output.name);
    free = [...new Set(read)].filter((name) => name !== '' && !own.has(name));
    captureCache.set(body, free);
  }
  return free;
}

/** A node's attributes with a captured value renamed inside its subgraphs. */
function renameCaptures(node: Node, from: string, to: string): ReadonlyMap<string, Attribute> {
  if (!captures(node).includes(from)) return node.attributes;
  const out = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const { value } = attribute;
    if (value.kind === 'graph')
      out.set(name, { name, value: { kind: 'graph', value: renameIn(value.value, from, to) } });
    else if (value.kind === 'graphs')
      out.set(name, {
        name,
        value: { kind: 'graphs', value: value.value.map((g) => renameIn(g, from, to)) },
      });
    else out.set(name, attribute);
  }
  return out;
}

function renameIn(body: GraphRecord, from: string, to: string): GraphRecord {
  if (!freeValues(body).includes(from)) return body;
  const { span: _, ...kept } = body;
  const nodes = body.nodes.map((node) => {
    const inner = subgraphs(node).some((g) => freeValues(g).includes(from));
    if (!node.inputs.includes(from) && !inner) return node;
    const { span: __, ...rest } = node;
    const inputs = node.inputs.map((input) => (input === from ? to : input));
    return { ...rest, inputs, attributes: renameCaptures(node as Node, from, to) };
  });
  const outputs = body.outputs.map((output) =>
    output.name === from ? { name: to, type: output.type } : output,
  );
  return { ...kept, nodes, outputs };
}

// ---- attributes, by type and with a default

export function intAttribute(node: NodeRecord, name: string, otherwise: number): number;
export function intAttribute(node: NodeRecord, name: string): number | undefined;
export function intAttribute(
  node: NodeRecord,
  name: string,
  otherwise?: number,
): number | undefined {
  const value = node.attributes.get(name)?.value;
  return value?.kind === 'int' ? value.value : otherwise;
}

export function intsAttribute(node: NodeRecord, name: string): readonly number[] | undefined {
  const value = node.attributes.get(name)?.value;
  return value?.kind === 'ints' ? value.value : undefined;
}

export function floatAttribute(node: NodeRecord, name: string, otherwise: number): number {
  const value = node.attributes.get(name)?.value;
  return value?.kind === 'float' ? value.value : otherwise;
}

export function stringAttribute(node: NodeRecord, name: string, otherwise: string): string {
  const value = node.attributes.get(name)?.value;
  return value?.kind === 'string' ? value.value : otherwise;
}

export function graphAttribute(node: NodeRecord, name: string): GraphRecord | undefined {
  const value = node.attributes.get(name)?.value;
  return value?.kind === 'graph' ? value.value : undefined;
}
