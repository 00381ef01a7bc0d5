/** Products of a layer's inputs, from samples of them: what a convolution multiplies at a place counts as one input. */
import { intAttribute, intsAttribute, stringAttribute, type Node } from '../../../graph/graph';
import type { Activations } from '../../pass';

/** How a layer takes its inputs. */
export interface Window {
  /** Inputs of one output. */
  readonly depth: number;
  readonly groups: number;
  /** Copies the inputs at some place of a run: one stretch of `depth` numbers per group. */
  readonly read: (run: Activations[number], place: number, into: Float64Array) => void;
  /** Places in a run. */
  readonly places: (run: Activations[number]) => number;
}

export const rowsWindow = (depth: number): Window => ({
  depth,
  groups: 1,
  places: ({ data }) => data.length / depth,
  read({ data }, place, into) {
    into.set(data.subarray(place * depth, (place + 1) * depth));
  },
});

/** @param dims of the weight: outputs, inputs of a group, kernel */
export function convolutionWindow(node: Node, dims: readonly number[]): Window {
  const [, channels, ...kernel] = dims as [number, number, ...number[]];
  const groups = intAttribute(node, 'group', 1);
  const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1);
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1);
  const offsets = kernelOffsets(kernel);
  const depth = channels * offsets.length;
  const extent = kernel.map((size, i) => (size - 1) * dilations[i]! + 1);
  const placesAlong = (sizes: readonly number[]) => {
    const pads = padsOf(node, sizes, extent, strides);
    return sizes.map(
      (size, i) =>
        Math.floor((size + pads[i]! + pads[i + sizes.length]! - extent[i]!) / strides[i]!) + 1,
    );
  };
  return {
    depth,
    groups,
    places: ({ dims: [batch = 0, , ...sizes] }) =>
      placesAlong(sizes).reduce((a, b) => a * b, batch),
    read({ dims: [, all = 0, ...sizes], data }, place, into) {
      const counts = placesAlong(sizes);
      const pads = padsOf(node, sizes, extent, strides);
      const pixels = sizes.reduce((a, b) => a * b, 1);
      const corner: number[] = [];
      let left = place;
      for (let axis = sizes.length - 1; axis >= 0; axis--) {
        corner[axis] = (left % counts[axis]!) * strides[axis]! - pads[axis]!;
        left = Math.floor(left / counts[axis]!);
      }
      for (const [k, offset] of offsets.entries()) {
        let pixel = 0;
        for (let axis = 0; axis < sizes.length && pixel >= 0; axis++) {
          const at = corner[axis]! + offset[axis]! * dilations[axis]!;
          pixel = at >= 0 && at < sizes[axis]! ? pixel * sizes[axis]! + at : -1;
        }
        for (let channel = 0; channel < channels * groups; channel++)
          into[channel * offsets.length + k] =
            pixel < 0 ? 0 : data[(left * all + channel) * pixels + pixel]!;
      }
    },
  };
}

function kernelOffsets(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (all, size) => all.flatMap((offset) => Array.from({ length: size }, (_, i) => [...offset, i])),
    [[]],
  );
}

/** Of the beginnings of all axes, then of their ends. */
function padsOf(
  node: Node,
  sizes: readonly number[],
  extent: readonly number[],
  strides: readonly number[],
): readonly number[] {
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (automatic === 'NOTSET') return intsAttribute(node, 'pads') ?? sizes.flatMap(() => [0, 0]);
  if (automatic === 'VALID') return sizes.flatMap(() => [0, 0]);
  const whole = sizes.map((size, i) =>
    Math.max(0, (Math.ceil(size / strides[i]!) - 1) * strides[i]! + extent[i]! - size),
  );
  const less = whole.map((pad) => Math.floor(pad / 2));
  const more = whole.map((pad, i) => pad - less[i]!);
  return automatic === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less];
}

/** Places that are looked at, spread over all samples. */
const PLACES = 4096;

export interface Products {
  /** Σ x̂x̂ᵀ. */
  readonly gram: Float64Array;
  /** Σ x̂xᵀ. */
  readonly cross: Float64Array;
}

/**
 * @param changed the inputs x̂ as changed layers before make them, and `own` x as they were, run for run
 * @returns one entry per group
 */
export function productsOf(window: Window, changed: Activations, own: Activations): Products[] {
  const { depth, groups } = window;
  const out = Array.from({ length: groups }, () => ({
    gram: new Float64Array(depth * depth),
    cross: new Float64Array(depth * depth),
  }));
  const [x, y] = [new Float64Array(depth * groups), new Float64Array(depth * groups)];
  const total = own.reduce((sum, run) => sum + window.places(run), 0);
  const step = Math.max(1, total / PLACES);
  let before = 0;
  let taken = 0;
  own.forEach((run, r) => {
    const count = window.places(run);
    for (let place = placeOf(taken, step); place < before + count; place = placeOf(++taken, step)) {
      window.read(changed[r]!, place - before, x);
      window.read(run, place - before, y);
      for (let group = 0; group < groups; group++)
        addProducts(x, y, group * depth, depth, out[group]!);
    }
    before += count;
  });
  return out;
}

/** A place in each stretch of `step`, by the golden ratio, so that no column of pixels is met again and again. */
const placeOf = (i: number, step: number): number =>
  Math.floor(i * step + ((i * 0.618034) % 1) * (step - 1));

function addProducts(
  x: Float64Array,
  y: Float64Array,
  from: number,
  depth: number,
  { gram, cross }: Products,
): void {
  for (let i = 0; i < depth; i++) {
    const xi = x[from + i]!;
    if (xi === 0) continue;
    const at = i * depth;
    for (let j = 0; j < depth; j++) {
      gram[at + j]! += xi * x[from + j]!;
      cross[at + j]! += xi * y[from + j]!;
    }
  }
}
