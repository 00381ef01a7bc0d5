/** Slice, whose bounds may be numbers, symbols or unknown. */
import type { Dim, Shape } from '../../../onnx/model';
import { fixedShape, type KnownElements } from '../../facts';
import type { Call, Rule } from '../call';
import {
  add,
  axisOf,
  ceilDivide,
  Impossible,
  isAtLeast,
  maximum,
  minimum,
  subtract,
} from '../dims';
import { buildElements, elementAt } from '../elements';
import { tensorOf } from '../values';
import { requestedShape } from './reshaping';

/** What is cut along one axis. */
interface Cut {
  readonly start: Dim;
  readonly end: Dim;
  readonly step: Dim;
}

/** Bounds at or beyond this mean "to the end": exporters write INT32_MAX, INT64_MAX and their like. */
const ENDLESS = 2 ** 31 - 1;

/** Starts, ends and axes are attributes before opset 10, and inputs 1 to 4 (with steps) since. */
export const slice: Rule = (call) => {
  const x = call.input(0);
  if (!x.shape) return call.like(undefined);
  const cuts = cutsOf(call, x.shape.length);
  if (!cuts) return call.like(x.shape.map(() => null));
  const shape = x.shape.map((dim, axis) => {
    const cut = cuts.get(axis);
    return cut ? extent(dim, cut) : dim;
  });
  return tensorOf(call.type(0), shape, cutElements(x.elements, shape, cuts));
};

/** By axis; undefined when it is not known which axes are cut. */
function cutsOf(call: Call, rank: number): ReadonlyMap<number, Cut> | undefined {
  const attributes = call.hasAttribute('starts') && !call.has(1);
  const starts = attributes ? call.ints('starts') : requestedShape(call, 1);
  const ends = attributes ? call.ints('ends') : requestedShape(call, 2);
  const count = starts?.length ?? ends?.length;
  const axes = attributes ? call.ints('axes') : call.has(3) ? call.numbers(3) : undefined;
  if (count === undefined || (call.has(3) && !axes)) return undefined;
  const steps = !attributes && call.has(4) ? call.known(4)?.elements : undefined;
  const cuts = new Map<number, Cut>();
  for (let i = 0; i < count; i++) {
    const step = call.has(4) && !attributes ? (steps?.[i] ?? null) : 1;
    if (step === 0) throw new Impossible('a step is 0');
    const axis = axisOf(axes?.[i] ?? i, rank);
    cuts.set(axis, { start: starts?.[i] ?? null, end: ends?.[i] ?? null, step });
  }
  return cuts;
}

function extent(dim: Dim, { start, end, step }: Cut): Dim {
  if (typeof step !== 'number') return null;
  if (step < 0) return backwards(dim, start, end, step);
  const length = subtract(bound(dim, end), bound(dim, start));
  const steps = ceilDivide(length, step);
  return typeof steps === 'number' ? Math.max(0, steps) : steps;
}

/**
 * Where a bound lies on an axis. A symbolic bound is taken to lie within an axis of fixed size, and a negative one
 * within a symbolic axis: models that slice a table to the sequence length mean it so.
 */
function bound(dim: Dim, at: Dim): Dim {
  if (at === null) return null;
  if (typeof at === 'number' && typeof dim === 'number')
    return Math.min(Math.max(at < 0 ? at + dim : at, 0), dim);
  if (typeof at === 'number') {
    if (at >= ENDLESS) return dim;
    if (at <= -ENDLESS) return 0;
    return at < 0 ? add(dim, at) : at === 0 ? 0 : minimum(at, dim);
  }
  if (isAtLeast(0, at)) return typeof dim === 'number' ? add(dim, at) : maximum(add(dim, at), 0);
  return typeof dim === 'number' ? at : minimum(at, dim);
}

function backwards(dim: Dim, start: Dim, end: Dim, step: number): Dim {
  if (typeof start !== 'number' || typeof end !== 'number') return null;
  if (typeof dim === 'number') {
    const [from, to] = reversedBounds(dim, start, end);
    return Math.max(0, Math.ceil((to - from) / step));
  }
  const everything = (start === -1 || start >= ENDLESS) && end <= -ENDLESS;
  return everything ? ceilDivide(dim, -step) : null;
}

/**
 * First and one past the last index of a slice that runs backwards. The runtime takes an endless end as "all the way"
 * in either direction.
 */
function reversedBounds(dim: number, start: number, end: number): [number, number] {
  const from = Math.min(Math.max(start < 0 ? start + dim : start, 0), dim - 1);
  if (end >= ENDLESS) return [from, -1];
  return [from, Math.min(Math.max(end < 0 ? end + dim : end, -1), dim - 1)];
}

function cutElements(
  known: KnownElements | undefined,
  shape: Shape,
  cuts: ReadonlyMap<number, Cut>,
): Dim[] | undefined {
  const dims = fixedShape(shape);
  if (!known || !dims) return undefined;
  const firsts = known.dims.map((dim, axis) => {
    const cut = cuts.get(axis);
    if (!cut) return 0;
    if (typeof cut.step === 'number' && cut.step < 0)
      return reversedBounds(dim, Number(cut.start), Number(cut.end))[0];
    const first = bound(dim, cut.start);
    return typeof first === 'number' ? first : NaN;
  });
  if (firsts.some(Number.isNaN)) return undefined;
  return buildElements(dims, (index) =>
    elementAt(
      known,
      index.map((at, axis) => firsts[axis]! + at * Number(cuts.get(axis)?.step ?? 1)),
    ),
  );
}
