/** Weights in crossbars, and the time to read them: what all models of ReRAM share. */
import { elementBits, isInteger, type ElementType } from '../onnx/schema';
import type { Gemm } from './gemm';
import { product } from './operators/operator';
import type { ReramProfile } from './profile';
import type { Workload } from './workload';

/** How a layer's weights lie in crossbars. */
export interface Mapping {
  /** Cells side by side for one weight. */
  readonly slices: number;
  /** Crossbars that the inputs, and the outputs, of a product are spread over. */
  readonly rowBlocks: number;
  readonly columnBlocks: number;
  /** Rows driven and columns read in a full crossbar of the layer. */
  readonly activeRows: number;
  readonly activeColumns: number;
  /** Crossbars of one copy, both polarities included. */
  readonly crossbars: number;
}

/** @param windowSize elements of a window that one input channel contributes: the kernel's area */
export function mapWeights(
  gemm: Gemm,
  { crossbar }: Pick<ReramProfile, 'crossbar'>,
  weightBits: number,
  windowSize = 1,
): Mapping {
  const { rows, columns, cellBits, wholeKernels } = crossbar;
  const usableRows =
    wholeKernels && windowSize <= rows ? Math.floor(rows / windowSize) * windowSize : rows;
  // A sign that has cells of its own is no bit of the others.
  const slices = Math.ceil((weightBits - (hasSignCells({ crossbar }) ? 1 : 0)) / cellBits);
  const isSideBySide = crossbar.slices === 'side by side';
  const signs = crossbar.polarity === 'two-column' ? 2 : 1;
  const width = signs * (isSideBySide ? gemm.n * slices : gemm.n);
  const rowBlocks = Math.ceil(gemm.k / usableRows);
  const columnBlocks = Math.ceil(width / columns) * (isSideBySide ? 1 : slices);
  // Small independent products (depthwise) share a crossbar along its diagonal.
  const together = Math.max(
    1,
    Math.min(gemm.count, Math.floor(usableRows / gemm.k), Math.floor(columns / width)),
  );
  const perCopy = Math.ceil(gemm.count / together) * rowBlocks * columnBlocks;
  return {
    slices,
    rowBlocks,
    columnBlocks,
    activeRows: Math.min(gemm.k * together, usableRows),
    activeColumns: Math.min(width * together, columns),
    crossbars: perCopy * polaritiesOf({ crossbar }),
  };
}

/** Time of the analog path for one output position, stage by stage, in ns. */
export interface AnalogTime {
  /** Reads of the array: input slices × groups of rows × groups of columns. */
  readonly reads: number;
  readonly dacNs: number;
  readonly crossbarNs: number;
  readonly adcNs: number;
  /** From one position to the next: the sum of the stages, or the longest where they overlap. */
  readonly intervalNs: number;
}

export function analogTime(
  { activeRows, activeColumns }: Pick<Mapping, 'activeRows' | 'activeColumns'>,
  inputBits: number,
  { dacBits, dacs, dacNs, readNs, adcs, adcNs, pipelined }: ReramProfile['analog'],
): AnalogTime {
  const columnGroups = Math.ceil(activeColumns / adcs);
  const drives = Math.ceil(inputBits / dacBits) * Math.ceil(activeRows / dacs);
  const conversions = drives * columnGroups;
  // Held in the sample-and-hold of its column, a read serves all conversions where stages overlap.
  const reads = pipelined ? drives : conversions;
  const stages = { dacNs: reads * dacNs, crossbarNs: reads * readNs, adcNs: conversions * adcNs };
  const all = Object.values(stages);
  const intervalNs = pipelined ? Math.max(...all) : all.reduce((a, b) => a + b, 0);
  return { reads, ...stages, intervalNs };
}

/** Bits of codes; floating point becomes fixed point of the profile's widths. */
export const weightBitsOf = ({ weightType }: Workload, profile: ReramProfile): number =>
  bitsOf(weightType, profile.floatBits);

export const inputBitsOf = ({ inputType }: Workload, profile: ReramProfile): number =>
  bitsOf(inputType, profile.floatInputBits ?? profile.floatBits);

export const outputBitsOf = ({ outputType }: Workload, profile: ReramProfile): number =>
  bitsOf(outputType, profile.floatInputBits ?? profile.floatBits);

const bitsOf = (type: ElementType | undefined, ofFloat: number): number =>
  type !== undefined && isInteger(type) ? elementBits(type) : ofFloat;

/** Elements of a window that one input channel contributes; a transposed convolution multiplies single elements. */
export const windowOf = ({ conv }: Pick<Workload, 'conv'>): number =>
  conv && !conv.transposed ? product(conv.kernel) : 1;

/** Positive and negative weights lie in cells of their own. */
export const hasSignCells = ({ crossbar }: Pick<ReramProfile, 'crossbar'>): boolean =>
  crossbar.polarity !== 'offset';

/** The profile as a layer uses it: with the slicing and the mapping that a step gave its weights. */
export function laidOut<P extends ReramProfile>(
  { placement }: Pick<Workload, 'placement'>,
  profile: P,
): P {
  if (!placement) return profile;
  const { crossbar } = profile;
  const cellBits = Math.min(placement.cellBits, crossbar.cellBits);
  return { ...profile, crossbar: { ...crossbar, cellBits, polarity: placement.polarity } };
}

/** How often a layer's weights are there. */
export const copiesOf = (
  { placement }: Workload,
  positions: number,
  { stepsPerLayer }: ReramProfile,
): number => placement?.copies ?? (Math.ceil(positions / (stepsPerLayer ?? Infinity)) || 1);

/** Crossbars that hold one polarity of a weight each. */
export const polaritiesOf = ({ crossbar }: Pick<ReramProfile, 'crossbar'>): number =>
  crossbar.polarity === 'differential' ? 2 : 1;

/**
 * The product without rows and columns of zeros, where the crossbars are filled that way. Whole kernels go or stay, since
 * a crossbar takes nothing less.
 */
export function compacted(
  gemm: Gemm,
  workload: Workload,
  { crossbar }: Pick<ReramProfile, 'crossbar'>,
): Gemm {
  if (!crossbar.compaction || gemm.count > 1 || workload.sparsity().density === 1) return gemm;
  const { filledRows, filledColumns } = workload.structure();
  const step = crossbar.wholeKernels ? windowOf(workload) : 1;
  const rows = Math.ceil((gemm.k * filledRows) / step - 1e-9) * step;
  const columns = Math.ceil(gemm.n * filledColumns - 1e-9);
  return { ...gemm, k: Math.max(step, rows), n: Math.max(1, columns) };
}
