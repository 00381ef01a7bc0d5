/**
 * What never changes between runs: which values are constant, and the stored tensors behind them. A constant may be an
 * initializer, or computed from constants and shapes alone, as runtimes fold it when they load a model: a dequantised
 * weight, a transposed one, a position table.
 */
import type { ValueFacts } from '../graph/facts';
import { constantTensor, type Node } from '../graph/graph';
import { LEFT_OUT, type Links } from '../graph/links';
import type { Tensor } from '../onnx/model';
import { elementBits, isInteger, packedBytes, type ElementType } from '../onnx/schema';
import { elementCount, tensorByteLength } from '../onnx/tensor';
import { operatorOf } from './operators/table';

/** A tensor of the file behind a constant. */
export interface Stored {
  readonly tensor: Tensor;
  /**
   * `weight`: floating point, or integers narrow enough to be quantised weights. `wide`: other integers, weights only
   * once they are dequantised (an int32 bias). `companion`: scale, zero point or running statistic of a weight.
   */
  readonly role: 'weight' | 'wide' | 'companion';
  /** Of quantised weights: what stands for zero. */
  readonly zeroPoint?: Tensor;
}

export interface Constant {
  readonly stored: readonly Stored[];
  /** Bytes read to use it once, in the form it is stored. */
  readonly bytes: number;
  /** The stored type where it is dequantised, its own otherwise. */
  readonly type: ElementType | undefined;
}

/** A graph or the body of a node, with what surrounds it. */
export interface Scope {
  readonly nodes: readonly Node[];
  readonly links: Links;
  /** What is known of each value, by its number. */
  readonly values: readonly ValueFacts[];
  tensor(name: string): Tensor | undefined;
  /** Constants of the surrounding graph, by the names that hold in here. */
  outer(name: string): Constant | undefined;
}

export class Constants {
  /** By value; undefined: not asked for yet, null: not constant. */
  readonly #known: (Constant | null | undefined)[];

  private constructor(
    private readonly scope: Scope,
    known: readonly (Constant | null | undefined)[],
  ) {
    this.#known = [...known];
  }

  static of(scope: Scope): Constants {
    const known = new Array<null | undefined>(scope.links.names.length).fill(undefined);
    known[LEFT_OUT] = null;
    const constants = new Constants(scope, known);
    for (let at = 0; at < scope.nodes.length; at++) constants.#fold(at);
    return constants;
  }

  /**
   * Those of another state of the same links.
   * @param values which of them are known differently, or given by another tensor
   * @param changed marks nodes that are not the same or read or give such values; those that read other constants are added
   */
  next(scope: Scope, values: Iterable<number>, changed: Uint8Array): Constants {
    const constants = new Constants(scope, this.#known);
    const compare = (value: number) => {
      if (constants.of(value) === this.of(value)) return;
      for (const reader of scope.links.readers[value]!) changed[reader] = 1;
    };
    for (const value of values)
      if (value !== LEFT_OUT && scope.links.makers[value] === -1) {
        constants.#known[value] = undefined;
        compare(value);
      }
    for (let at = 0; at < scope.nodes.length; at++) {
      if (!changed[at]) continue;
      const made = constants.#madeBy(at);
      for (const value of made) constants.#known[value] = undefined;
      constants.#fold(at);
      for (const value of made) compare(value);
    }
    return constants;
  }

  /** What is behind a value, or undefined when it depends on the inputs of a run. */
  of(value: number): Constant | undefined {
    const known = (this.#known[value] ??= this.#find(value) ?? null);
    return known ?? undefined;
  }

  #find(value: number): Constant | undefined {
    const { links, values } = this.scope;
    if (links.makers[value] === -1) {
      const name = links.names[value]!;
      const stored = this.scope.tensor(name);
      const given = stored ? ofTensor(stored) : this.scope.outer(name);
      if (given) return given;
    }
    const elements = values[value]!.elements?.elements;
    return elements && !elements.includes(null) ? NOTHING_STORED : undefined;
  }

  #fold(at: number): void {
    const node = this.scope.nodes[at]!;
    const folded = node.op === 'Constant' ? ofConstantNode(node) : this.#compute(node, at);
    if (folded) for (const value of this.#madeBy(at)) this.#known[value] = folded;
  }

  #madeBy(at: number): readonly number[] {
    const { writes, makers } = this.scope.links;
    return writes[at]!.filter((value) => makers[value] === at);
  }

  #compute(node: Node, at: number): Constant | undefined {
    if (node.op === 'Shape' || node.op === 'Size') return NOTHING_STORED;
    const { links, values } = this.scope;
    const count = node.inputs.length;
    const reads = links.reads[at]!;
    const inputs: Constant[] = [];
    for (let i = 0; i < count; i++) {
      const input = reads[i] === LEFT_OUT ? NOTHING_STORED : this.of(reads[i]!);
      if (!input) return undefined;
      inputs.push(input);
    }
    if (!isFoldable(node)) return undefined;
    return derived(node, inputs, values[links.writes[at]![0] ?? LEFT_OUT]!);
  }
}

const NOTHING_STORED: Constant = { stored: [], bytes: 0, type: undefined };

const RANDOM = /^(Random|Bernoulli|Multinomial)/;

/** Deterministic, understood, and without a body of its own. */
function isFoldable(node: Node): boolean {
  return node.inputs.length > 0 && !RANDOM.test(node.op) && operatorOf(node) !== undefined;
}

const tensorConstants = new WeakMap<Tensor, Constant>();

function ofTensor(tensor: Tensor): Constant {
  let constant = tensorConstants.get(tensor);
  if (!constant) {
    const role = storedRole(tensor.elementType);
    const stored = role ? [{ tensor, role }] : [];
    constant = { stored, bytes: tensorByteLength(tensor), type: tensor.elementType };
    tensorConstants.set(tensor, constant);
  }
  return constant;
}

function storedRole(type: ElementType): Stored['role'] | undefined {
  if (isInteger(type)) return elementBits(type) <= 16 ? 'weight' : 'wide';
  return type.includes('float') ? 'weight' : undefined;
}

const nodeConstants = new WeakMap<Node, Constant>();

function ofConstantNode(node: Node): Constant {
  let constant = nodeConstants.get(node);
  if (!constant) {
    const tensor = constantTensor(node);
    constant = tensor ? ofTensor(tensor) : NOTHING_STORED;
    nodeConstants.set(node, constant);
  }
  return constant;
}

interface Derivation {
  readonly inputs: readonly Constant[];
  readonly output: ValueFacts;
  readonly constant: Constant;
}
const derivations = new WeakMap<Node, Derivation>();

/** The constant that a node computes; the same object while nothing that it rests on has changed. */
function derived(node: Node, inputs: readonly Constant[], output: ValueFacts): Constant {
  const known = derivations.get(node);
  if (known?.output === output && known.inputs.every((input, i) => input === inputs[i]))
    return known.constant;
  const constant = derive(node, inputs, output);
  derivations.set(node, { inputs, output, constant });
  return constant;
}

/** Operators that leave the elements of their first input as they are. */
const REARRANGING = new Set([
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Dropout',
]);

function derive(node: Node, inputs: readonly Constant[], output: ValueFacts): Constant {
  const first = inputs[0]!;
  const type = output.type.kind === 'tensor' ? output.type.elementType : undefined;
  if (node.op === 'DequantizeLinear') return dequantised(first, inputs.slice(1));
  if (REARRANGING.has(node.op)) return first;
  const stored = union(inputs.map((input) => input.stored)).filter(({ role }) => role !== 'wide');
  if (node.op === 'Cast') return { stored, bytes: first.bytes, type };
  if (node.op === 'Concat') {
    const types = new Set(inputs.map((input) => input.type));
    const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
    return { stored, bytes, type: types.size === 1 ? first.type : type };
  }
  return { stored, bytes: valueBytes(output) ?? 0, type };
}

function dequantised(codes: Constant, parameters: readonly Constant[]): Constant {
  const zeroPoint = parameters[1]?.stored[0]?.tensor;
  const weights = codes.stored.map(({ tensor }): Stored => ({
    tensor,
    role: 'weight',
    ...(zeroPoint && { zeroPoint }),
  }));
  const companions = parameters.flatMap(({ stored }) =>
    stored.map(({ tensor }): Stored => ({ tensor, role: 'companion' })),
  );
  const bytes = [codes, ...parameters].reduce((sum, constant) => sum + constant.bytes, 0);
  return { stored: [...weights, ...companions], bytes, type: codes.type };
}

function union(lists: readonly (readonly Stored[])[]): readonly Stored[] {
  const filled = lists.filter((list) => list.length > 0);
  return filled.length > 1 ? [...new Set(filled.flat())] : (filled[0] ?? []);
}

/** Packed bytes of a tensor value, or undefined while its size is not known. */
export function valueBytes({ type, shape }: ValueFacts): number | undefined {
  if (type.kind !== 'tensor' || !shape) return undefined;
  const sizes: number[] = [];
  for (const dim of shape) {
    if (typeof dim !== 'number') return undefined;
    sizes.push(dim);
  }
  return packedBytes(type.elementType, elementCount(sizes));
}
