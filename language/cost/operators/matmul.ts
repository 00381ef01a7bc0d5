/** Products of matrices: Gemm, the MatMul family, Einsum. */
import { intAttribute, stringAttribute } from '../../graph/graph';
import type { MatmulLoops } from '../workload';
import {
  NotKnown,
  product,
  REQUANTISE_OPS,
  type Count,
  type CountedPart,
  type NodeReading,
  type Operator,
} from './operator';

type Operands = readonly [a: number, b: number];

/** Loops of a product of two stacks of matrices, given as shapes whose last two axes multiply. */
function loops(
  node: NodeReading,
  [a, b]: Operands,
  [left, right]: readonly [readonly number[], readonly number[]],
): MatmulLoops {
  const [m, k] = left.length === 1 ? [1, left[0]!] : [left.at(-2)!, left.at(-1)!];
  const [inner, n] = right.length === 1 ? [right[0]!, 1] : [right.at(-2)!, right.at(-1)!];
  if (k !== inner) throw new NotKnown(`its operands do not fit: ${m}×${k} by ${inner}×${n}`);
  const constant = node.isConstant(b) ? 'b' : node.isConstant(a) ? 'a' : null;
  const leftStack = left.slice(0, -2);
  // One matrix on the right serves every row of a stack on the left: a single product with more rows.
  if (right.length <= 2) return { batch: 1, m: product(leftStack) * m, n, k, constant };
  return { batch: product(broadcast(leftStack, right.slice(0, -2))), m, n, k, constant };
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  return long.map((size, axis) => {
    const other = short[axis - (long.length - short.length)] ?? 1;
    return size === 1 ? other : size;
  });
}

/** Which operand is the weight: the constant one, the right one of two constants or none. */
function counted(loops: MatmulLoops, [a, b]: Operands, ops: number): Count {
  const [data, weight] = loops.constant === 'a' ? [b, a] : [a, b];
  return {
    macs: loops.batch * loops.m * loops.n * loops.k,
    ops,
    matmul: loops,
    data,
    weight,
  };
}

interface MatmulForm {
  readonly operands: Operands;
  readonly bias?: number;
  /** Arithmetic beside the products, per output element. */
  readonly extraOps?: number;
}

const matmul =
  ({ operands, bias, extraOps = 0 }: MatmulForm) =>
  (node: NodeReading): Count => {
    const shapes = [operand(node, operands[0], 'A'), operand(node, operands[1], 'B')] as const;
    const nest = loops(node, operands, shapes);
    const outputs = nest.batch * nest.m * nest.n;
    const added = bias !== undefined && node.has(bias) ? 1 : 0;
    const activation = stringAttribute(node.node, 'activation', '') === '' ? 0 : 1;
    return counted(nest, operands, outputs * (added + activation + extraOps));
  };

/** The shape of an operand as it is multiplied, its attributes transA, transBatchA (or B) applied. */
function operand(node: NodeReading, index: number, side: 'A' | 'B'): readonly number[] {
  const set = (name: string) => intAttribute(node.node, `${name}${side}`, 0) === 1;
  let shape = node.input(index);
  if (set('transBatch')) shape = [...shape.slice(1, -1), shape[0]!, shape.at(-1)!];
  if (!set('trans') || shape.length < 2) return shape;
  return [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
}

/** Blockwise weights: N×K elements of a few bits, whatever the packing of the tensor. */
function blockwise(node: NodeReading): Count {
  const k = intAttribute(node.node, 'K');
  const n = intAttribute(node.node, 'N');
  if (k === undefined || n === undefined) throw new NotKnown('its attributes K and N are missing');
  const data = node.input(0);
  const nest: MatmulLoops = { batch: 1, m: product(data) / k, n, k, constant: 'b' };
  const bits = intAttribute(node.node, 'bits', 4);
  const type = bits === 2 ? 'uint2' : bits === 4 ? 'uint4' : 'uint8';
  const count = counted(nest, [0, 1], nest.m * n * (node.has(5) ? 1 : 0));
  return { ...count, packed: { elements: n * k, type } };
}

/**
 * Einsum, contracted from the left, two operands at a time, as ONNX Runtime does. What only one operand has and the
 * output has not is summed first, which multiplies nothing; each product then costs all sizes that it touches.
 */
function einsum(node: NodeReading): Count {
  const equation = stringAttribute(node.node, 'equation', '').replace(/\s/g, '');
  const [inputs = '', explicit] = equation.split('->');
  const terms = inputs.split(',').map((term, i) => labelled(term, node.input(i)));
  const sizes = new Map<string, number>();
  for (const term of terms)
    for (const [label, size] of term) sizes.set(label, Math.max(size, sizes.get(label) ?? 0));
  const output = explicit === undefined ? implicitOutput(inputs) : axes(explicit, sizes);
  const size = (labels: Iterable<string>): number =>
    product([...labels].map((label) => sizes.get(label) ?? 1));

  let ops = 0;
  const summed = terms.map((term, at) => {
    const kept = [...term.keys()].filter(
      (label) => output.has(label) || terms.some((other, i) => i !== at && other.has(label)),
    );
    if (kept.length < term.size) ops += size(term.keys());
    return new Set(kept);
  });
  let [left = new Set<string>()] = summed;
  if (terms.length === 1) return { ops };
  const steps = summed.slice(1).map((right, at): EinsumStep => {
    const later = new Set([...output, ...summed.slice(at + 2).flatMap((labels) => [...labels])]);
    const all = new Set([...left, ...right]);
    const shared = [...left].filter((label) => right.has(label));
    const nest: MatmulLoops = {
      batch: size(shared.filter((label) => later.has(label))),
      m: size([...left].filter((label) => !right.has(label))),
      n: size([...right].filter((label) => !left.has(label))),
      k: size(shared.filter((label) => !later.has(label))),
      constant: node.isConstant(at + 1) ? 'b' : node.isConstant(0) && at === 0 ? 'a' : null,
    };
    const before = left;
    left = new Set([...all].filter((label) => later.has(label)));
    return { nest, left: size(before), right: size(right), written: size(left) };
  });
  const [only, ...more] = steps;
  if (only && more.length === 0) return counted(only.nest, [0, 1], ops);
  const parts = steps.map(einsumPart);
  return { macs: parts.reduce((total, { macs }) => total + macs, 0), ops, parts };
}

/** A product of two operands, with their elements and those of the result. */
interface EinsumStep {
  readonly nest: MatmulLoops;
  readonly left: number;
  readonly right: number;
  readonly written: number;
}

function einsumPart({ nest, left, right, written }: EinsumStep): CountedPart {
  const { batch, m, n, k, constant } = nest;
  const weights = constant === 'b' ? right : constant === 'a' ? left : 0;
  return {
    op: 'MatMul',
    kind: 'matmul',
    times: 1,
    macs: batch * m * n * k,
    ops: 0,
    matmul: nest,
    reads: left + right - weights,
    writes: written,
    weights,
  };
}

/** Sizes by label; the axes of an ellipsis are labelled from the last. */
function labelled(term: string, shape: readonly number[]): Map<string, number> {
  const [before = '', after] = term.split('...');
  const rest = after ?? '';
  const hidden = shape.length - before.length - rest.length;
  if (hidden < 0 || (after === undefined && hidden > 0))
    throw new NotKnown(`its equation does not fit an operand of ${shape.length} axes`);
  const labels = [
    ...Array.from(before),
    ...Array.from({ length: hidden }, (_, i) => `…${hidden - i}`),
    ...Array.from(rest),
  ];
  return new Map(labels.map((label, axis) => [label, shape[axis]!]));
}

const axes = (term: string, sizes: ReadonlyMap<string, number>): Set<string> =>
  new Set(
    [...sizes.keys()].filter((label) => term.includes(label.startsWith('…') ? '...' : label)),
  );

/** Without an arrow, the labels that occur once, and the ellipsis. */
function implicitOutput(inputs: string): Set<string> {
  const letters = Array.from(inputs.replaceAll('...', '').replaceAll(',', ''));
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
  return new Set([...once, ...Array.from({ length: 8 }, (_, i) => `…${i + 1}`)]);
}

const qgemm: Operator = {
  kind: 'matmul',
  count: matmul({ operands: [0, 3], bias: 6, extraOps: REQUANTISE_OPS }),
  weights: [0, 3, 6],
  companions: [4, 5],
  settings: [1, 2, 7, 8],
};

const fused: Operator = { kind: 'matmul', count: matmul({ operands: [0, 1] }), weights: [0, 1] };
const gemm: Operator = {
  kind: 'matmul',
  count: matmul({ operands: [0, 1], bias: 2 }),
  weights: [0, 1, 2],
};

export const MATMULS: Readonly<Record<string, Operator>> = {
  Gemm: gemm,
  MatMul: fused,
  MatMulInteger: {
    kind: 'matmul',
    count: matmul({ operands: [0, 1] }),
    weights: [0, 1],
    companions: [2, 3],
  },
  QLinearMatMul: {
    kind: 'matmul',
    count: matmul({ operands: [0, 3], extraOps: REQUANTISE_OPS }),
    weights: [0, 3],
    companions: [4, 5],
    settings: [1, 2, 6, 7],
  },
  Einsum: { kind: 'matmul', count: einsum },
  'com.microsoft:QGemm': qgemm,
  'com.microsoft:FusedGemm': gemm,
  'com.microsoft:FusedMatMul': fused,
  'com.microsoft:FusedMatMulActivation': fused,
  'com.microsoft:TransposeMatMul': fused,
  'com.microsoft:GemmFastGelu': {
    kind: 'matmul',
    count: matmul({ operands: [0, 1], bias: 2, extraOps: 8 }),
    weights: [0, 1, 2],
  },
  'com.microsoft:DynamicQuantizeMatMul': {
    kind: 'matmul',
    count: matmul({ operands: [0, 1], bias: 4, extraOps: 1 }),
    weights: [1, 4],
    companions: [2, 3],
    arithmetic: 'uint8',
  },
  'com.microsoft:MatMulIntegerToFloat': {
    kind: 'matmul',
    count: matmul({ operands: [0, 1], bias: 6, extraOps: 1 }),
    weights: [0, 1, 6],
    companions: [3, 5],
    settings: [2, 4],
  },
  'com.microsoft:MatMulInteger16': fused,
  'com.microsoft:MatMulNBits': {
    kind: 'matmul',
    count: blockwise,
    weights: [1, 5],
    companions: [2, 3],
    settings: [4],
  },
  'com.microsoft:MatMulBnb4': {
    kind: 'matmul',
    count: blockwise,
    weights: [1],
    companions: [2],
  },
  'com.microsoft:MatMulFpQ4': {
    kind: 'matmul',
    count: matmulFpQ4,
    weights: [1],
    settings: [2],
  },
};

/** The weight is an opaque blob; its shape is the third input. */
function matmulFpQ4(node: NodeReading): Count {
  const shape = node.known(2);
  if (shape?.length !== 2) throw new NotKnown('the shape of its packed weight is not known');
  const data = node.input(0);
  const count = counted(loops(node, [0, 1], [data, shape]), [0, 1], 0);
  return { ...count, packed: { elements: product(shape), type: 'uint4' } };
}
