/** Operators that copy, cut, join, repeat or rearrange elements. */
import type { Dim, Shape } from '../../../onnx/model';
import { elementCount } from '../../../onnx/tensor';
import { fixedShape, type KnownElements, type ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import {
  add,
  axisOf,
  exactRatio,
  floorDivide,
  Impossible,
  multiply,
  subtract,
  unify,
} from '../dims';
import { buildElements, elementAt } from '../elements';
import { MAX_ELEMENTS, tensorOf } from '../values';
import { sameAsInput } from './elementwise';
import { requestedShape } from './reshaping';
import { slice } from './slice';

// ---- joining

/** The inputs one after the other along an axis. Before opset 4 the axis was 1 by default. */
const concat: Rule = (call) => concatenate(call, call.inputs, call.int('axis', 1));

export function concatenate(
  call: Call,
  inputs: readonly (ValueFacts | undefined)[],
  givenAxis: number,
): ValueFacts {
  const shapes = inputs.map((facts) => facts?.shape);
  const template = shapes.find((shape) => shape !== undefined);
  if (!template) return call.like(undefined);
  const axis = axisOf(givenAxis, template.length);
  let joined: Shape | undefined;
  for (const shape of shapes) {
    const next = shape ?? template.map(() => null);
    if (next.length !== template.length)
      throw new Impossible(`it joins ${template.length} and ${next.length} dimensions`);
    joined = joined
      ? joined.map((dim, i) => (i === axis ? add(dim, next[i]!) : unify(dim, next[i]!)))
      : next;
  }
  return tensorOf(call.type(0), joined, joinElements(inputs, axis));
}

/** Elements of small inputs side by side; an input that is not known counts as null. */
function joinElements(
  inputs: readonly (ValueFacts | undefined)[],
  axis: number,
): Dim[] | undefined {
  const parts: { dims: readonly number[]; known: KnownElements | undefined }[] = [];
  let count = 0;
  for (const facts of inputs) {
    const dims = fixedShape(facts?.shape);
    if (!dims) return undefined;
    count += elementCount(dims);
    if (count > MAX_ELEMENTS) return undefined;
    parts.push({ dims, known: undefined });
  }
  inputs.forEach((facts, i) => (parts[i]!.known = facts?.elements));
  if (parts.every((part) => !part.known)) return undefined;
  const rows = parts[0]!.dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const result: Dim[] = [];
  for (let row = 0; row < rows; row++)
    for (const { dims, known } of parts) {
      const width = elementCount(dims) / rows;
      for (let i = 0; i < width; i++) result.push(known?.elements[row * width + i] ?? null);
    }
  return result;
}

// ---- cutting

/** Part sizes from the attribute or, from opset 13 on, input 1; otherwise equal parts, the last one smaller. */
const split: Rule = (call) => {
  const x = call.input(0);
  const outputs = call.node.outputs.length;
  if (!x.shape) return call.node.outputs.map(() => call.like(undefined));
  const axis = axisOf(call.int('axis', 0), x.shape.length);
  const total = x.shape[axis]!;
  const given = call.ints('split') ?? (call.has(1) ? requestedShape(call, 1) : undefined);
  if (given && given.length < outputs)
    throw new Impossible(`it splits into ${given.length} parts and has ${outputs} outputs`);
  const sizes = call.node.outputs.map((_, part) =>
    given ? given[part]! : call.has(1) ? null : equalPart(total, part, outputs),
  );
  let start: Dim = 0;
  return sizes.map((size) => {
    const from = start;
    start = add(start, size);
    const shape = x.shape!.map((dim, i) => (i === axis ? size : dim));
    return tensorOf(call.type(0), shape, cut(x.elements, shape, axis, from));
  });
};

function equalPart(total: Dim, part: number, parts: number): Dim {
  if (typeof total !== 'number') return exactRatio([total], [parts]);
  const size = Math.ceil(total / parts);
  return Math.max(0, Math.min(size, total - part * size));
}

function cut(
  known: KnownElements | undefined,
  shape: Shape,
  axis: number,
  start: Dim,
): Dim[] | undefined {
  const dims = fixedShape(shape);
  if (!known || !dims || typeof start !== 'number') return undefined;
  return buildElements(dims, (index) =>
    elementAt(
      known,
      index.map((at, i) => (i === axis ? at + start : at)),
    ),
  );
}

/** Sizes as before, cut or padded around the centre along the axes that input 1 is about. */
const centerCropPad: Rule = (call) => {
  const x = call.input(0).shape;
  const requested = requestedShape(call, 1);
  if (!x) return call.like(undefined);
  const axes = call.ints('axes')?.map((axis) => axisOf(axis, x.length)) ?? x.map((_, i) => i);
  const shape = [...x];
  axes.forEach((axis, i) => (shape[axis] = requested?.[i] ?? null));
  return call.like(shape);
};

// ---- repeating

/** Opset 1 took the repeats of one axis from inputs 1 and 2. */
const tile: Rule = (call) => {
  const x = call.input(0);
  if (!x.shape) return call.like(undefined);
  const repeats = call.has(2) ? repeatsOfOneAxis(call, x.shape) : requestedShape(call, 1);
  if (repeats && repeats.length !== x.shape.length)
    throw new Impossible(`it repeats ${repeats.length} axes of an input of ${x.shape.length}`);
  const shape = x.shape.map((dim, axis) => multiply(dim, repeats?.[axis] ?? null));
  const dims = fixedShape(shape);
  const known = dims && elementCount(dims) <= MAX_ELEMENTS ? x.elements : undefined;
  const elements =
    known &&
    buildElements(dims!, (index) =>
      elementAt(
        known,
        index.map((at, axis) => at % known.dims[axis]!),
      ),
    );
  return tensorOf(call.type(0), shape, elements);
};

function repeatsOfOneAxis(call: Call, shape: Shape): Dim[] {
  const axis = call.numbers(2)?.[0];
  const times = call.first(1);
  return shape.map((_, i) => (axis === undefined ? null : i === axis ? times : 1));
}

/** Pads come as an attribute before opset 11; some axes only, from opset 18 on. */
const pad: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return call.like(undefined);
  const pads = call.ints('pads') ?? call.ints('paddings') ?? call.known(1)?.elements;
  const givenAxes = call.has(3) ? call.numbers(3) : x.map((_, axis) => axis);
  const axes = givenAxes?.map((axis) => axisOf(axis, x.length));
  if (!pads || !axes) return call.like(x.map(() => null));
  if (pads.length !== 2 * axes.length)
    throw new Impossible(`it has ${pads.length} pads for ${axes.length} axes`);
  const shape = [...x];
  axes.forEach((axis, i) => {
    shape[axis] = add(add(x[axis]!, pads[i]!), pads[i + axes.length]!);
  });
  return call.like(shape);
};

// ---- rearranging

const depthToSpace: Rule = (call) => {
  const x = call.input(0).shape;
  const block = call.int('blocksize', 1);
  if (!x) return call.like(undefined);
  const [n, channels, ...spatial] = x;
  return call.like([
    n ?? null,
    floorDivide(channels ?? null, block * block),
    ...spatial.map((dim) => multiply(dim, block)),
  ]);
};

const spaceToDepth: Rule = (call) => {
  const x = call.input(0).shape;
  const block = call.int('blocksize', 1);
  if (!x) return call.like(undefined);
  const [n, channels, ...spatial] = x;
  return call.like([
    n ?? null,
    multiply(channels ?? null, block * block),
    ...spatial.map((dim) => floorDivide(dim, block)),
  ]);
};

/** Blocks of a signal: the axis becomes two, windows and what is in one. */
export const unfold: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return call.like(undefined);
  const axis = axisOf(call.int('dim', -1), x.length);
  const size = call.int('size', 1);
  const windows = add(floorDivide(subtract(x[axis]!, size), call.int('step', 1)), 1);
  return call.like([...x.slice(0, axis), windows, ...x.slice(axis + 1), size]);
};

export const movement: Rules = {
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Tile: tile,
  CenterCropPad: centerCropPad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  ReverseSequence: sameAsInput,
  TensorScatter: sameAsInput,
  Trilu: sameAsInput,
};
