/** Operators that only look at the same elements in another shape, or ask for the shape. */
import type { Dim, Shape } from '../../../onnx/model';
import { fixedShape } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { axisOf, broadcast, exactRatio, Impossible, productOf } from '../dims';
import { buildElements, elementAt } from '../elements';
import { tensorOf } from '../values';

/** As many unknown dimensions as a shape tensor has elements; undefined when even that is unknown. */
function unknownOfLength(call: Call, index: number): Dim[] | undefined {
  const length = call.shape(index)?.[0];
  return typeof length === 'number' && length <= 64 ? new Array<Dim>(length).fill(null) : undefined;
}

/** The dimensions that a shape tensor names, as far as known. */
export const requestedShape = (call: Call, index: number): readonly Dim[] | undefined =>
  call.known(index)?.elements ?? unknownOfLength(call, index);

const reshape: Rule = (call) => {
  const x = call.input(0);
  const requested = call.has(1) ? requestedShape(call, 1) : call.ints('shape');
  if (!requested) return call.like(undefined);
  const keepsZeros = call.int('allowzero', 0) === 1;
  const copied = requested.map((dim, axis) => {
    if (dim !== 0 || keepsZeros) return dim;
    if (x.shape && axis >= x.shape.length)
      throw new Impossible(`it copies axis ${axis} of an input of ${x.shape.length} dimensions`);
    return x.shape?.[axis] ?? null;
  });
  const shape = x.shape ? fillOpenDim(copied, x.shape) : copied.map((d) => (d === -1 ? null : d));
  checkCount(x.shape, shape);
  return tensorOf(call.type(0), shape, x.elements?.elements);
};

/** Solves the one dimension that is -1, or not known, from the number of elements. */
function fillOpenDim(requested: readonly Dim[], from: Shape): Shape {
  const isOpen = (dim: Dim) => dim === -1 || dim === null;
  const open = requested.filter(isOpen).length;
  if (open !== 1 || from.includes(null)) return requested.map((dim) => (dim === -1 ? null : dim));
  const others = requested.filter((dim) => !isOpen(dim));
  const rest = exactRatio(from, others);
  return requested.map((dim) => (isOpen(dim) ? rest : dim));
}

function checkCount(from: Shape | undefined, to: Shape): void {
  const [before, after] = [fixedShape(from), fixedShape(to)];
  if (before && after && productOf(before) !== productOf(after))
    throw new Impossible(`${before.join('×')} elements cannot become ${after.join('×')}`);
}

const flatten: Rule = (call) => {
  const x = call.input(0);
  const axis = call.int('axis', 1);
  if (!x.shape) return call.like([null, null]);
  const at = axis === x.shape.length ? axis : axis < 0 ? axis + x.shape.length : axis;
  return tensorOf(
    call.type(0),
    [productOf(x.shape.slice(0, at)), productOf(x.shape.slice(at))],
    x.elements?.elements,
  );
};

/** Axes from the attribute or, from opset 13 on, from input 1. */
function axesGiven(call: Call): readonly number[] | 'none' | 'unknown' {
  const attribute = call.ints('axes');
  if (attribute) return attribute;
  return call.has(1) ? (call.numbers(1) ?? 'unknown') : 'none';
}

const squeeze: Rule = (call) => {
  const x = call.input(0);
  const given = axesGiven(call);
  if (!x.shape) return call.like(undefined);
  if (given === 'unknown') {
    const count = call.shape(1)?.[0];
    const left = typeof count === 'number' ? x.shape.length - count : -1;
    return call.like(left < 0 ? undefined : new Array<Dim>(left).fill(null));
  }
  if (given === 'none' && x.shape.some((dim) => typeof dim !== 'number'))
    return call.like(undefined);
  const rank = x.shape.length;
  const axes = given === 'none' ? undefined : given.map((axis) => axisOf(axis, rank));
  const shape = x.shape.filter((dim, axis) => {
    const dropped = axes ? axes.includes(axis) : dim === 1;
    if (dropped && typeof dim === 'number' && dim !== 1)
      throw new Impossible(`it squeezes axis ${axis} of size ${dim}`);
    return !dropped;
  });
  return tensorOf(call.type(0), shape, x.elements?.elements);
};

const unsqueeze: Rule = (call) => {
  const x = call.input(0);
  const given = axesGiven(call);
  if (given === 'none') throw new Impossible('it has no axes');
  if (!x.shape) return call.like(undefined);
  if (given === 'unknown') {
    const count = call.shape(1)?.[0];
    const rank = typeof count === 'number' && count <= 64 ? x.shape.length + count : undefined;
    return call.like(rank === undefined ? undefined : new Array<Dim>(rank).fill(null));
  }
  const rank = x.shape.length + given.length;
  const axes = given.map((axis) => axisOf(axis, rank));
  let next = 0;
  const shape = Array.from({ length: rank }, (_, axis) =>
    axes.includes(axis) ? 1 : (x.shape![next++] ?? null),
  );
  return tensorOf(call.type(0), shape, x.elements?.elements);
};

const expand: Rule = (call) => {
  const x = call.input(0);
  const requested = requestedShape(call, 1);
  if (!requested) return call.like(undefined);
  const shape = broadcast(x.shape, requested);
  const dims = fixedShape(shape);
  const known = dims && x.elements;
  if (!known) return call.like(shape);
  const lead = dims.length - known.dims.length;
  const elements = buildElements(dims, (index) =>
    elementAt(
      known,
      known.dims.map((dim, axis) => (dim === 1 ? 0 : index[axis + lead]!)),
    ),
  );
  return tensorOf(call.type(0), shape, elements);
};

const transpose: Rule = (call) => {
  const x = call.input(0);
  if (!x.shape) return call.like(undefined);
  const rank = x.shape.length;
  const order = call.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (order.length !== rank)
    throw new Impossible(`it permutes ${order.length} axes of an input of ${rank}`);
  const shape = order.map((axis) => x.shape![axisOf(axis, rank)]!);
  const dims = fixedShape(shape);
  // Weights are transposed often and never feed a shape computation by way of it.
  const known = dims && rank <= 2 ? x.elements : undefined;
  const elements =
    known &&
    buildElements(dims!, (index) =>
      elementAt(
        known,
        known.dims.map((_, axis) => index[order.indexOf(axis)]!),
      ),
    );
  return tensorOf(call.type(0), shape, elements);
};

/** From opset 15 on, of a part of the axes. */
const shapeOf: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return tensorOf('int64', [null]);
  const part = x.slice(call.int('start', 0), call.int('end') ?? x.length);
  return tensorOf('int64', [part.length], part);
};

const sizeOf: Rule = (call) => {
  const x = call.input(0).shape;
  return tensorOf('int64', [], x && [productOf(x)]);
};

export const reshaping: Rules = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Transpose: transpose,
  Shape: shapeOf,
  Size: sizeOf,
};
