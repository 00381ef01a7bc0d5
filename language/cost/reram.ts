/**
 * ReRAM crossbars. Weights are cut into slices of a few bits per cell and stay in the arrays; inputs are applied bit by
 * bit, columns are converted and added up. The timing of one output position is that of MNSIM 2.0 (Zhu et al., TCAD 2023)
 * where stages add up, and that of ISAAC (Shafiee et al., ISCA 2016) where they overlap. Arithmetic without constant
 * weights is digital.
 */
import { elementBits, isInteger, type ElementType } from '../onnx/schema';
import { gemmOf, type Gemm } from './gemm';
import { product } from './operators/operator';
import { longest, phase, type Cost, type Layer, type Phase } from './phases';
import type { ReramProfile } from './profile';
import type { Workload } from './workload';

export function reramCost({ workload }: Layer, profile: ReramProfile): Cost {
  const gemm = gemmOf(workload);
  const holdsWeights = workload.conv ?? workload.matmul?.constant;
  return gemm && holdsWeights ? onCrossbars(workload, gemm, profile) : digital(workload, profile);
}

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
  const isDifferential = crossbar.polarity === 'differential';
  const slices = Math.ceil((weightBits - (isDifferential ? 1 : 0)) / cellBits);
  const isSideBySide = crossbar.slices === 'side by side';
  const width = isSideBySide ? gemm.n * slices : gemm.n;
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
    crossbars: perCopy * (isDifferential ? 2 : 1),
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

function onCrossbars(workload: Workload, gemm: Gemm, profile: ReramProfile): Cost {
  const { crossbar, analog, tile } = profile;
  const weightBits = fixedPointBits(workload.weightType, profile);
  const inputBits = fixedPointBits(workload.inputType, profile);
  const mapping = mapWeights(gemm, profile, weightBits, product(workload.conv?.kernel ?? [1]));
  const copies = Math.ceil(gemm.m / (profile.stepsPerLayer ?? Infinity)) || 1;
  const steps = Math.ceil(gemm.m / copies);
  const crossbars = mapping.crossbars * copies;
  const tiles = Math.ceil(crossbars / tile.crossbars);
  const time = analogTime(mapping, inputBits, analog);
  const phases = layerPhases(workload, { steps, tiles, intervalNs: time.intervalNs }, profile);
  const cells = gemm.count * gemm.n * gemm.k * mapping.slices;
  const filled = cells / (mapping.crossbars * crossbar.rows * crossbar.columns);
  const energy = analogPj({ workload, gemm, mapping, filled, inputBits }, profile);
  return {
    phases,
    energyMj: (energy.pj + movementPj(workload, inputBits, gemm, profile)) * 1e-9,
    peakMacsPerMs: peakMacsPerMs(crossbars, mapping, inputBits, profile),
    crossbars,
    tiles,
    mapping: describe(mapping, { copies, crossbars, tiles, filled }),
    ...(energy.estimated && { estimated: true }),
  };
}

/** Bits of codes; floating point becomes fixed point of the profile's width. */
function fixedPointBits(type: ElementType | undefined, { floatBits }: ReramProfile): number {
  return type !== undefined && isInteger(type) ? elementBits(type) : floatBits;
}

interface Schedule {
  readonly steps: number;
  readonly tiles: number;
  readonly intervalNs: number;
}

/** Crossbars, buffers and links: one after another for each position, or side by side once the pipeline is full. */
function layerPhases(
  workload: Workload,
  { steps, tiles, intervalNs }: Schedule,
  { analog, tile, pipelineStages }: ReramProfile,
): Phase[] {
  const moved = (workload.inputBytes ?? 0) + (workload.outputBytes ?? 0);
  const work = [
    phase('crossbars', steps * intervalNs * 1e-6, 'compute'),
    phase('buffers', moved / (tile.bufferGbPerS * tiles * 1e6), 'activation bandwidth'),
    phase('links', (workload.outputBytes ?? 0) / (tile.linkGbPerS * tiles * 1e6), 'transfer'),
  ];
  const fill = phase('pipeline fill', pipelineStages * analog.readNs * 1e-6, 'overhead');
  return analog.pipelined ? [longest(...work), fill] : [...work, fill];
}

interface AnalogWork {
  readonly workload: Workload;
  readonly gemm: Gemm;
  readonly mapping: Mapping;
  /** Share of the cells that hold weights. */
  readonly filled: number;
  readonly inputBits: number;
}

function analogPj(
  { workload, gemm, mapping, filled, inputBits }: AnalogWork,
  { analog, crossbar, energyPj }: ReramProfile,
): { pj: number; estimated: boolean } {
  const isDifferential = crossbar.polarity === 'differential';
  const polarities = isDifferential ? 2 : 1;
  const drives =
    gemm.m * Math.ceil(inputBits / analog.dacBits) * Math.ceil(mapping.activeRows / analog.dacs);
  const columns = gemm.count * gemm.n * mapping.slices * polarities;
  const offsetColumns = isDifferential ? 0 : mapping.crossbars / mapping.rowBlocks;
  const conversions = drives * mapping.rowBlocks * (columns + offsetColumns);
  const rows = drives * gemm.count * gemm.k * mapping.columnBlocks * polarities;
  // With both polarities a zero weight leaves its cells at high resistance, where they draw next to nothing.
  const { density, estimated } = isDifferential
    ? workload.sparsity()
    : { density: 1, estimated: false };
  const reads = drives * mapping.crossbars * filled * density;
  return {
    pj:
      conversions * (energyPj.adc + energyPj.shiftAdd) +
      rows * energyPj.dacRow +
      reads * energyPj.crossbarRead +
      (workload.ops ?? 0) * energyPj.op,
    estimated,
  };
}

/** Windows read from the buffers, outputs written to them and sent on. */
function movementPj(
  { outputBytes }: Workload,
  inputBits: number,
  { count, m, k }: Gemm,
  { energyPj }: ReramProfile,
): number {
  const outputBits = (outputBytes ?? 0) * 8;
  const bufferBits = count * m * k * inputBits + outputBits;
  return bufferBits * energyPj.bufferPerBit + outputBits * energyPj.linkPerBit;
}

/** With every cell of the layer's crossbars at work. */
function peakMacsPerMs(
  crossbars: number,
  { slices }: Mapping,
  inputBits: number,
  { crossbar, analog }: ReramProfile,
): number {
  const full = { activeRows: crossbar.rows, activeColumns: crossbar.columns };
  const weights = (crossbars * crossbar.rows * crossbar.columns) / slices;
  const polarities = crossbar.polarity === 'differential' ? 2 : 1;
  return (weights / polarities / analogTime(full, inputBits, analog).intervalNs) * 1e6;
}

// ---- digital

function digital(workload: Workload, profile: ReramProfile): Cost {
  const { tile, energyPj } = profile;
  const macs = workload.macs ?? 0;
  const ops = workload.ops ?? 0;
  const arithmetic =
    macs / (profile.digital.gmacPerS * 1e6) + ops / (profile.digital.gopPerS * 1e6);
  const moved = (workload.inputBytes ?? 0) + (workload.outputBytes ?? 0) + workload.weightReadBytes;
  return {
    phases: [
      longest(
        phase('digital units', arithmetic, 'compute'),
        phase('buffers', moved / (tile.bufferGbPerS * 1e6), 'activation bandwidth'),
      ),
    ],
    energyMj: ((ops + 2 * macs) * energyPj.op + moved * 8 * energyPj.bufferPerBit) * 1e-9,
    ...(macs > 0 && { peakMacsPerMs: profile.digital.gmacPerS * 1e6 }),
    crossbars: 0,
    tiles: 0,
    mapping: 'in digital units',
  };
}

function describe(
  { rowBlocks, columnBlocks, slices }: Mapping,
  use: { copies: number; crossbars: number; tiles: number; filled: number },
): string {
  const copies = use.copies > 1 ? `, ${use.copies} copies` : '';
  const plural = (count: number, unit: string) => `${count} ${unit}${count === 1 ? '' : 's'}`;
  return (
    `${rowBlocks}×${columnBlocks} crossbars with ${plural(slices, 'cell')} per weight${copies}: ` +
    `${plural(use.crossbars, 'crossbar')} in ${plural(use.tiles, 'tile')}, ${Math.round(100 * use.filled)} % of the cells used`
  );
}
