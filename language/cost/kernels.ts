/**
 * Which nodes a target runs as one kernel. What it fuses is data of its profile: operators that a convolution or product
 * takes along (batch normalisation, bias, activation), and the quantised form, in which DequantizeLinear inputs and a
 * QuantizeLinear output belong to an integer kernel. Only values that nobody else reads disappear into a kernel.
 */
import { fixedShape } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { polishedBefore, unpolishedFrom, type Transform } from '../graph/match/lognp';
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
  /** What the kernel does as a whole: its own traffic, not that between its nodes. */
  readonly workload: Workload;
}

/** Groups the nodes that `only` picks, in graph order of their main nodes; every node is in exactly one kernel. */
export function kernels(
  graph: Graph,
  workloads: Workloads,
  rules: FusionRules,
  only: (node: Node) => boolean = () => true,
): Kernel[] {
  return new Grouping(graph, workloads, rules, only).kernels();
}

const NO_NODES: readonly Node[] = [];
const PRODUCTS: readonly WorkloadKind[] = ['conv', 'matmul'];
const OTHERS: readonly WorkloadKind[] = ['elementwise', 'normalisation', 'pooling', 'reduction'];

class Grouping {
  readonly #outputs: ReadonlySet<string>;
  /** Node ids, by the main node of the kernel that took them. */
  readonly #absorbedBy = new Map<string, Node[]>();
  readonly #taken = new Set<string>();
  readonly #integer = new Set<string>();
  #fed: ReadonlySet<string> | undefined;

  constructor(
    private readonly graph: Graph,
    private readonly workloads: Workloads,
    private readonly rules: FusionRules,
    private readonly only: (node: Node) => boolean,
  ) {
    this.#outputs = new Set(graph.outputs.map((output) => output.name));
  }

  kernels(): Kernel[] {
    const nodes = this.graph.order.filter((node) => this.only(node));
    for (const node of nodes) if (!this.#taken.has(node.id)) this.#group(node);
    for (const node of nodes) {
      this.#absorbDecoding(node);
      this.#absorbDequantize(node);
    }
    return nodes.filter((node) => !this.#taken.has(node.id)).map((node) => this.#kernel(node));
  }

  #group(main: Node): void {
    const { kind } = this.workloads.of(main.id);
    const chain = this.#epilogue(main, this.#takenAfter(kind));
    const last = chain.at(-1) ?? main;
    const runsOnCodes = kind === 'free' || this.rules.integer.includes(kind);
    const decoded = runsOnCodes && PRODUCTS.includes(kind) ? this.#decoded(main) : undefined;
    const isInteger = runsOnCodes && (decoded !== undefined || this.#readsCodes(main));
    const plain = isInteger ? this.#onlyReader(last.outputs[0], 'QuantizeLinear') : undefined;
    const requantize = plain ? [plain] : this.#encoded(main, last);
    // Arithmetic without multipliers is done on codes only if codes come out again.
    if (isInteger && (requantize.length || PRODUCTS.includes(kind))) this.#integer.add(main.id);
    this.#absorb(main, [...chain, ...requantize]);
  }

  #absorb(main: Node, nodes: readonly Node[]): void {
    if (nodes.length === 0) return;
    this.#absorbedBy.set(main.id, [...(this.#absorbedBy.get(main.id) ?? []), ...nodes]);
    for (const node of nodes) this.#taken.add(node.id);
  }

  // ---- what follows

  #takenAfter(kind: WorkloadKind): readonly string[] {
    if (PRODUCTS.includes(kind)) return this.rules.afterProducts;
    return OTHERS.includes(kind) ? this.rules.afterOthers : [];
  }

  #epilogue(main: Node, forms: readonly string[]): Node[] {
    if (forms.length === 0) return [];
    const chain: Node[] = [];
    for (let value = main.outputs[0]; value;) {
      const next = this.#onlyReader(value);
      if (!next) return [...chain, ...(this.#gate(value, forms) ?? [])];
      if (!this.#takesAlong(next, forms)) return chain;
      chain.push(next);
      if (!CONTINUING.has(next.op)) return chain;
      value = next.outputs[0];
    }
    return chain;
  }

  #takesAlong(node: Node, forms: readonly string[]): boolean {
    if (node.domain !== '' || node.outputs.length !== 1) return false;
    if (node.op !== 'Add' && !forms.includes(node.op)) return false;
    const others = node.inputs.filter((name) => name && this.workloads.isConstant(name));
    if (node.op === 'Add')
      return forms.includes('bias') && others.some((name) => this.#isVector(name));
    return others.length === node.inputs.filter(Boolean).length - 1;
  }

  /** One number per channel, or one for all: at most one axis is not 1. */
  #isVector(value: string): boolean {
    const shape = fixedShape(this.workloads.facts.value(value).shape);
    return shape !== undefined && shape.filter((size) => size !== 1).length <= 1;
  }

  /** x · gate(x): the gate's nodes and the product, and the division by a constant that may follow. */
  #gate(value: string, forms: readonly string[]): Node[] | undefined {
    const readers = this.graph.consumers(value);
    const product = readers.find(({ op }) => op === 'Mul');
    const start = readers.find((node) => node !== product);
    if (readers.length !== 2 || !product || !start || this.#outputs.has(value)) return undefined;
    const gate = [start];
    for (let next = this.#onlyReader(start.outputs[0]); next !== product;) {
      if (!next || gate.length === 3) return undefined;
      gate.push(next);
      next = this.#onlyReader(next.outputs[0]);
    }
    const form = GATES.get(gate.map(({ op }) => op).join(' '));
    if (!form || !forms.includes(form.name)) return undefined;
    const steady = gate.every((node) => this.#isUnary(node));
    const nodes = [...gate, product];
    if (!steady || !nodes.every((node) => this.#isFree(node))) return undefined;
    const scale = form.scaled ? this.#onlyReader(product.outputs[0]) : undefined;
    const isScale = scale && /^(Div|Mul)$/.test(scale.op) && this.#isUnary(scale);
    return isScale ? [...nodes, scale] : nodes;
  }

  /** One activation, the rest constants. */
  #isUnary(node: Node): boolean {
    const given = node.inputs.filter(Boolean);
    return given.filter((name) => !this.workloads.isConstant(name)).length === 1;
  }

  #isFree(node: Node): boolean {
    return this.only(node) && !this.#taken.has(node.id);
  }

  /** The one node that reads a value, when nothing else needs it. */
  #onlyReader(value: string | undefined, op?: string): Node | undefined {
    if (!value || this.#outputs.has(value)) return undefined;
    const reader = this.graph.onlyConsumer(value);
    if (!reader || !this.#isFree(reader)) return undefined;
    return op === undefined || reader.op === op ? reader : undefined;
  }

  // ---- the quantised form

  /** The transform between codes and what a product reads, where kernels undo it themselves. */
  #decoded(main: Node): Transform | undefined {
    if (!this.rules.codecs?.includes('LogNP')) return undefined;
    return main.inputs[0] === undefined ? undefined : unpolishedFrom(this.graph, main.inputs[0]);
  }

  /**
   * The transform into codes that a layer does as it writes, because nothing else reads its result; or, of the first node of
   * a transform by itself, the rest of it.
   */
  #encoded(main: Node, { outputs: [value = ''] }: Node): readonly Node[] {
    if (!this.rules.codecs?.includes('LogNP') || this.#outputs.has(value)) return NO_NODES;
    const readers = this.graph.consumers(value);
    for (const start of [main, ...readers]) {
      if (start.op !== 'Mul') continue;
      const quantise = this.#quantiserBehind(start);
      const found = quantise && polishedBefore(this.graph, quantise);
      if (!found) continue;
      const nodes = [...found.nodes.filter(({ id }) => id !== main.id), quantise];
      const ids = new Set(nodes.map(({ id }) => id));
      const whole = start === main || readers.every(({ id }) => ids.has(id));
      if (whole && nodes.every((node) => this.#isFree(node))) return nodes;
    }
    return NO_NODES;
  }

  /** Abs, Add, Log and Mul lie between the two. */
  #quantiserBehind(scaled: Node): Node | undefined {
    let node: Node | undefined = scaled;
    for (let step = 0; step < 5 && node; step++) node = this.graph.onlyConsumer(node.outputs[0]!);
    return node?.op === 'QuantizeLinear' ? node : undefined;
  }

  /** Transforms vanish with their DequantizeLinear when integer kernels are all that read them. */
  #absorbDecoding(main: Node): void {
    const found = this.#integer.has(main.id) ? this.#decoded(main) : undefined;
    const value = main.inputs[0]!;
    if (!found || this.#taken.has(found.linear.id)) return;
    if (this.#outputs.has(value)) return;
    if (this.graph.consumers(value).every(({ id }) => this.#integer.has(id)))
      this.#absorb(main, [...found.nodes, found.linear]);
  }

  /** Whether every activation that a node computes with comes from a DequantizeLinear of codes. */
  #readsCodes(node: Node): boolean {
    const { inputType, matmul, conv } = this.workloads.of(node.id);
    if (matmul ?? conv) return inputType !== undefined && isCode(inputType);
    let any = false;
    for (const name of node.inputs) {
      if (!name || this.workloads.isConstant(name)) continue;
      if (this.workloads.codes(name) === undefined) return false;
      any = true;
    }
    return any;
  }

  /** A DequantizeLinear vanishes when integer kernels are all that read it; the first of them takes it. */
  #absorbDequantize(node: Node): void {
    if (node.op !== 'DequantizeLinear' || this.#taken.has(node.id)) return;
    const value = node.outputs[0];
    if (!value || this.#outputs.has(value) || this.workloads.isConstant(value)) return;
    const readers = this.graph.consumers(value);
    const first = readers[0];
    if (first && readers.every(({ id }) => this.#integer.has(id))) this.#absorb(first, [node]);
  }

  // ---- the kernel as a whole

  #kernel(main: Node): Kernel {
    const own = this.workloads.of(main.id);
    const absorbed = this.#absorbedBy.get(main.id) ?? [];
    const isInteger = this.#integer.has(main.id);
    if (own.kind === 'free' && this.rules.views && this.#isFed(main))
      return { main, absorbed, workload: STARTED };
    if (own.kind === 'free' || (absorbed.length === 0 && !isInteger))
      return { main, absorbed, workload: own };
    const last = absorbed.findLast(({ op }) => op !== 'DequantizeLinear');
    const workload = fusedWorkload(own, {
      taken: absorbed.map(({ id }) => this.workloads.of(id)),
      codes: isInteger ? this.#codeInput(main) : undefined,
      outputBytes: last && this.#bytes(last.outputs[0] ?? ''),
      outputType: last && this.workloads.of(last.id).outputType,
    });
    return { main, absorbed, workload };
  }

  /** What an integer kernel reads in place of the dequantised activations. */
  #codeInput(main: Node): Codes | undefined {
    const { inputBytes } = this.workloads.of(main.id);
    const decoded = this.#decoded(main);
    const value = decoded
      ? main.inputs[0]
      : main.inputs.find((name) => name && this.workloads.codes(name) !== undefined);
    const codes = decoded?.input ?? (value && this.workloads.codes(value));
    if (!value || !codes) return undefined;
    const { type } = this.workloads.facts.value(codes);
    const [read, dequantised] = [this.#bytes(codes), this.#bytes(value)];
    if (type.kind !== 'tensor' || inputBytes === null || !read || !dequantised) return undefined;
    return { type: type.elementType, bytes: Math.ceil((inputBytes * read) / dequantised) };
  }

  /** Whether it has to run again for every input. */
  #isFed({ outputs }: Node): boolean {
    this.#fed ??= fedValues(this.graph);
    return outputs.some((output) => this.#fed!.has(output));
  }

  #bytes(value: string): number | null {
    return valueBytes(this.workloads.facts.value(value)) ?? null;
  }
}

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

/** Values that the inputs decide. Where every size is declared, those of activations are known before. */
function fedValues(graph: Graph): ReadonlySet<string> {
  const isFixed = graph.inputs.every(
    ({ type }) =>
      type.kind === 'tensor' && type.shape?.every((size) => typeof size === 'number') === true,
  );
  const fed = new Set(graph.inputs.map(({ name }) => name));
  for (const { op, inputs, outputs } of graph.order) {
    const isSize = op === 'Shape' || op === 'Size';
    if (isFixed && isSize) continue;
    if (inputs.some((input) => fed.has(input))) for (const output of outputs) fed.add(output);
  }
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
