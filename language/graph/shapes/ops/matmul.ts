/** Matrix products and Einstein sums. */
import type { Dim, Shape } from '../../../onnx/model';
import type { Call, Rule, Rules } from '../call';
import { broadcast, broadcastDim, Impossible, unify } from '../dims';
import { tensorOf } from '../values';
import { quantizedType } from './convolution';

/** Numpy's matmul: the last two axes multiply, those before are broadcast, vectors lose the axis they were lent. */
export function matmulShape(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || !b) return undefined;
  if (a.length === 0 || b.length === 0) throw new Impossible('an operand is a scalar');
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  checkInner(left.at(-1)!, right.at(-2)!);
  const batch = broadcast(left.slice(0, -2), right.slice(0, -2)) ?? [];
  return [
    ...batch,
    ...(a.length === 1 ? [] : [left.at(-2)!]),
    ...(b.length === 1 ? [] : [right.at(-1)!]),
  ];
}

function checkInner(a: Dim, b: Dim): void {
  if (typeof a === 'number' && typeof b === 'number' && a !== b)
    throw new Impossible(`rows of ${a} meet columns of ${b}`);
}

/** Inputs at two positions, multiplied as they are. */
export function matmul(call: Call, b = 1): Shape | undefined {
  return matmulShape(call.input(0).shape, call.input(b).shape);
}

/** [M, N] of Gemm and its relatives; larger inputs count as matrices by their first axis. */
export function gemmShape(call: Call, b = 1): Shape | undefined {
  const left = call.input(0).shape;
  const right = call.input(b).shape;
  if (!left || !right) return left || right ? [null, null] : undefined;
  if (left.length !== 2 || right.length !== 2)
    throw new Impossible(`it multiplies ${left.length} by ${right.length} dimensions, not 2 by 2`);
  const [m, k] = call.int('transA', 0) ? [left[1]!, left[0]!] : [left[0]!, left[1]!];
  const [n, inner] = call.int('transB', 0) ? [right[0]!, right[1]!] : [right[1]!, right[0]!];
  checkInner(k, inner);
  return [m, n];
}

const einsum: Rule = (call) => {
  const equation = call.text('equation', '').replace(/\s/g, '');
  const [left, right] = equation.split('->');
  const terms = (left ?? '').split(',');
  if (terms.length !== call.inputs.length)
    throw new Impossible(`${equation} is not about ${call.inputs.length} inputs`);
  const sizes = new Map<string, Dim>();
  let ellipsis: Shape = [];
  for (const [i, term] of terms.entries()) {
    const shape = call.input(i).shape;
    if (!shape) return call.like(undefined);
    ellipsis = broadcast(ellipsis, readTerm(term, shape, sizes)) ?? [];
  }
  const output = right ?? implicitOutput(terms);
  return call.like(
    output
      .replace('...', '.')
      .split('')
      .flatMap((label) => (label === '.' ? ellipsis : [sizes.get(label) ?? null])),
  );
};

/** Notes the size of each label of a term, and returns the axes that its ellipsis stands for. */
function readTerm(term: string, shape: Shape, sizes: Map<string, Dim>): Shape {
  const [before = '', after] = term.split('...');
  const labels = before.length + (after?.length ?? 0);
  if (after === undefined ? labels !== shape.length : labels > shape.length)
    throw new Impossible(`${term} does not describe ${shape.length} dimensions`);
  const note = (label: string, dim: Dim) =>
    sizes.set(label, sizes.has(label) ? broadcastDim(sizes.get(label)!, dim) : dim);
  before.split('').forEach((label, axis) => note(label, shape[axis]!));
  const tail = after ?? '';
  tail.split('').forEach((label, i) => note(label, shape[shape.length - tail.length + i]!));
  return shape.slice(before.length, shape.length - tail.length);
}

/** Without an arrow: the ellipsis, then every label that occurs once, in alphabetical order. */
function implicitOutput(terms: readonly string[]): string {
  const all = terms.join('').replaceAll('.', '');
  const once = [...new Set(all)].filter((label) => all.split(label).length === 2).sort();
  return (terms.some((term) => term.includes('...')) ? '...' : '') + once.join('');
}

/** One determinant for each matrix of the last two axes. */
const determinant: Rule = (call) => {
  const x = call.input(0).shape;
  if (x) unify(x.at(-1) ?? null, x.at(-2) ?? null);
  return call.like(x?.slice(0, -2));
};

export const products: Rules = {
  MatMul: (call) => call.like(matmul(call)),
  MatMulInteger: (call) => tensorOf('int32', matmul(call)),
  QLinearMatMul: (call) => tensorOf(quantizedType(call, 7), matmul(call, 3)),
  Gemm: (call) => call.like(gemmShape(call)),
  Einsum: einsum,
  Det: determinant,
};
