/** Operators that pick elements by index or by condition, and those that put them back. */
import type { Dim, Shape } from '../../../onnx/model';
import { fixedShape, type ValueFacts } from '../../facts';
import type { Rule, Rules } from '../call';
import { axisOf, Impossible, productOf } from '../dims';
import { buildElements, elementAt } from '../elements';
import { tensorOf } from '../values';

const gather: Rule = (call) => {
  const data = call.input(0);
  const indices = call.input(1);
  if (!data.shape || !indices.shape) return call.like(undefined);
  const axis = axisOf(call.int('axis', 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  return tensorOf(call.type(0), shape, pick(data, indices, shape, axis));
};

/** Elements of small tables only, looked up by indices that are known. */
function pick(
  data: ValueFacts,
  indices: ValueFacts,
  shape: Shape,
  axis: number,
): Dim[] | undefined {
  const dims = fixedShape(shape);
  const at = dims && indices.elements;
  const table = at && data.elements;
  if (!table) return undefined;
  const width = at.dims.length;
  return buildElements(dims, (index) => {
    const chosen = elementAt(at, index.slice(axis, axis + width));
    if (typeof chosen !== 'number') return null;
    const row = chosen < 0 ? chosen + table.dims[axis]! : chosen;
    if (row < 0 || row >= table.dims[axis]!) return null;
    return elementAt(table, [...index.slice(0, axis), row, ...index.slice(axis + width)]);
  });
}

const gatherND: Rule = (call) => {
  const data = call.input(0).shape;
  const indices = call.input(1).shape;
  const depth = indices?.at(-1);
  if (!data || !indices || typeof depth !== 'number') return call.like(undefined);
  const taken = call.int('batch_dims', 0) + depth;
  if (taken > data.length)
    throw new Impossible(`it indexes ${taken} axes of an input of ${data.length}`);
  return call.like([...indices.slice(0, -1), ...data.slice(taken)]);
};

/** Depth is the size of the new axis. */
const oneHot: Rule = (call) => {
  const indices = call.input(0).shape;
  const type = call.type(2);
  if (!indices) return tensorOf(type, undefined);
  const axis = axisOf(call.int('axis', -1), indices.length + 1);
  const depth = call.first(1);
  return tensorOf(type, [...indices.slice(0, axis), depth, ...indices.slice(axis)]);
};

/** As many slices as the condition has true elements, which data decides unless the condition is known. */
const compress: Rule = (call) => {
  const x = call.input(0).shape;
  const chosen = call.numbers(1)?.filter((element) => element !== 0).length ?? null;
  const axis = call.int('axis');
  if (axis === undefined) return call.like([chosen]);
  const at = x && axisOf(axis, x.length);
  return call.like(x?.map((dim, i) => (i === at ? chosen : dim)));
};

/** [rank, number of elements that are not zero] */
const nonZero: Rule = (call) => {
  const x = call.input(0);
  const elements = call.numbers(0);
  const found = elements?.flatMap((element, i) => (element === 0 ? [] : [i]));
  const rank = x.shape?.length ?? null;
  const positions = rank === 1 ? found : undefined;
  return tensorOf('int64', [rank === 0 ? 1 : rank, found?.length ?? null], positions);
};

const unique: Rule = (call) => {
  const x = call.input(0).shape;
  const axis = call.int('axis');
  const elements = call.numbers(0);
  const count = elements && axis === undefined ? new Set(elements).size : null;
  const along = tensorOf('int64', [count]);
  if (axis === undefined)
    return [call.like([count]), along, tensorOf('int64', [x ? productOf(x) : null]), along];
  const at = x && axisOf(axis, x.length);
  const values = call.like(x?.map((dim, i) => (i === at ? null : dim)));
  return [values, along, tensorOf('int64', [x?.[at!] ?? null]), along];
};

/** [selected boxes, 3]; how many, data decides. */
const nonMaxSuppression: Rule = () => tensorOf('int64', [null, 3]);

/** Elements of `data` replaced one by one, kept up with in vectors: exporters edit shapes this way. */
const scatter: Rule = (call) => {
  const data = call.input(0);
  const plain = data.shape?.length === 1 && call.text('reduction', 'none') === 'none';
  const known = plain ? data.elements : undefined;
  if (!known) return call.like(data.shape);
  const indices = call.numbers(1);
  const updates = call.known(2)?.elements ?? [];
  if (indices?.length !== updates.length) return call.like(data.shape);
  const elements = [...known.elements];
  indices.forEach((index, i) => {
    elements[index < 0 ? index + elements.length : index] = updates[i]!;
  });
  return tensorOf(call.type(0), data.shape, elements);
};

export const indexing: Rules = {
  Gather: gather,
  GatherElements: (call) => call.like(call.input(1).shape),
  GatherND: gatherND,
  OneHot: oneHot,
  Compress: compress,
  NonZero: nonZero,
  Unique: unique,
  NonMaxSuppression: nonMaxSuppression,
  Scatter: scatter,
  ScatterElements: scatter,
  ScatterND: scatter,
};
