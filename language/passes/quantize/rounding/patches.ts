/** Products of a layer's inputs, from samples of them: what a convolution multiplies at a place counts as one input. */
import { intAttribute, intsAttribute, stringAttribute, type Node } from '../../../graph/graph';
import type { Activations } from '../../pass';

/** How a layer takes its inputs. */
export interface Window {
  /** Inputs of one output. */
  readonly depth: number;
  readonly groups: number;
  readonly over: (run: Activations[number]) => Places;
}

/** The places of a run at which a layer multiplies. */
export interface Places {
  readonly count: number;
  /** What is multiplied there: `depth` numbers of a group. */
  readonly row: (place: number, group: number) => Float32Array;
}

export const rowsWindow = (depth: number): Window => ({
  depth,
  groups: 1,
  over: ({ data }) => ({
    count: data.length / depth,
    row: (place) => data.subarray(place * depth, (place + 1) * depth),
  }),
});

/** @param dims of the weight: outputs, inputs of a group, kernel */
export function convolutionWindow(node: Node, dims: readonly number[]): Window {
  const [, channels, ...sizes] = dims as [number, number, ...number[]];
  const dilations = intsAttribute(node, 'dilations') ?? sizes.map(() => 1);
  const kernel: Kernel = {
    channels,
    offsets: kernelOffsets(sizes).map((taps) => taps.map((tap, i) => tap * dilations[i]!)),
    extent: sizes.map((size, i) => (size - 1) * dilations[i]! + 1),
    strides: intsAttribute(node, 'strides') ?? sizes.map(() => 1),
  };
  return {
    depth: channels * kernel.offsets.length,
    groups: intAttribute(node, 'group', 1),
    over: (run) => new Patches(node, kernel, run),
  };
}

interface Kernel {
  /** Of a group. */
  readonly channels: number;
  /** Of each tap from the first, in pixels. */
  readonly offsets: readonly (readonly number[])[];
  readonly extent: readonly number[];
  readonly strides: readonly number[];
}

/** The patches under a kernel, over one run [batch, channels, …]. */
class Patches implements Places {
  readonly count: number;
  readonly #sizes: readonly number[];
  readonly #pads: readonly number[];
  /** Places along each axis. */
  readonly #counts: readonly number[];

  constructor(
    node: Node,
    private readonly kernel: Kernel,
    private readonly run: Activations[number],
  ) {
    const { extent, strides } = kernel;
    const [batch = 0, , ...sizes] = run.dims;
    const pads = padsOf(node, sizes, extent, strides);
    this.#sizes = sizes;
    this.#pads = pads;
    this.#counts = sizes.map(
      (size, i) =>
        Math.floor((size + pads[i]! + pads[i + sizes.length]! - extent[i]!) / strides[i]!) + 1,
    );
    this.count = this.#counts.reduce((a, b) => a * b, batch);
  }

  row(place: number, group: number): Float32Array {
    const { channels, offsets, strides } = this.kernel;
    const [sizes, counts] = [this.#sizes, this.#counts];
    const pixels = sizes.reduce((a, b) => a * b, 1);
    const corner: number[] = [];
    let left = place;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      corner[axis] = (left % counts[axis]!) * strides[axis]! - this.#pads[axis]!;
      left = Math.floor(left / counts[axis]!);
    }
    const image = (left * this.run.dims[1]! + group * channels) * pixels;
    const out = new Float32Array(channels * offsets.length);
    for (const [tap, offset] of offsets.entries()) {
      const pixel = this.#pixel(corner, offset);
      if (pixel < 0) continue;
      for (let channel = 0; channel < channels; channel++)
        out[channel * offsets.length + tap] = this.run.data[image + channel * pixels + pixel]!;
    }
    return out;
  }

  /** The pixel under a tap, or −1 outside of the picture. */
  #pixel(corner: readonly number[], offset: readonly number[]): number {
    let pixel = 0;
    for (const [axis, size] of this.#sizes.entries()) {
      const at = corner[axis]! + offset[axis]!;
      if (at < 0 || at >= size) return -1;
      pixel = pixel * size + at;
    }
    return pixel;
  }
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
  const [ownPlaces, changedPlaces] = [own, changed].map((runs) => runs.map(window.over)) as [
    Places[],
    Places[],
  ];
  const total = ownPlaces.reduce((sum, { count }) => sum + count, 0);
  const step = Math.max(1, total / PLACES);
  let before = 0;
  let taken = 0;
  ownPlaces.forEach((places, r) => {
    const end = before + places.count;
    for (let place = placeOf(taken, step); place < end; place = placeOf(++taken, step))
      for (let group = 0; group < groups; group++) {
        const x = changedPlaces[r]!.row(place - before, group);
        addProducts(x, places.row(place - before, group), out[group]!);
      }
    before = end;
  });
  return out;
}

/** A place in each stretch of `step`, by the golden ratio, so that no column of pixels is met again and again. */
const placeOf = (i: number, step: number): number =>
  Math.floor(i * step + ((i * 0.618034) % 1) * (step - 1));

function addProducts(x: Float32Array, y: Float32Array, { gram, cross }: Products): void {
  const depth = x.length;
  for (let i = 0; i < depth; i++) {
    const xi = x[i]!;
    if (xi === 0) continue;
    const at = i * depth;
    for (let j = 0; j < depth; j++) {
      gram[at + j]! += xi * x[j]!;
      cross[at + j]! += xi * y[j]!;
    }
  }
}
