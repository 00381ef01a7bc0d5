/** Pooling, reductions, resizing, sorting and transforms. */
import { intAttribute, intsAttribute, stringAttribute } from '../../graph/graph';
import { poolLoops } from './convolution';
import { NotKnown, product, type Count, type NodeReading, type Operator } from './operator';

const perInput = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.input(0)) });

/** Every output looks at its whole window. */
const pooling =
  (ops: number, channelsLast = false) =>
  (node: NodeReading) => ({
    ops: ops * product(node.output()) * product(intsAttribute(node.node, 'kernel_shape') ?? []),
    ...windowOf(node, channelsLast),
  });

const globalPooling = (ops: number) => (node: NodeReading) => ({
  ...perInput(ops)(node),
  ...windowOf(node),
});

function windowOf(node: NodeReading, channelsLast = false): Pick<Count, 'window'> {
  const isLast = channelsLast || intAttribute(node.node, 'channels_last', 0) === 1;
  const window = poolLoops(node, isLast);
  return window ? { window } : {};
}

/** Interpolation along each axis that changes size: so many products and one addition less. */
function resize(node: NodeReading): Count {
  const mode = stringAttribute(node.node, 'mode', 'nearest');
  const taps = mode === 'nearest' ? 0 : mode === 'cubic' ? 4 : 2;
  const input = node.input(0);
  const output = node.output();
  const changed = output.filter((size, axis) => size !== input[axis]).length;
  return { ops: product(output) * changed * Math.max(0, 2 * taps - 1) };
}

/** Coordinates, four products and three additions per sample. */
const GRID_SAMPLE_OPS = 7;

function gridSample(node: NodeReading): Count {
  const mode = stringAttribute(node.node, 'mode', 'linear');
  return { ops: product(node.output()) * (mode === 'nearest' ? 0 : GRID_SAMPLE_OPS) };
}

function roiAlign(node: NodeReading): Count {
  const samples = Math.max(1, intAttribute(node.node, 'sampling_ratio', 0));
  return { ops: product(node.output()) * samples ** 2 * (GRID_SAMPLE_OPS + 1) };
}

/** A comparison per element and level of a heap of k, or of a full sort. */
function topK(node: NodeReading): Count {
  const axis = intAttribute(node.node, 'axis', -1);
  const kept = node.output().at(axis) ?? 1;
  return { ops: product(node.input(0)) * Math.ceil(Math.log2(kept + 1)) };
}

const sorted = (node: NodeReading): Count => {
  const elements = product(node.input(0));
  return { ops: elements * Math.ceil(Math.log2(elements + 1)) };
};

/** Overlap of every box with every other, per class: at most. */
function suppression(node: NodeReading): Count {
  const [batch = 1, boxes = 1] = node.input(0);
  const classes = node.input(1)[1] ?? 1;
  return { ops: batch * classes * boxes * Math.ceil(Math.log2(boxes + 1)) };
}

/** A Fourier transform of n points as 5·n·log2 n operations, the count that FFT benchmarks use. */
const fft = (points: number): number => 5 * points * Math.ceil(Math.log2(Math.max(2, points)));

function dft(node: NodeReading): Count {
  const shape = node.input(0);
  const axis = node.known(2)?.[0] ?? intAttribute(node.node, 'axis', 1);
  const points = node.known(1)?.[0] ?? shape.at(axis) ?? 1;
  return { ops: (product(shape.slice(0, -1)) / (shape.at(axis) ?? 1)) * fft(points) };
}

function stft(node: NodeReading): Count {
  const [batch = 1, frames = 1] = node.output();
  const points = node.known(3)?.[0] ?? (node.has(2) ? node.input(2)[0] : undefined);
  if (points === undefined) throw new NotKnown('its frame length is not known');
  return { ops: batch * frames * (points + fft(points)) };
}

const SETTINGS = [1, 2, 3];

export const SAMPLING: Readonly<Record<string, Operator>> = {
  MaxPool: { kind: 'pooling', count: pooling(1) },
  AveragePool: { kind: 'pooling', count: pooling(1) },
  LpPool: { kind: 'pooling', count: pooling(2) },
  GlobalMaxPool: { kind: 'pooling', count: globalPooling(1) },
  GlobalAveragePool: { kind: 'pooling', count: globalPooling(1) },
  GlobalLpPool: { kind: 'pooling', count: globalPooling(2) },
  MaxRoiPool: { kind: 'pooling', count: perInput(1) },
  MaxUnpool: { kind: 'movement', count: () => ({ ops: 0 }), settings: [2] },
  RoiAlign: { kind: 'pooling', count: roiAlign },
  'com.microsoft:NhwcMaxPool': { kind: 'pooling', count: pooling(1, true) },
  'com.microsoft:QLinearAveragePool': {
    kind: 'pooling',
    count: pooling(1),
    settings: [1, 2, 3, 4],
  },
  'com.microsoft:QLinearGlobalAveragePool': {
    kind: 'pooling',
    count: globalPooling(1),
    settings: [1, 2, 3, 4],
  },
  'com.microsoft:QLinearReduceMean': {
    kind: 'reduction',
    count: perInput(1),
    settings: [1, 2, 3, 4],
  },
  ReduceSum: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceMean: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceMax: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceMin: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceProd: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceL1: { kind: 'reduction', count: perInput(2), settings: [1] },
  ReduceL2: { kind: 'reduction', count: perInput(2), settings: [1] },
  ReduceSumSquare: { kind: 'reduction', count: perInput(2), settings: [1] },
  ReduceLogSum: { kind: 'reduction', count: perInput(1), settings: [1] },
  ReduceLogSumExp: { kind: 'reduction', count: perInput(4), settings: [1] },
  ArgMax: { kind: 'reduction', count: perInput(1) },
  ArgMin: { kind: 'reduction', count: perInput(1) },
  CumSum: { kind: 'reduction', count: perInput(1), settings: [1] },
  CumProd: { kind: 'reduction', count: perInput(1), settings: [1] },
  TopK: { kind: 'reduction', count: topK, settings: [1] },
  Unique: { kind: 'reduction', count: sorted },
  NonMaxSuppression: { kind: 'reduction', count: suppression, settings: [2, 3, 4] },
  Det: { kind: 'reduction', count: (node) => ({ ops: cube(node) / 3 }) },
  'com.microsoft:Inverse': { kind: 'reduction', count: (node) => ({ ops: cube(node) }) },
  Resize: { kind: 'resize', count: resize, settings: SETTINGS },
  Upsample: { kind: 'resize', count: resize, settings: [1] },
  GridSample: { kind: 'resize', count: gridSample },
  AffineGrid: {
    kind: 'resize',
    count: (node) => ({ ops: product(node.output()) * 2 * node.input(0).at(-1)! }),
    settings: [1],
  },
  DFT: { kind: 'reduction', count: dft, settings: [1, 2] },
  STFT: { kind: 'reduction', count: stft, settings: [1, 2, 3] },
};

/** n³ for each n×n matrix of a stack. */
function cube(node: NodeReading): number {
  const shape = node.input(0);
  return product(shape) * (shape.at(-1) ?? 1);
}
