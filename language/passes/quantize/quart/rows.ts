/** Convolutions and products as one product of matrices per group: rows of inputs by a matrix of K × N weights. */
import { intAttribute, type Graph } from '../../../graph/graph';
import { tensorNumbers } from '../../../onnx/tensor';
import type { Layer } from '../../layers';
import type { Matrix } from '../../linear';
import type { Activations } from '../../pass';
import { convolutionWindow, rowsWindow, type Window } from '../rounding/patches';

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
  readonly window: Window;
  /** The stored weight is N × K, as that of a convolution always is. */
  readonly transposed: boolean;
}

export function shapeOf(graph: Graph, layer: Layer): Shape {
  const node = graph.node(layer.node)!;
  const { tensor, views } = layer.weight;
  const [first, second] = tensor.dims as [number, number, ...number[]];
  if (layer.kind === 'conv') {
    const window = convolutionWindow(node, tensor.dims);
    const { groups, depth: rows } = window;
    return { groups, rows, columns: first / groups, window, transposed: true };
  }
  const flips = views.filter((view) => view.op === 'Transpose').length;
  const transposed = (flips + intAttribute(node, 'transB', 0)) % 2 === 1;
  const [rows, columns] = transposed ? [second, first] : [first, second];
  return { groups: 1, rows, columns, window: rowsWindow(rows), transposed };
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
export function rowsOf(
  activations: Activations,
  { rows: size, window }: Shape,
  group: number,
  most: number,
): Rows {
  const places = activations.map(window.over);
  const total = places.reduce((sum, { count }) => sum + count, 0);
  const picker = new Picker(total, most);
  const data: Float32Array[] = [];
  let first = 0;
  for (const run of places) {
    for (const place of picker.within(first, run.count)) data.push(run.row(place, group));
    first += run.count;
  }
  const out = new Float32Array(data.length * size);
  data.forEach((row, i) => out.set(row, i * size));
  return { count: data.length, size, data: out };
}
