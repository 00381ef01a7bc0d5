/** Convolutions and products as one product of matrices per group: rows of inputs by a matrix of K × N weights. */
import {
  intAttribute,
  intsAttribute,
  stringAttribute,
  type Graph,
  type Node,
} from '../../../graph/graph';
import { tensorNumbers } from '../../../onnx/tensor';
import type { Layer } from '../../layers';
import type { Matrix } from '../../linear';
import type { Activations } from '../../pass';

/** Inputs of a layer as rows: one per output position, of the elements that one output is summed from. */
export interface Rows {
  readonly count: number;
  readonly size: number;
  readonly data: Float32Array;
}

export interface Shape {
  readonly groups: number;
  /** K and N of each group. */
  readonly rows: number;
  readonly columns: number;
  /** Of a convolution: what its window is. */
  readonly window: Window | undefined;
  /** The stored weight is N × K, as that of a convolution always is. */
  readonly transposed: boolean;
}

interface Window {
  readonly channels: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before each axis, then behind each; undefined where the extent of the input decides. */
  readonly pads: readonly number[] | undefined;
  readonly padMore: 'before' | 'behind';
}

export function shapeOf(graph: Graph, layer: Layer): Shape {
  const node = graph.node(layer.node)!;
  const { tensor, views } = layer.weight;
  if (layer.kind !== 'conv') {
    const flips = views.filter((view) => view.op === 'Transpose').length;
    const transposed = (flips + intAttribute(node, 'transB', 0)) % 2 === 1;
    const [first, second] = tensor.dims as [number, number];
    const [rows, columns] = transposed ? [second, first] : [first, second];
    return { groups: 1, rows, columns, window: undefined, transposed };
  }
  const groups = intAttribute(node, 'group', 1);
  const [outputs, channels, ...kernel] = tensor.dims as [number, number, ...number[]];
  const rows = channels * kernel.reduce((a, b) => a * b, 1);
  const window = { channels, kernel, ...placement(node, kernel.length) };
  return { groups, rows, columns: outputs / groups, window, transposed: true };
}

function placement(
  node: Node,
  axes: number,
): Pick<Window, 'strides' | 'dilations' | 'pads' | 'padMore'> {
  const ones = new Array<number>(axes).fill(1);
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  const zeros = new Array<number>(2 * axes).fill(0);
  return {
    strides: intsAttribute(node, 'strides') ?? ones,
    dilations: intsAttribute(node, 'dilations') ?? ones,
    pads: auto.startsWith('SAME') ? undefined : (intsAttribute(node, 'pads') ?? zeros),
    padMore: auto === 'SAME_LOWER' ? 'before' : 'behind',
  };
}

/** The weights of one group, input channels first. */
export function groupMatrix(
  layer: Layer,
  { rows, columns, transposed }: Shape,
  group: number,
): Matrix {
  const stored = tensorNumbers(layer.weight.tensor);
  const values = new Float32Array(rows * columns);
  const from = group * rows * columns;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      values[row * columns + column] =
        stored[from + (transposed ? column * rows + row : row * columns + column)]!;
  return { rows, columns, values };
}

/** Which rows are looked at: so many, evenly spread. */
export class Picker {
  readonly #step: number;
  constructor(total: number, most: number) {
    this.#step = Math.max(1, total / most);
  }
  /** Of a run whose first row is the `first` of all. */
  *within(first: number, count: number): Generator<number> {
    for (let i = Math.ceil(first / this.#step); ; i++) {
      const row = Math.floor(i * this.#step) - first;
      if (row >= count) return;
      if (row >= 0) yield row;
    }
  }
}

/** At most `most` rows of the inputs of one group. */
export function rowsOf(activations: Activations, shape: Shape, group: number, most: number): Rows {
  const { rows: size, window } = shape;
  const places = activations.map((run) =>
    window ? new Places(run.dims, window) : { count: run.data.length / size },
  );
  const total = places.reduce((sum, { count }) => sum + count, 0);
  const picker = new Picker(total, most);
  const data: Float32Array[] = [];
  let first = 0;
  activations.forEach((run, i) => {
    const place = places[i]!;
    for (const row of picker.within(first, place.count)) {
      if (place instanceof Places) data.push(place.row(run.data, row, group));
      else data.push(run.data.subarray(row * size, (row + 1) * size));
    }
    first += place.count;
  });
  const out = new Float32Array(data.length * size);
  data.forEach((row, i) => out.set(row, i * size));
  return { count: data.length, size, data: out };
}

/** The windows of a convolution over one input [batch, channels, …]. */
class Places {
  readonly count: number;
  readonly #output: readonly number[];
  readonly #before: readonly number[];
  readonly #spatial: readonly number[];

  constructor(
    private readonly dims: readonly number[],
    private readonly window: Window,
  ) {
    const { kernel, strides, dilations, pads, padMore } = window;
    this.#spatial = dims.slice(2);
    const extents = kernel.map((taps, axis) => (taps - 1) * dilations[axis]! + 1);
    const before: number[] = [];
    this.#output = this.#spatial.map((size, axis) => {
      const stride = strides[axis]!;
      if (pads) {
        before.push(pads[axis]!);
        const padded = size + pads[axis]! + pads[kernel.length + axis]!;
        return Math.floor((padded - extents[axis]!) / stride) + 1;
      }
      const output = Math.ceil(size / stride);
      const missing = Math.max(0, (output - 1) * stride + extents[axis]! - size);
      before.push(padMore === 'before' ? Math.ceil(missing / 2) : Math.floor(missing / 2));
      return output;
    });
    this.#before = before;
    this.count = dims[0]! * this.#output.reduce((a, b) => a * b, 1);
  }

  row(data: Float32Array, place: number, group: number): Float32Array {
    const { channels, kernel, strides, dilations } = this.window;
    const spatial = this.#spatial;
    const corner: number[] = [];
    let rest = place;
    for (let axis = spatial.length - 1; axis >= 0; axis--) {
      const size = this.#output[axis]!;
      corner[axis] = (rest % size) * strides[axis]! - this.#before[axis]!;
      rest = Math.floor(rest / size);
    }
    const taps = kernel.reduce((a, b) => a * b, 1);
    const pixels = spatial.reduce((a, b) => a * b, 1);
    const image = (rest * this.dims[1]! + group * channels) * pixels;
    const out = new Float32Array(channels * taps);
    for (let tap = 0; tap < taps; tap++) {
      const at = this.#pixel(corner, tap, dilations);
      if (at < 0) continue;
      for (let channel = 0; channel < channels; channel++)
        out[channel * taps + tap] = data[image + channel * pixels + at]!;
    }
    return out;
  }

  /** The pixel under a tap, or −1 outside of the picture. */
  #pixel(corner: readonly number[], tap: number, dilations: readonly number[]): number {
    const { kernel } = this.window;
    let [at, unit, rest] = [0, 1, tap];
    for (let axis = kernel.length - 1; axis >= 0; axis--) {
      const position = corner[axis]! + (rest % kernel[axis]!) * dilations[axis]!;
      rest = Math.floor(rest / kernel[axis]!);
      if (position < 0 || position >= this.#spatial[axis]!) return -1;
      at += position * unit;
      unit *= this.#spatial[axis]!;
    }
    return at;
  }
}
