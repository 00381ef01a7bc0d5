/**
 * ReRAM crossbars. Weights are cut into slices of a few bits per cell and stay in the arrays; inputs are applied bit by
 * bit, columns are converted and added up. Where a profile has `stages`, layers are timed as MNSIM 2.0 (Zhu et al., TCAD
 * 2023) does; elsewhere stages overlap as ISAAC's do (Shafiee et al., ISCA 2016). Arithmetic without constant weights is
 * digital.
 */
import { elementBits, type ElementType } from '../onnx/schema';
import type { TargetEstimate } from './cost';
import {
  analogTime,
  compacted,
  copiesOf,
  hasSignCells,
  inputBitsOf,
  laidOut,
  outputBitsOf,
  weightBitsOf,
  mapWeights,
  polaritiesOf,
  windowOf,
  type Mapping,
} from './crossbar';
import { gemmOf, type Gemm } from './gemm';
import { meshDistances } from './mesh';
import { longest, phase, type Cost, type Layer, type Phase } from './phases';
import type { ReramProfile } from './profile';
import { evenPace, slower, type Pace } from './rows';
import {
  isStaged,
  stagedNs,
  stagedPooling,
  stagedProduct,
  type StagedLayer,
  type StagedProfile,
} from './staged';
import type { Workload } from './workload';

export function reramCost({ workload }: Layer, whole: ReramProfile): Cost {
  const profile = laidOut(workload, whole);
  const staged = isStaged(profile) ? stagedLayer(workload, profile) : undefined;
  if (isStaged(profile) && staged) return onStages(workload, staged, profile);
  const gemm = gemmOf(workload);
  return gemm && isOnCrossbars(workload)
    ? onCrossbars(workload, gemm, profile)
    : digital(workload, profile);
}

/** Whether a layer multiplies by constant weights. */
const isOnCrossbars = ({ conv, matmul, macs }: Workload): boolean =>
  Boolean(macs) && Boolean(conv ?? matmul?.constant);

function onCrossbars(workload: Workload, whole: Gemm, profile: ReramProfile): Cost {
  const gemm = compacted(whole, workload, profile);
  const { crossbar, analog, tile } = profile;
  const weightBits = weightBitsOf(workload, profile);
  const inputBits = inputBitsOf(workload, profile);
  const mapping = mapWeights(gemm, profile, weightBits, windowOf(workload));
  const copies = copiesOf(workload, gemm.m, profile);
  const steps = Math.ceil(gemm.m / copies);
  const crossbars = mapping.crossbars * copies;
  const tiles = Math.ceil(crossbars / tile.crossbars);
  const time = analogTime(mapping, inputBits, analog);
  const phases = layerPhases(workload, { steps, tiles, intervalNs: time.intervalNs }, profile);
  const cells = gemm.count * gemm.n * gemm.k * mapping.slices;
  const filled = cells / (mapping.crossbars * crossbar.rows * crossbar.columns);
  const { pj, estimated } = analogPj({ workload, gemm, mapping, filled, inputBits }, profile);
  return {
    phases,
    ...energyOf({ ...pj, ...movementPj(workload, inputBits, gemm, profile) }),
    peakMacsPerMs: peakMacsPerMs(crossbars, mapping, inputBits, profile),
    crossbars,
    tiles,
    mapping: describe(mapping, { copies, crossbars, tiles, filled }),
    ...(estimated && { estimated: true }),
  };
}

/** The sum of its components. */
function energyOf(pj: Readonly<Record<string, number>>): Pick<Cost, 'energyMj' | 'energyPartsMj'> {
  const energyPartsMj = Object.fromEntries(
    Object.entries(pj).map(([name, value]) => [name, value * 1e-9]),
  );
  return { energyMj: Object.values(energyPartsMj).reduce((a, b) => a + b, 0), energyPartsMj };
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
  profile: ReramProfile,
): Phase[] {
  const { analog, tile, pipelineStages } = profile;
  const { input, output } = fixedPointBytes(workload, profile);
  const access = (tile.accessNs ?? 0) * steps * 1e-6;
  const buffered = (input + output) / (tile.bufferGbPerS * tiles * 1e6);
  const work = [
    phase('crossbars', steps * intervalNs * 1e-6, 'compute'),
    phase('buffers', access + buffered, 'activation bandwidth'),
    phase('links', output / (tile.linkGbPerS * tiles * 1e6), 'transfer'),
  ];
  const fill = phase('pipeline fill', pipelineStages * analog.readNs * 1e-6, 'overhead');
  return analog.pipelined ? [longest(...work), fill] : [...work, fill];
}

/** Bytes of activations as the chip holds them. */
function fixedPointBytes(
  workload: Workload,
  profile: ReramProfile,
): { readonly input: number; readonly output: number } {
  const { inputBytes, outputBytes, inputType, outputType } = workload;
  const scaled = (bytes: number | null, type: ElementType | undefined, bits: number) =>
    ((bytes ?? 0) * bits) / elementBits(type ?? 'float32');
  return {
    input: scaled(inputBytes, inputType, inputBitsOf(workload, profile)),
    output: scaled(outputBytes, outputType, outputBitsOf(workload, profile)),
  };
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
  profile: ReramProfile,
): { pj: Readonly<Record<string, number>>; estimated: boolean } {
  const { analog, energyPj } = profile;
  const hasSigns = hasSignCells(profile);
  const drives =
    gemm.m * Math.ceil(inputBits / analog.dacBits) * Math.ceil(mapping.activeRows / analog.dacs);
  const columns = gemm.count * gemm.n * mapping.slices * (hasSigns ? 2 : 1);
  const offsetColumns = hasSigns ? 0 : mapping.crossbars / mapping.rowBlocks;
  const conversions = drives * mapping.rowBlocks * (columns + offsetColumns);
  const rows = drives * gemm.count * gemm.k * mapping.columnBlocks * polaritiesOf(profile);
  // With cells for both signs a zero weight leaves its cells at high resistance, where they draw next to nothing.
  const { density, estimated } = hasSigns ? workload.sparsity() : { density: 1, estimated: false };
  const reads = drives * mapping.crossbars * filled * density;
  return {
    pj: {
      adc: conversions * energyPj.adc,
      dac: rows * energyPj.dacRow,
      crossbars: reads * energyPj.crossbarRead,
      digital: conversions * energyPj.shiftAdd + (workload.ops ?? 0) * energyPj.op,
    },
    estimated,
  };
}

/** Windows read from the buffers, outputs written to them and sent on. */
function movementPj(
  workload: Workload,
  inputBits: number,
  { count, m, k }: Gemm,
  profile: ReramProfile,
): Readonly<Record<string, number>> {
  const { bufferPerBit, bufferWritePerBit = bufferPerBit, linkPerBit } = profile.energyPj;
  const outputBits = fixedPointBytes(workload, profile).output * 8;
  return {
    buffers: count * m * k * inputBits * bufferPerBit + outputBits * bufferWritePerBit,
    links: outputBits * linkPerBit,
  };
}

/** With every cell of the layer's crossbars at work. */
function peakMacsPerMs(
  crossbars: number,
  { slices }: Mapping,
  inputBits: number,
  profile: ReramProfile,
): number {
  const { crossbar, analog } = profile;
  const full = { activeRows: crossbar.rows, activeColumns: crossbar.columns };
  const weights = (crossbars * crossbar.rows * crossbar.columns) / slices;
  const signs = hasSignCells(profile) ? 2 : 1;
  return (weights / signs / analogTime(full, inputBits, analog).intervalNs) * 1e6;
}

// ---- stage after stage

function stagedLayer(workload: Workload, profile: StagedProfile): StagedLayer | undefined {
  const gemm = gemmOf(workload);
  if (gemm)
    return isOnCrossbars(workload)
      ? stagedProduct(workload, compacted(gemm, workload, profile), profile)
      : undefined;
  return workload.window ? stagedPooling(workload, workload.window, profile) : undefined;
}

/** All but the way over the mesh, which depends on where the neighbours lie. */
function onStages(workload: Workload, layer: StagedLayer, profile: StagedProfile): Cost {
  const { mapping, tiles, words } = layer;
  const { wordNs } = profile.stages;
  const crossbars = mapping?.crossbars ?? 0;
  const ms = (ns: number) => ns * 1e-6;
  const work = [
    phase('crossbars', ms(layer.arraysNs), 'compute'),
    phase('registers', ms(layer.registersNs), 'compute'),
    phase('pooling', ms(layer.poolingNs), 'compute'),
    phase('buffers', ms((words.read + words.written) * wordNs), 'activation bandwidth'),
    phase('links inside tiles', ms(layer.insideNs), 'transfer'),
  ];
  const inputBits = inputBitsOf(workload, profile);
  return {
    phases: work.filter((stage) => stage.ms > 0),
    ...energyOf(layer.energyPj),
    ...(mapping && { peakMacsPerMs: peakMacsPerMs(crossbars, mapping, inputBits, profile) }),
    crossbars,
    tiles,
    mapping: mapping
      ? describe(mapping, {
          copies: 1,
          crossbars,
          tiles,
          filled: filledShare(workload, mapping, profile),
        })
      : 'pooled in a tile of its own',
  };
}

function filledShare(workload: Workload, mapping: Mapping, profile: ReramProfile): number {
  const { rows, columns } = profile.crossbar;
  const whole = gemmOf(workload);
  const gemm = whole && compacted(whole, workload, profile);
  const signs = hasSignCells(profile) ? 2 : 1;
  const cells = gemm ? gemm.count * gemm.n * gemm.k * mapping.slices * signs : 0;
  return cells / (mapping.crossbars * rows * columns);
}

/** A layer on a mesh, and the places of the layers that read its results. */
export interface MeshPlace {
  readonly workload: Workload;
  readonly next: readonly number[];
}

/**
 * The way over the mesh of each layer: its tiles' results to the one that gathers them, and on to the next layers.
 * Layers without tiles of their own take no place.
 */
export function meshPhases(places: readonly MeshPlace[], profile: StagedProfile): Phase[][] {
  const staged = places.map(({ workload }) => stagedLayer(workload, laidOut(workload, profile)));
  const distances = meshDistances(
    places.map(({ next }, at) => ({ tiles: staged[at]?.tiles ?? 0, next })),
  );
  const bitPerNs = profile.tile.linkGbPerS * 8;
  return staged.map((layer, at) => {
    if (!layer) return [];
    const { inside, onward } = distances[at]!;
    const { positions, gatheredBits, sentBits } = layer;
    const gatherNs = inside * (profile.stages.digitalNs + gatheredBits / bitPerNs);
    const sendNs = onward * (sentBits / bitPerNs);
    return [
      phase('gathering over the mesh', positions * gatherNs * 1e-6, 'transfer' as const),
      phase('sending over the mesh', positions * sendNs * 1e-6, 'transfer' as const),
    ].filter(({ ms }) => ms > 0);
  });
}

/**
 * How long each position of a layer takes where all layers work at once.
 * @param latencyNs of the layer alone, with its way over the mesh
 * @param watched the workload whose weights may be asked for without harm where they cannot be read
 */
export function paceOn(
  workload: Workload,
  profile: ReramProfile,
  latencyNs: number,
  positions: number,
  watched: (workload: Workload) => Workload,
): Pace {
  if (isStaged(profile)) {
    const staged = stagedLayer(watched(workload), laidOut(workload, profile));
    if (staged)
      return slower(staged.pace, (latencyNs - stagedNs(staged, profile)) / staged.positions);
  }
  const fillNs = isOnCrossbars(workload) ? profile.pipelineStages * profile.analog.readNs : 0;
  const each = evenPace((latencyNs - fillNs) / positions);
  return { ...each, firstNs: each.firstNs + fillNs };
}

/** Whether a layer has tiles of its own. */
export const takesTiles = (workload: Workload, profile: StagedProfile): boolean =>
  stagedLayer(workload, laidOut(workload, profile)) !== undefined;

// ---- area

/** Of so many tiles, by component, mm². */
export function tileAreaMm2(
  tiles: number,
  profile: ReramProfile,
): TargetEstimate['areaMm2'] | undefined {
  const { areaUm2, crossbar, analog, tile } = profile;
  if (!areaUm2) return undefined;
  const { rows, columns } = crossbar;
  const crossbars = tiles * tile.crossbars;
  // Both polarities of a weight share their converters.
  const elements = crossbars / polaritiesOf(profile);
  const mm2 = (um2: number) => um2 * 1e-6;
  return {
    crossbars: mm2(crossbars * (rows * columns * areaUm2.cell + rows * areaUm2.rowDriver)),
    adc: mm2(elements * analog.adcs * areaUm2.adc),
    dac: mm2(elements * analog.dacs * areaUm2.dac),
    digital: mm2(
      elements * (analog.adcs * areaUm2.besideAdc + analog.dacs * areaUm2.besideDac) +
        tiles * areaUm2.tileOther,
    ),
    buffers: mm2(tiles * areaUm2.tileBuffers),
  };
}

// ---- digital

function digital(workload: Workload, profile: ReramProfile): Cost {
  const { tile, energyPj } = profile;
  const macs = workload.macs ?? 0;
  const ops = workload.ops ?? 0;
  const arithmetic =
    macs / (profile.digital.gmacPerS * 1e6) + ops / (profile.digital.gopPerS * 1e6);
  const { input, output } = fixedPointBytes(workload, profile);
  const moved = input + output + workload.weightReadBytes;
  return {
    phases: [
      longest(
        phase('digital units', arithmetic, 'compute'),
        phase('buffers', moved / (tile.bufferGbPerS * 1e6), 'activation bandwidth'),
      ),
    ],
    ...energyOf({
      digital: (ops + 2 * macs) * energyPj.op,
      buffers: moved * 8 * energyPj.bufferPerBit,
    }),
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
