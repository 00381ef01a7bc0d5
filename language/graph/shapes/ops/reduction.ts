/** Reductions along axes, running sums, and what picks elements by size. */
import type { Dim, Shape } from '../../../onnx/model';
import { elementCount } from '../../../onnx/tensor';
import { fixedShape, type KnownElements, type ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { add, axisOf, fraction, maximum, minimum, multiply } from '../dims';
import { buildElements, elementAt, holding } from '../elements';
import { tensorOf } from '../values';

type Fold = (elements: readonly Dim[]) => Dim;

/** Axes from the attribute or, in later versions, from input 1; `unknown` when that input is not known. */
function axesOf(call: Call, rank: number): readonly number[] | 'unknown' {
  const given = call.ints('axes') ?? (call.has(1) ? (call.numbers(1) ?? 'unknown') : []);
  if (given === 'unknown') return given;
  if (given.length > 0) return given.map((axis) => axisOf(axis, rank));
  return call.int('noop_with_empty_axes', 0) ? [] : Array.from({ length: rank }, (_, i) => i);
}

export function reduce(call: Call, fold?: Fold): ValueFacts {
  const x = call.input(0);
  if (!x.shape) return call.like(undefined);
  const keep = call.int('keepdims', 1) !== 0;
  const axes = axesOf(call, x.shape.length);
  if (axes === 'unknown') return call.like(unknownAxes(call, x.shape, keep));
  const elements = fold && x.elements && foldElements(call, x.elements, axes, fold);
  return tensorOf(call.type(0), reducedShape(x.shape, axes, keep), elements);
}

const folding =
  (fold?: Fold): Rule =>
  (call) =>
    reduce(call, fold);

function reducedShape(shape: Shape, axes: readonly number[], keep: boolean): Shape {
  return keep
    ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    : shape.filter((_, axis) => !axes.includes(axis));
}

/** Which axes are reduced is not known; how many may be. */
function unknownAxes(call: Call, shape: Shape, keep: boolean): Shape | undefined {
  if (keep) return shape.map((dim) => (dim === 1 ? 1 : null));
  const count = call.shape(1)?.[0];
  if (typeof count !== 'number' || count > shape.length) return undefined;
  return new Array<Dim>(shape.length - count).fill(null);
}

function foldElements(
  call: Call,
  known: KnownElements,
  axes: readonly number[],
  fold: Fold,
): Dim[] | undefined {
  const kept = known.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const inner = known.dims.map((dim, axis) => (axes.includes(axis) ? dim : 1));
  if (elementCount(known.dims) === 0) return undefined;
  const hold = holding(call.type(0));
  return buildElements(kept, (outer) => {
    const group = buildElements(inner, (within) =>
      elementAt(
        known,
        outer.map((at, axis) => at + within[axis]!),
      ),
    );
    return group ? hold(fold(group)) : null;
  });
}

const argument: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return tensorOf('int64', undefined);
  const axis = axisOf(call.int('axis', 0), x.length);
  return tensorOf('int64', reducedShape(x, [axis], call.int('keepdims', 1) !== 0));
};

/** K is an attribute before opset 10. */
const topK: Rule = (call) => {
  const x = call.input(0).shape;
  const k = call.has(1) ? call.first(1) : (call.int('k') ?? null);
  if (!x) return [call.like(undefined), tensorOf('int64', undefined)];
  const axis = axisOf(call.int('axis', -1), x.length);
  const shape = x.map((dim, i) => (i === axis ? k : dim));
  return [call.like(shape), tensorOf('int64', shape)];
};

const cumulativeSum: Rule = (call) => {
  const x = call.input(0);
  const dims = fixedShape(x.shape);
  const plain = call.int('exclusive', 0) === 0 && call.int('reverse', 0) === 0;
  let total: Dim = 0;
  const sums =
    dims?.length === 1 && plain
      ? x.elements?.elements.map((element) => (total = add(total, element)))
      : undefined;
  return tensorOf(call.type(0), x.shape, sums);
};

const total: Fold = (elements) => elements.reduce(add, 0);

export const reduction: Rules = {
  ReduceL1: folding(),
  ReduceL2: folding(),
  ReduceLogSum: folding(),
  ReduceLogSumExp: folding(),
  ReduceSumSquare: folding(),
  ReduceMax: folding((elements) => elements.reduce(maximum)),
  ReduceMin: folding((elements) => elements.reduce(minimum)),
  ReduceProd: folding((elements) => elements.reduce(multiply, 1)),
  ReduceSum: folding(total),
  ReduceMean: folding((elements) => fraction(total(elements), elements.length)),
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
  CumSum: cumulativeSum,
};
