/**
 * Which nodes a target runs as one kernel. What it fuses is data of its profile: operators that a convolution or product
 * takes along (batch normalisation, bias, activation), and the quantised form, in which DequantizeLinear inputs and a
 * QuantizeLinear output belong to an integer kernel. Only values that nobody else reads disappear into a kernel.
 */
import { fixedShape } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { LEFT_OUT, type Links } from '../graph/links';
import { polishedBefore, unpolishedFrom, type Transform } from '../graph/match/lognp';
import { sameTypeAndShape } from '../graph/shapes/values';
import type { ElementType } from '../onnx/schema';
import { valueBytes } from './constants';
import { FREE, isCode, sum } from './measure';
import type { Workload, WorkloadKind } from './workload';
import type { Workloads } from './workloads';

/** Beside operators: the addition of a constant, and x · gate(x) however it is written. */
export const FUSED_FORMS = ['bias', 'SiLU', 'HardSwish'] as const;

export interface FusionRules {
  /** What a convolution or a product takes along: names of operators or FUSED_FORMS. */
  readonly afterProducts: readonly string[];
  /** What other arithmetic takes along: an addition, a normalisation, a pooling. */
  readonly afterOthers: readonly string[];
  /** Kinds of layers that have an integer kernel. */
  readonly integer: readonly WorkloadKind[];
  /** Whether views and the computation of shapes are kernels as well: they do nothing, and are started. */
  readonly views?: boolean | undefined;
  /** Transforms that integer kernels undo as they read codes, and do before they write them. */
  readonly codecs?: readonly 'LogNP'[] | undefined;
}

export interface Kernel {
  /** The layer that carries the cost. */
  readonly main: Node;
  readonly absorbed: readonly Node[];
  /** Of all its nodes in the order of the graph, the main one first. */
  readonly places: readonly number[];
  /** What the kernel does as a whole: its own traffic, not that between its nodes. */
  readonly workload: Workload;
}

/** Groups the nodes that `only` picks, in graph order of their main nodes; every node is in exactly one kernel. */
export function kernels(
  graph: Graph,
  workloads: Workloads,
  rules: FusionRules,
  only: (node: number) => boolean = () => true,
): readonly Kernel[] {
  return new Grouping(graph, workloads, rules, only).kernels;
}

/** Numbers of the values that a graph gives out. */
export function outputsOf(graph: Graph): ReadonlySet<number> {
  return new Set(graph.outputs.map(({ name }) => graph.links.numberOf(name)!));
}

const PRODUCTS: readonly WorkloadKind[] = ['conv', 'matmul'];
const OTHERS: readonly WorkloadKind[] = ['elementwise', 'normalisation', 'pooling', 'reduction'];

/** Which nodes are one kernel, and what the kernels of one state of the graph are. */
export class Grouping {
  readonly kernels: readonly Kernel[];
  readonly #nodes: readonly Node[];
  readonly #links: Links;
  readonly #outputs: ReadonlySet<number>;
  /** By the main node of the kernel that took them. */
  readonly #absorbedBy: (number[] | undefined)[];
  readonly #taken: Uint8Array;
  readonly #integer: Uint8Array;
  /** By node: the index of its kernel; −1: not picked. */
  readonly #kernelOf: Int32Array;
  #fed: Uint8Array | undefined;

  /** @param before of another state, that groups the nodes of this one alike; see `again` */
  constructor(
    private readonly graph: Graph,
    private readonly workloads: Workloads,
    private readonly rules: FusionRules,
    private readonly only: (node: number) => boolean = () => true,
    before?: Grouping,
  ) {
    this.#nodes = workloads.nodes;
    this.#links = workloads.links;
    if (before) {
      this.#outputs = before.#outputs;
      this.#absorbedBy = before.#absorbedBy;
      this.#taken = before.#taken;
      this.#integer = before.#integer;
      this.#fed = before.#fed;
      this.#kernelOf = before.#kernelOf;
      this.kernels = this.#changed(before);
      return;
    }
    this.#outputs = outputsOf(graph);
    const count = workloads.nodes.length;
    this.#absorbedBy = new Array<undefined>(count).fill(undefined);
    this.#taken = new Uint8Array(count);
    this.#integer = new Uint8Array(count);
    const nodes: number[] = [];
    for (let at = 0; at < count; at++) if (only(at)) nodes.push(at);
    for (const at of nodes) if (!this.#taken[at]) this.#group(at);
    for (const at of nodes) {
      this.#absorbDecoding(at);
      this.#absorbDequantize(at);
    }
    this.kernels = nodes.filter((at) => !this.#taken[at]).map((at) => this.#kernel(at));
    this.#kernelOf = new Int32Array(count).fill(-1);
    for (const [index, { places }] of this.kernels.entries())
      for (const at of places) this.#kernelOf[at] = index;
  }

  /**
   * The grouping of another state with the same links, where it cannot differ; undefined where it may. A kernel none of
   * whose nodes changed is the same object.
   */
  again(graph: Graph, workloads: Workloads): Grouping | undefined {
    if (!groupedAlike(this.workloads, workloads)) return undefined;
    return new Grouping(graph, workloads, this.rules, this.only, this);
  }

  #changed(before: Grouping): readonly Kernel[] {
    const { nodes, layers } = before.workloads;
    const kernels = [...before.kernels];
    for (let at = 0; at < nodes.length; at++) {
      if (nodes[at] === this.#nodes[at] && layers[at] === this.workloads.layers[at]) continue;
      const index = this.#kernelOf[at]!;
      if (index !== -1) kernels[index] = this.#kernel(kernels[index]!.places[0]!);
    }
    return kernels;
  }

  #group(main: number): void {
    const { kind } = this.workloads.layers[main]!;
    const chain = this.#epilogue(main, this.#takenAfter(kind));
    const last = chain.at(-1) ?? main;
    const runsOnCodes = kind === 'free' || this.rules.integer.includes(kind);
    const decoded = runsOnCodes && PRODUCTS.includes(kind) ? this.#decoded(main) : undefined;
    const isInteger = runsOnCodes && (decoded !== undefined || this.#readsCodes(main));
    const next = isInteger ? this.#onlyReader(this.#output(last)) : undefined;
    const isPlain = next !== undefined && this.#nodes[next]!.op === 'QuantizeLinear';
    const requantize = isPlain ? [next] : this.#encoded(main, last);
    // Arithmetic without multipliers is done on codes only if codes come out again.
    if (isInteger && (requantize.length > 0 || PRODUCTS.includes(kind))) this.#integer[main] = 1;
    this.#absorb(main, [...chain, ...requantize]);
  }

  #absorb(main: number, nodes: readonly number[]): void {
    if (nodes.length === 0) return;
    this.#absorbedBy[main] = [...(this.#absorbedBy[main] ?? []), ...nodes];
    for (const node of nodes) this.#taken[node] = 1;
  }

  #output(node: number): number {
    return this.#links.writes[node]![0] ?? LEFT_OUT;
  }

  // ---- what follows

  #takenAfter(kind: WorkloadKind): readonly string[] {
    if (PRODUCTS.includes(kind)) return this.rules.afterProducts;
    return OTHERS.includes(kind) ? this.rules.afterOthers : NO_FORMS;
  }

  #epilogue(main: number, forms: readonly string[]): readonly number[] {
    if (forms.length === 0) return NO_NODES;
    const chain: number[] = [];
    for (let value = this.#output(main); value !== LEFT_OUT;) {
      const next = this.#onlyReader(value);
      if (next === undefined) return [...chain, ...(this.#gate(value, forms) ?? NO_NODES)];
      if (!this.#takesAlong(next, forms)) return chain;
      chain.push(next);
      if (!CONTINUING.has(this.#nodes[next]!.op)) return chain;
      value = this.#output(next);
    }
    return chain;
  }

  #takesAlong(at: number, forms: readonly string[]): boolean {
    const { op, domain, outputs } = this.#nodes[at]!;
    if (domain !== '' || outputs.length !== 1) return false;
    if (op !== 'Add' && !forms.includes(op)) return false;
    const given = this.#given(at);
    const others = given.filter((value) => this.workloads.isConstant(value));
    if (op === 'Add')
      return forms.includes('bias') && others.some((value) => this.#isVector(value));
    return others.length === given.length - 1;
  }

  /** The values of a node's inputs that are not left out. */
  #given(at: number): number[] {
    const count = this.#nodes[at]!.inputs.length;
    return this.#links.reads[at]!.filter((value, i) => i < count && value !== LEFT_OUT);
  }

  /** One number per channel, or one for all: at most one axis is not 1. */
  #isVector(value: number): boolean {
    const shape = fixedShape(this.workloads.values[value]!.shape);
    return shape !== undefined && shape.filter((size) => size !== 1).length <= 1;
  }

  /** x · gate(x): the gate's nodes and the product, and the division by a constant that may follow. */
  #gate(value: number, forms: readonly string[]): number[] | undefined {
    const readers = this.#links.readers[value]!;
    if (readers.length !== 2 || this.#outputs.has(value)) return undefined;
    const product = readers.find((at) => this.#nodes[at]!.op === 'Mul');
    const start = readers.find((at) => at !== product);
    if (product === undefined || start === undefined) return undefined;
    const gate = [start];
    for (let next = this.#onlyReader(this.#output(start)); next !== product;) {
      if (next === undefined || gate.length === 3) return undefined;
      gate.push(next);
      next = this.#onlyReader(this.#output(next));
    }
    const form = GATES.get(gate.map((at) => this.#nodes[at]!.op).join(' '));
    if (!form || !forms.includes(form.name)) return undefined;
    const steady = gate.every((at) => this.#isUnary(at));
    const nodes = [...gate, product];
    if (!steady || !nodes.every((at) => this.#isFree(at))) return undefined;
    const scale = form.scaled ? this.#onlyReader(this.#output(product)) : undefined;
    const isScale =
      scale !== undefined && /^(Div|Mul)$/.test(this.#nodes[scale]!.op) && this.#isUnary(scale);
    return isScale ? [...nodes, scale] : nodes;
  }

  /** One activation, the rest constants. */
  #isUnary(at: number): boolean {
    return this.#given(at).filter((value) => !this.workloads.isConstant(value)).length === 1;
  }

  #isFree(at: number): boolean {
    return this.only(at) && !this.#taken[at];
  }

  /** The one node that reads a value, when nothing else needs it. */
  #onlyReader(value: number): number | undefined {
    const readers = this.#links.readers[value]!;
    if (readers.length !== 1 || this.#outputs.has(value)) return undefined;
    const reader = readers[0]!;
    return this.#isFree(reader) ? reader : undefined;
  }

  // ---- the quantised form

  /** The transform between codes and what a product reads, where kernels undo it themselves. */
  #decoded(main: number): Transform | undefined {
    const [value] = this.#nodes[main]!.inputs;
    if (!this.rules.codecs?.includes('LogNP') || value === undefined) return undefined;
    return unpolishedFrom(this.graph, value);
  }

  /**
   * The transform into codes that a layer does as it writes, because nothing else reads its result; or, of the first node of
   * a transform by itself, the rest of it.
   */
  #encoded(main: number, last: number): readonly number[] {
    const value = this.#output(last);
    if (!this.rules.codecs?.includes('LogNP')) return NO_NODES;
    if (value === LEFT_OUT || this.#outputs.has(value)) return NO_NODES;
    const readers = this.#links.readers[value]!;
    for (const start of [main, ...readers]) {
      if (this.#nodes[start]!.op !== 'Mul') continue;
      const quantise = this.#quantiserBehind(start);
      const found =
        quantise === undefined ? undefined : polishedBefore(this.graph, this.#nodes[quantise]!);
      if (quantise === undefined || !found) continue;
      const nodes = [...this.#placesOf(found).filter((at) => at !== main), quantise];
      const whole = start === main || readers.every((at) => nodes.includes(at));
      if (whole && nodes.every((at) => this.#isFree(at))) return nodes;
    }
    return NO_NODES;
  }

  /** Abs, Add, Log and Mul lie between the two. */
  #quantiserBehind(scaled: number): number | undefined {
    let at = scaled;
    for (let step = 0; step < 5; step++) {
      const value = this.#output(at);
      const readers = value === LEFT_OUT ? NO_NODES : this.#links.readers[value]!;
      if (readers.length !== 1 || this.#outputs.has(value)) return undefined;
      at = readers[0]!;
    }
    return this.#nodes[at]!.op === 'QuantizeLinear' ? at : undefined;
  }

  /** Transforms vanish with their DequantizeLinear when integer kernels are all that read them. */
  #absorbDecoding(main: number): void {
    const found = this.#integer[main] ? this.#decoded(main) : undefined;
    if (!found) return;
    const value = this.#links.reads[main]![0]!;
    const linear = this.#placeOf(found.linear);
    if (this.#taken[linear] || this.#outputs.has(value)) return;
    if (this.#links.readers[value]!.every((reader) => this.#integer[reader]))
      this.#absorb(main, [...this.#placesOf(found), linear]);
  }

  #placesOf({ nodes }: Transform): number[] {
    return nodes.map((node) => this.#placeOf(node));
  }

  #placeOf({ outputs }: Node): number {
    return this.#links.makers[this.#links.numberOf(outputs[0]!)!]!;
  }

  /** Whether every activation that a node computes with comes from a DequantizeLinear of codes. */
  #readsCodes(at: number): boolean {
    const { inputType, matmul, conv } = this.workloads.layers[at]!;
    if (matmul ?? conv) return inputType !== undefined && isCode(inputType);
    let any = false;
    for (const value of this.#given(at)) {
      if (this.workloads.isConstant(value)) continue;
      if (this.workloads.codes(value) === undefined) return false;
      any = true;
    }
    return any;
  }

  /** A DequantizeLinear vanishes when integer kernels are all that read it; the first of them takes it. */
  #absorbDequantize(at: number): void {
    if (this.#nodes[at]!.op !== 'DequantizeLinear' || this.#taken[at]) return;
    const value = this.#output(at);
    if (value === LEFT_OUT || this.#outputs.has(value) || this.workloads.isConstant(value)) return;
    const readers = this.#links.readers[value]!;
    const first = readers[0];
    if (first !== undefined && readers.every((reader) => this.#integer[reader]))
      this.#absorb(first, [at]);
  }

  // ---- the kernel as a whole

  #kernel(main: number): Kernel {
    const absorbed = this.#absorbedBy[main] ?? NO_NODES;
    return {
      main: this.#nodes[main]!,
      absorbed: absorbed.map((at) => this.#nodes[at]!),
      places: [main, ...absorbed],
      workload: this.#workload(main, absorbed),
    };
  }

  #workload(main: number, absorbed: readonly number[]): Workload {
    const own = this.workloads.layers[main]!;
    const isInteger = this.#integer[main] === 1;
    if (own.kind === 'free') return this.rules.views && this.#isFed(main) ? STARTED : own;
    if (absorbed.length === 0 && !isInteger) return own;
    // What decodes the input comes before it.
    const last = absorbed.findLast((at) => at > main);
    return fusedWorkload(own, {
      taken: absorbed.map((at) => this.workloads.layers[at]!),
      codes: isInteger ? this.#codeInput(main) : undefined,
      outputBytes: last === undefined ? undefined : this.#bytes(this.#output(last)),
      outputType: last === undefined ? undefined : this.workloads.layers[last]!.outputType,
    });
  }

  /** What an integer kernel reads in place of the dequantised activations. */
  #codeInput(main: number): Codes | undefined {
    const { inputBytes } = this.workloads.layers[main]!;
    const decoded = this.#decoded(main);
    const value = decoded
      ? this.#links.reads[main]![0]
      : this.#given(main).find((input) => this.workloads.codes(input) !== undefined);
    const plain = value === undefined ? undefined : this.workloads.codes(value);
    const codes = decoded ? this.#links.numberOf(decoded.input) : plain;
    if (value === undefined || codes === undefined) return undefined;
    const { type } = this.workloads.values[codes]!;
    const [read, dequantised] = [this.#bytes(codes), this.#bytes(value)];
    if (type.kind !== 'tensor' || inputBytes === null || !read || !dequantised) return undefined;
    return { type: type.elementType, bytes: Math.ceil((inputBytes * read) / dequantised) };
  }

  /** Whether it has to run again for every input. */
  #isFed(at: number): boolean {
    const fed = (this.#fed ??= fedValues(this.graph));
    return this.#links.writes[at]!.some((output) => fed[output]);
  }

  #bytes(value: number): number | null {
    return valueBytes(this.workloads.values[value]!) ?? null;
  }
}

/** Whether all that grouping looks at is the same in two states with the same links. */
function groupedAlike(a: Workloads, b: Workloads): boolean {
  for (let at = 0; at < a.nodes.length; at++) {
    const [node, other] = [a.nodes[at]!, b.nodes[at]!];
    if (node !== other && (node.op !== other.op || node.domain !== other.domain)) return false;
    const [layer, now] = [a.layers[at]!, b.layers[at]!];
    if (layer === now) continue;
    const output = a.links.writes[at]![0] ?? LEFT_OUT;
    if (!alike(layer, now) || a.codes(output) !== b.codes(output)) return false;
  }
  for (let value = 0; value < a.values.length; value++) {
    const isConstant = a.isConstant(value);
    if (isConstant !== b.isConstant(value)) return false;
    const [was, is] = [a.values[value]!, b.values[value]!];
    if (isConstant && was !== is && !sameTypeAndShape(was, is)) return false;
  }
  return true;
}

const alike = (a: Workload, b: Workload): boolean =>
  a.kind === b.kind &&
  a.inputType === b.inputType &&
  (a.conv === undefined) === (b.conv === undefined) &&
  (a.matmul === undefined) === (b.matmul === undefined);

const NO_FORMS: readonly string[] = [];
const NO_NODES: readonly number[] = [];

interface Codes {
  readonly type: ElementType;
  readonly bytes: number;
}

/** What a layer takes along, and what goes in and comes out then. */
interface Fusion {
  readonly taken: readonly Workload[];
  readonly codes: Codes | undefined;
  /** Undefined: the layer's own output. */
  readonly outputBytes: number | null | undefined;
  readonly outputType: ElementType | undefined;
}

const fused = new WeakMap<Workload, { readonly fusion: Fusion; readonly workload: Workload }>();

/** The workload of a layer with what it takes along; the same object while nothing of it has changed. */
function fusedWorkload(own: Workload, fusion: Fusion): Workload {
  const known = fused.get(own);
  if (known && sameFusion(known.fusion, fusion)) return known.workload;
  const { taken, codes, outputBytes, outputType } = fusion;
  const all = [own, ...taken];
  const workload = {
    ...own,
    ops: sum(all.filter((w) => w === own || w.kind !== 'conversion').map(({ ops }) => ops)),
    parameters: all.reduce((total, w) => total + w.parameters, 0),
    weightBytes: all.reduce((total, w) => total + w.weightBytes, 0),
    weightReadBytes: all.reduce((total, w) => total + w.weightReadBytes, 0),
    ...(codes && { inputBytes: codes.bytes, inputType: codes.type }),
    ...(outputBytes !== undefined && { outputBytes, outputType }),
  };
  fused.set(own, { fusion, workload });
  return workload;
}

const sameFusion = (a: Fusion, b: Fusion): boolean =>
  a.taken.length === b.taken.length &&
  a.taken.every((workload, i) => workload === b.taken[i]) &&
  a.codes?.type === b.codes?.type &&
  a.codes?.bytes === b.codes?.bytes &&
  a.outputBytes === b.outputBytes &&
  a.outputType === b.outputType;

/** Nothing but the start of a kernel. */
const STARTED: Workload = { ...FREE.workload, kind: 'movement', inputBytes: 0, outputBytes: 0 };

/** Marks the values that the inputs decide. Where every size is declared, those of activations are known before. */
function fedValues({ inputs, order, links }: Graph): Uint8Array {
  const isFixed = inputs.every(
    ({ type }) =>
      type.kind === 'tensor' && type.shape?.every((size) => typeof size === 'number') === true,
  );
  const fed = new Uint8Array(links.names.length);
  for (const { name } of inputs) fed[links.numberOf(name)!] = 1;
  order.forEach(({ op, inputs: { length: count } }, at) => {
    const isSize = op === 'Shape' || op === 'Size';
    if (isFixed && isSize) return;
    if (links.reads[at]!.some((value, i) => i < count && fed[value]))
      for (const output of links.writes[at]!) if (output !== LEFT_OUT) fed[output] = 1;
  });
  return fed;
}

/** After these a kernel may go on; an activation ends it. */
const CONTINUING = new Set(['BatchNormalization', 'Add']);

/** Gates by the operators between x and the product; a hard gate may leave its division for later. */
const GATES = new Map([
  ['Sigmoid', { name: 'SiLU', scaled: false }],
  ['HardSigmoid', { name: 'HardSwish', scaled: false }],
  ['Add Clip', { name: 'HardSwish', scaled: true }],
  ['Add Clip Div', { name: 'HardSwish', scaled: false }],
  ['Add Clip Mul', { name: 'HardSwish', scaled: false }],
]);
