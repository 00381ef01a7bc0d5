/** One node, measured: what it does, and which stored tensors it reads. Knows nothing of the nodes around it. */
import { fixedShape, type Facts, type ValueFacts } from '../graph/facts';
import { intAttribute, type Node } from '../graph/graph';
import type { Dim, FunctionRecord, Tensor } from '../onnx/model';
import { elementBits, packedBytes, type ElementType } from '../onnx/schema';
import { elementCount } from '../onnx/tensor';
import { valueBytes, type Constant, type Constants, type Stored } from './constants';
import { NotKnown, type Count, type NodeReading, type Operator } from './operators/operator';
import { operatorOf } from './operators/table';
import { UNSTRUCTURED } from './patterns';
import { densityOf, layoutOf, structureOf } from './sparsity';
import type { Part, Workload, WorkloadKind } from './workload';

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

/** Where a node stands: what is known of its values. */
export interface Surroundings {
  readonly facts: Facts;
  readonly constants: Constants;
  /** Operators that the model defines itself. */
  readonly functions: readonly FunctionRecord[];
  /** The type of the codes behind a value that a DequantizeLinear makes of activations. */
  quantisedType(value: string): ElementType | undefined;
}

const KINDS_WITH_MACS: readonly WorkloadKind[] = [
  'conv',
  'matmul',
  'attention',
  'recurrent',
  'control',
  'unknown',
];

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
  },
  reads: [],
};

export function measure(node: Node, around: Surroundings): Measure {
  const operator = operatorOf(node);
  if (operator?.kind === 'free') return FREE;
  return new Measurer(node, operator ?? NOT_UNDERSTOOD, around).measure();
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
    private readonly around: Surroundings,
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
    const traffic = this.#traffic(count);
    if (traffic.inputBytes === null || traffic.outputBytes === null) reason ??= this.#freeShape();
    const weights = this.#weights(count);
    const { kind } = this.operator;
    const inputType = this.#arithmeticType(count);
    const base: Workload = {
      kind,
      macs: count ? (count.macs ?? 0) : KINDS_WITH_MACS.includes(kind) ? null : 0,
      ops: count ? count.ops : null,
      ...(count?.conv && { conv: count.conv }),
      ...(count?.matmul && { matmul: count.matmul }),
      ...(count?.window && { window: count.window }),
      ...weights.totals,
      ...traffic,
      weightType: count?.packed?.type ?? this.#weightType(count),
      inputType,
      outputType: elementTypeOf(this.#facts(this.node.outputs[0])),
      ...this.#zeros(count),
      ...(reason !== undefined && { unknown: reason }),
    };
    const parts = count?.parts?.map((part) => partOf(part, base));
    return { workload: parts ? { ...base, parts } : base, reads: weights.reads };
  }

  /** Why the traffic is not known. */
  #freeShape(): string {
    try {
      for (const value of [...this.node.inputs, ...this.node.outputs])
        if (value) this.#shape(value);
    } catch (error) {
      if (error instanceof NotKnown) return error.message;
      throw error;
    }
    return 'the size of what it reads is not known';
  }

  // ---- what rules ask

  has(input: number): boolean {
    return Boolean(this.node.inputs[input]);
  }
  input(index: number): readonly number[] {
    return this.#shape(this.node.inputs[index] ?? '');
  }
  output(index = 0): readonly number[] {
    return this.#shape(this.node.outputs[index] ?? '');
  }
  inputType(index: number): ElementType | undefined {
    return elementTypeOf(this.#facts(this.node.inputs[index]));
  }
  isConstant(index: number): boolean {
    return this.#constant(index) !== undefined;
  }
  known(index: number): readonly number[] | undefined {
    const elements = this.#facts(this.node.inputs[index])?.elements?.elements;
    return elements?.every((element) => typeof element === 'number') ? elements : undefined;
  }

  #shape(value: string): readonly number[] {
    const { shape } = this.around.facts.value(value);
    const fixed = fixedShape(shape);
    if (fixed) return fixed;
    throw new NotKnown(shape ? freeReason(shape) : `the shape of ${value} is not known`);
  }
  #facts(value: string | undefined): ValueFacts | undefined {
    return value ? this.around.facts.value(value) : undefined;
  }
  #constant(index: number): Constant | undefined {
    const name = this.node.inputs[index];
    return name ? this.around.constants.of(name) : undefined;
  }
  #is(role: 'weights' | 'companions' | 'settings', input: number): boolean {
    return this.operator[role]?.includes(input) ?? false;
  }

  // ---- traffic

  /** Activations in and out; each input once, however often it is named. */
  #traffic(count: Count | undefined): Pick<Workload, 'inputBytes' | 'outputBytes'> {
    const written = sum(this.node.outputs.filter(Boolean).map((name) => this.#bytes(name)));
    const read = [...new Set(this.node.inputs)]
      .filter((name) => name !== '' && this.#isActivation(name))
      .map((name) => this.#bytes(name));
    const inputBytes =
      count?.selects && written !== null
        ? sum(read.map((bytes) => (bytes === null ? null : Math.min(bytes, written))))
        : sum(read);
    return { inputBytes, outputBytes: written };
  }

  /** Read at run time as data: not a setting, not a weight; masks and other untrained constants count. */
  #isActivation(name: string): boolean {
    const index = this.node.inputs.indexOf(name);
    if (this.#is('settings', index) || this.#is('companions', index)) return false;
    const constant = this.#constant(index);
    return !constant || !(this.#is('weights', index) || trained(constant).length > 0);
  }

  #bytes(name: string): number | null {
    const facts = this.around.facts.value(name);
    if (facts.type.kind !== 'tensor' && facts.type.kind !== 'unknown') return 0;
    return valueBytes(facts) ?? null;
  }

  // ---- weights

  #weights(count: Count | undefined): {
    reads: TensorRead[];
    totals: Pick<Workload, 'parameters' | 'weightBytes' | 'weightReadBytes'>;
  } {
    const reads: TensorRead[] = [];
    let weightReadBytes = 0;
    this.node.inputs.forEach((_, index) => {
      const constant = this.#constant(index);
      if (!constant || this.#is('settings', index)) return;
      const found = this.#tensorReads(constant, index, count);
      reads.push(...found);
      if (found.length > 0 || this.#is('weights', index))
        weightReadBytes += this.#readBytes(constant, index, count);
    });
    return {
      reads,
      totals: {
        parameters: reads.reduce((total, read) => total + read.parameters, 0),
        weightBytes: reads.reduce((total, read) => total + read.bytes, 0),
        weightReadBytes,
      },
    };
  }

  #tensorReads(constant: Constant, index: number, count: Count | undefined): TensorRead[] {
    const isCompanion = this.#is('companions', index);
    const all = isCompanion || this.#is('weights', index);
    const packed = count?.weight === index ? count.packed?.elements : undefined;
    return (all ? constant.stored : trained(constant)).map(({ tensor, role }) => {
      const elements = elementCount(tensor.dims);
      return {
        tensor,
        parameters: isCompanion || role === 'companion' ? 0 : (packed ?? elements),
        bytes: packedBytes(tensor.elementType, elements),
      };
    });
  }

  /** A gather reads the rows that it picks, everything else all of it. */
  #readBytes(constant: Constant, index: number, count: Count | undefined): number {
    const table = fixedShape(this.#facts(this.node.inputs[index])?.shape);
    const picked = fixedShape(this.#facts(this.node.outputs[0])?.shape);
    if (constant.bytes === 0 && table)
      return packedBytes(this.inputType(index) ?? 'float32', elementCount(table));
    if (!count?.selects || !table || !picked) return constant.bytes;
    const share = elementCount(picked) / Math.max(1, elementCount(table));
    return Math.ceil(constant.bytes * Math.min(1, share));
  }

  #weight(count: Count | undefined): Constant | undefined {
    return count?.weight === undefined ? undefined : this.#constant(count.weight);
  }

  /** Of the operand that is multiplied, else of the first one that was trained. */
  #weightType(count: Count | undefined): ElementType | undefined {
    const weight = this.#weight(count);
    if (weight) return weight.type;
    const operands = this.node.inputs.map((_, index) =>
      this.#is('settings', index) ? undefined : this.#constant(index),
    );
    return operands.find((operand) => operand && trained(operand).length > 0)?.type;
  }

  #activationType(): ElementType | undefined {
    const index = this.node.inputs.findIndex((name) => name !== '' && this.#isActivation(name));
    return index < 0 ? undefined : this.inputType(index);
  }

  /** What the multiplier takes: the codes where both operands are quantised, the input's own type otherwise. */
  #arithmeticType(count: Count | undefined): ElementType | undefined {
    const { data = 0, weight } = count ?? {};
    if (this.operator.arithmetic) return this.operator.arithmetic;
    const own = count?.data === undefined ? this.#activationType() : this.inputType(data);
    const codes = this.around.quantisedType(this.node.inputs[data] ?? '');
    if (!codes || weight === undefined) return own;
    const other =
      this.#constant(weight)?.type ?? this.around.quantisedType(this.node.inputs[weight] ?? '');
    return other && isCode(other) ? codes : own;
  }

  #zeros(count: Count | undefined): Pick<Workload, 'sparsity' | 'structure'> {
    const weights = this.#weight(count)?.stored.filter(({ role }) => role === 'weight') ?? [];
    if (weights.length === 0) return { sparsity: () => DENSE, structure: () => UNSTRUCTURED };
    const isTransposed = intAttribute(this.node, 'transB', 0) === 1;
    return {
      sparsity: () => densityOf(weights),
      structure: () => structureOf(weights, (dims) => layoutOf(dims, count, isTransposed)),
    };
  }
}

/** Sizes that contradict each other make counts that are no numbers, or beyond what a number holds exactly. */
function sound(count: Count): Count {
  for (const amount of [count.macs ?? 0, count.ops])
    if (!(amount >= 0 && amount <= Number.MAX_SAFE_INTEGER))
      throw new NotKnown('its sizes do not fit together');
  return count;
}

/** Tensors that count as trained wherever arithmetic reads them: more than one element, so that eps and √2 do not. */
const trained = (constant: Constant): readonly Stored[] =>
  constant.stored.some(isTrained) ? constant.stored.filter((s) => s.role !== 'wide') : [];

const isTrained = ({ role, tensor }: Stored): boolean =>
  role === 'weight' && elementCount(tensor.dims) > 1;

/** Integers of eight bits or fewer, that integer kernels multiply. */
export const isCode = (type: ElementType): boolean => /^u?int/.test(type) && elementBits(type) <= 8;

function elementTypeOf(facts: ValueFacts | undefined): ElementType | undefined {
  return facts?.type.kind === 'tensor' ? facts.type.elementType : undefined;
}

function freeReason(shape: readonly Dim[]): string {
  const free = shape.find((dim) => typeof dim !== 'number');
  return typeof free === 'string' ? `free dimension \`${free}\`` : 'a dimension is not known';
}

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
