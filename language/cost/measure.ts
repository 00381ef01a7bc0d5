/** One node, measured: what it does, and which stored tensors it reads. Knows nothing of the nodes around it. */
import { fixedShape, type ValueFacts } from '../graph/facts';
import { intAttribute, type Node } from '../graph/graph';
import type { Dim, Tensor } from '../onnx/model';
import { elementBits, packedBytes, type ElementType } from '../onnx/schema';
import { elementCount, storedByteLength, tensorDensity, tensorNumbers } from '../onnx/tensor';
import { valueBytes, type Constant, type Stored } from './constants';
import { NotKnown, type Count, type NodeReading, type Operator } from './operators/operator';
import { operatorOf } from './operators/table';
import { UNSTRUCTURED } from './patterns';
import { densityOf, layoutOf, structureOf } from './sparsity';
import type { Part, UsedBits, Workload, WorkloadKind } from './workload';

/** A tensor that a node reads, and what it adds to the counts if the node is the first to read it. */
export interface TensorRead {
  readonly tensor: Tensor;
  readonly parameters: number;
  readonly bytes: number;
}

/** `workload` with the parameters and stored bytes of every tensor that it reads, whoever came first. */
export interface Measure {
  readonly workload: Workload;
  readonly reads: readonly TensorRead[];
}

/** What is known of the values of a node, by position. */
export interface Values {
  readonly inputs: readonly ValueFacts[];
  readonly outputs: readonly ValueFacts[];
  readonly constants: readonly (Constant | undefined)[];
  /** The type of the codes behind an input that a DequantizeLinear makes of activations. */
  readonly codes: readonly (ElementType | undefined)[];
  /** Of an integer product: what the limits of the codes that it reads leave of their bits. */
  readonly inputBits?: 4 | 8 | undefined;
}

const KINDS_WITH_MACS: readonly WorkloadKind[] = [
  'conv',
  'matmul',
  'attention',
  'recurrent',
  'control',
  'unknown',
];

export const WHOLE_BYTES: UsedBits = { inputs: 8, weights: 8 };
export const DENSE = { density: 1, estimated: false } as const;

export const FREE: Measure = {
  workload: {
    kind: 'free',
    macs: 0,
    ops: 0,
    parameters: 0,
    weightBytes: 0,
    weightReadBytes: 0,
    inputBytes: 0,
    outputBytes: 0,
    weightType: undefined,
    inputType: undefined,
    outputType: undefined,
    sparsity: () => DENSE,
    structure: () => UNSTRUCTURED,
    usedBits: () => WHOLE_BYTES,
  },
  reads: [],
};

export function measure(node: Node, values: Values): Measure {
  const operator = operatorOf(node);
  if (operator?.kind === 'free') return FREE;
  return new Measurer(node, operator ?? NOT_UNDERSTOOD, values).measure();
}

/** What an operator does not say, its tensors still do: the weights that it reads are counted. */
const NOT_UNDERSTOOD: Operator = {
  kind: 'unknown',
  count({ node: { op, domain } }) {
    throw new NotKnown(
      `operator ${op}${domain === '' ? '' : ` of domain ${domain}`} is not understood`,
    );
  },
};

/** A node whose arithmetic, or whose traffic, cannot be counted. */
export function unknown(kind: WorkloadKind, reason: string): Measure {
  const macs = KINDS_WITH_MACS.includes(kind) ? null : 0;
  const nothing = { macs, ops: null, inputBytes: null, outputBytes: null };
  return { workload: { ...FREE.workload, kind, ...nothing, unknown: reason }, reads: [] };
}

class Measurer implements NodeReading {
  constructor(
    readonly node: Node,
    private readonly operator: Operator,
    private readonly values: Values,
  ) {}

  measure(): Measure {
    let count: Count | undefined;
    let reason: string | undefined;
    try {
      count = sound(this.operator.count(this));
    } catch (error) {
      if (!(error instanceof NotKnown)) throw error;
      reason = error.message;
    }
    const { inputBytes, outputBytes } = this.#traffic(count);
    if (inputBytes === null || outputBytes === null) reason ??= this.#freeShape();
    const reads = this.#tensorReads(count);
    const { kind } = this.operator;
    // All fields, given or not: layers of one form are cheap to make and to look at by the thousand.
    const zeros = this.#zeros(count);
    const workload: Workload = {
      kind,
      macs: count ? (count.macs ?? 0) : KINDS_WITH_MACS.includes(kind) ? null : 0,
      ops: count ? count.ops : null,
      conv: count?.conv,
      matmul: count?.matmul,
      window: count?.window,
      parts: undefined,
      parameters: reads.reduce((total, read) => total + read.parameters, 0),
      weightBytes: reads.reduce((total, read) => total + read.bytes, 0),
      weightReadBytes: this.#weightReadBytes(count),
      inputBytes,
      outputBytes,
      weightType: count?.packed?.type ?? this.#weightType(count),
      inputType: this.#arithmeticType(count),
      outputType: this.values.outputs[0] && elementTypeOf(this.values.outputs[0]),
      sparsity: zeros.sparsity,
      structure: zeros.structure,
      usedBits: this.#usedBits(count),
      unknown: reason,
    };
    const parts = count?.parts?.map((part) => partOf(part, workload));
    return { workload: parts ? { ...workload, parts } : workload, reads };
  }

  /** Why the traffic is not known. */
  #freeShape(): string {
    const { inputs, outputs } = this.node;
    return (
      firstUntold(inputs, this.values.inputs) ??
      firstUntold(outputs, this.values.outputs) ??
      'the size of what it reads is not known'
    );
  }

  // ---- what rules ask

  has(input: number): boolean {
    return Boolean(this.node.inputs[input]);
  }
  input(index: number): readonly number[] {
    return shapeOf(this.node.inputs[index], this.values.inputs[index]);
  }
  output(index = 0): readonly number[] {
    return shapeOf(this.node.outputs[index], this.values.outputs[index]);
  }
  inputType(index: number): ElementType | undefined {
    return this.has(index) ? elementTypeOf(this.values.inputs[index]!) : undefined;
  }
  isConstant(index: number): boolean {
    return this.values.constants[index] !== undefined;
  }
  known(index: number): readonly number[] | undefined {
    const elements = this.values.inputs[index]?.elements?.elements;
    return elements?.every((element) => typeof element === 'number') ? elements : undefined;
  }

  #is(role: 'weights' | 'companions' | 'settings', input: number): boolean {
    return this.operator[role]?.includes(input) ?? false;
  }

  // ---- traffic

  /** Activations in and out; each input once, however often it is named. */
  #traffic(count: Count | undefined): Pick<Workload, 'inputBytes' | 'outputBytes'> {
    const { inputs, outputs } = this.node;
    let outputBytes: number | null = 0;
    for (let i = 0; i < outputs.length; i++)
      if (outputs[i]) outputBytes = plus(outputBytes, bytesOf(this.values.outputs[i]!));
    let inputBytes: number | null = 0;
    for (let i = 0; i < inputs.length; i++) {
      if (inputs.indexOf(inputs[i]!) !== i || !this.#isActivation(i)) continue;
      const bytes = bytesOf(this.values.inputs[i]!);
      const selected = count?.selects && bytes !== null && outputBytes !== null;
      inputBytes = plus(inputBytes, selected ? Math.min(bytes, outputBytes!) : bytes);
    }
    return { inputBytes, outputBytes };
  }

  /** Read at run time as data: not a setting, not a weight; masks and other untrained constants count. */
  #isActivation(index: number): boolean {
    if (!this.has(index) || this.#is('settings', index) || this.#is('companions', index))
      return false;
    const constant = this.values.constants[index];
    return !constant || !(this.#is('weights', index) || trained(constant).length > 0);
  }

  // ---- weights

  #weightReadBytes(count: Count | undefined): number {
    let total = 0;
    this.values.constants.forEach((constant, index) => {
      if (constant && (this.#is('weights', index) || this.#stored(constant, index).length > 0))
        total += this.#readBytes(constant, index, count);
    });
    return total;
  }

  #tensorReads(count: Count | undefined): readonly TensorRead[] {
    const reads: TensorRead[] = [];
    this.values.constants.forEach((constant, index) => {
      if (!constant) return;
      const isCompanion = this.#is('companions', index);
      const packed = count?.weight === index ? count.packed?.elements : undefined;
      for (const { tensor, role } of this.#stored(constant, index)) {
        const elements = elementCount(tensor.dims);
        reads.push({
          tensor,
          parameters: isCompanion || role === 'companion' ? 0 : (packed ?? elements),
          bytes: storedByteLength(tensor),
        });
      }
    });
    return reads;
  }

  /** The tensors of a constant input that are weights, or stored with them. */
  #stored(constant: Constant, index: number): readonly Stored[] {
    if (this.#is('settings', index)) return NO_TENSORS;
    return this.#is('companions', index) || this.#is('weights', index)
      ? constant.stored
      : trained(constant);
  }

  /** A gather reads the rows that it picks, everything else all of it. */
  #readBytes(constant: Constant, index: number, count: Count | undefined): number {
    const table = fixedShape(this.values.inputs[index]?.shape);
    const picked = fixedShape(this.values.outputs[0]?.shape);
    if (constant.bytes === 0 && table)
      return packedBytes(this.inputType(index) ?? 'float32', elementCount(table));
    if (!count?.selects || !table || !picked) return constant.bytes;
    const entries = count.packed?.elements ?? elementCount(table);
    const share = elementCount(picked) / Math.max(1, entries);
    return Math.ceil(constant.bytes * Math.min(1, share));
  }

  #weight(count: Count | undefined): Constant | undefined {
    return count?.weight === undefined ? undefined : this.values.constants[count.weight];
  }

  /** Of the operand that is multiplied, else of the first one that was trained. */
  #weightType(count: Count | undefined): ElementType | undefined {
    const weight = this.#weight(count);
    if (weight) return weight.type;
    return this.values.constants.find(
      (operand, index) => operand && !this.#is('settings', index) && trained(operand).length > 0,
    )?.type;
  }

  #activationType(): ElementType | undefined {
    const index = this.node.inputs.findIndex((_, at) => this.#isActivation(at));
    return index < 0 ? undefined : this.inputType(index);
  }

  /** What the multiplier takes: the codes where both operands are quantised, the input's own type otherwise. */
  #arithmeticType(count: Count | undefined): ElementType | undefined {
    const { data = 0, weight } = count ?? {};
    if (this.operator.arithmetic) return this.operator.arithmetic;
    const own = count?.data === undefined ? this.#activationType() : this.inputType(data);
    const codes = this.values.codes[data];
    if (!codes || weight === undefined) return own;
    const other = this.values.constants[weight]?.type ?? this.values.codes[weight];
    return other && isCode(other) ? codes : own;
  }

  #usedBits(count: Count | undefined): Workload['usedBits'] {
    const { inputBits } = this.values;
    const weights = this.#weight(count)?.stored.filter(({ role }) => role === 'weight') ?? [];
    const [weight] = weights;
    if (inputBits === undefined || weights.length !== 1 || !weight) return FREE.workload.usedBits;
    return () => ({ inputs: inputBits, weights: usedBitsOf(weight) });
  }

  #zeros(count: Count | undefined): Pick<Workload, 'sparsity' | 'structure'> {
    const weights = this.#weight(count)?.stored.filter(({ role }) => role === 'weight');
    if (!weights?.length) return NO_WEIGHTS;
    const isTransposed = intAttribute(this.node, 'transB', 0) === 1;
    return {
      sparsity: () => densityOf(weights),
      structure: () => structureOf(weights, (dims) => layoutOf(dims, count, isTransposed)),
    };
  }
}

/** Codes of weights that are not decided yet have all their bits. */
const usedBitsOf = ({ tensor }: Stored): 4 | 8 => {
  if (tensor.elementType !== 'int8' || tensorDensity(tensor).estimated) return 8;
  let bits = usedBits.get(tensor);
  if (bits === undefined) {
    let [min, max] = [0, 0];
    for (const code of tensorNumbers(tensor))
      [min, max] = [Math.min(min, code), Math.max(max, code)];
    bits = max - min < 16 ? 4 : 8;
    usedBits.set(tensor, bits);
  }
  return bits;
};

const usedBits = new WeakMap<Tensor, 4 | 8>();

const NO_WEIGHTS = { sparsity: () => DENSE, structure: () => UNSTRUCTURED };

/** Sizes that contradict each other make counts that are no numbers, or beyond what a number holds exactly. */
function sound(count: Count): Count {
  for (const amount of [count.macs ?? 0, count.ops])
    if (!(amount >= 0 && amount <= Number.MAX_SAFE_INTEGER))
      throw new NotKnown('its sizes do not fit together');
  return count;
}

/** Tensors that count as trained wherever arithmetic reads them: more than one element, so that eps and √2 do not. */
const trained = ({ stored }: Constant): readonly Stored[] =>
  stored.some(isTrained) ? stored.filter((s) => s.role !== 'wide') : NO_TENSORS;

const NO_TENSORS: readonly Stored[] = [];

const isTrained = ({ role, tensor }: Stored): boolean =>
  role === 'weight' && elementCount(tensor.dims) > 1;

/** Integers of eight bits or fewer, that integer kernels multiply. */
export const isCode = (type: ElementType): boolean => /^u?int/.test(type) && elementBits(type) <= 8;

const elementTypeOf = ({ type }: ValueFacts): ElementType | undefined =>
  type.kind === 'tensor' ? type.elementType : undefined;

function bytesOf(facts: ValueFacts): number | null {
  if (facts.type.kind !== 'tensor' && facts.type.kind !== 'unknown') return 0;
  return valueBytes(facts) ?? null;
}

function shapeOf(name: string | undefined, facts: ValueFacts | undefined): readonly number[] {
  const fixed = fixedShape(facts?.shape);
  if (fixed) return fixed;
  throw new NotKnown(untold(name ?? '', facts));
}

const untold = (name: string, facts: ValueFacts | undefined): string =>
  facts?.shape ? freeReason(facts.shape) : `the shape of ${name} is not known`;

/** Why the first value without a shape in numbers has none. */
function firstUntold(names: readonly string[], values: readonly ValueFacts[]): string | undefined {
  const at = names.findIndex((name, i) => name !== '' && !fixedShape(values[i]?.shape));
  return at < 0 ? undefined : untold(names[at]!, values[at]);
}

function freeReason(shape: readonly Dim[]): string {
  const free = shape.find((dim) => typeof dim !== 'number');
  return typeof free === 'string' ? `free dimension \`${free}\`` : 'a dimension is not known';
}

const plus = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : a + b;

/** Null as soon as one is. */
export function sum(amounts: readonly (number | null)[]): number | null {
  let total = 0;
  for (const amount of amounts) {
    if (amount === null) return null;
    total += amount;
  }
  return total;
}

function partOf(part: NonNullable<Count['parts']>[number], layer: Workload): Part {
  const bytes = (type: ElementType | undefined, elements: number) =>
    packedBytes(type ?? 'float32', elements);
  return {
    op: part.op,
    times: part.times,
    workload: {
      ...layer,
      kind: part.kind,
      macs: part.macs,
      ops: part.ops,
      ...(part.matmul && { matmul: part.matmul }),
      parameters: 0,
      weightBytes: 0,
      weightReadBytes: bytes(layer.weightType, part.weights ?? 0),
      inputBytes: bytes(layer.inputType, part.reads),
      outputBytes: bytes(layer.outputType, part.writes),
    },
  };
}
