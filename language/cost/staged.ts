/**
 * ReRAM tiles that take one output position after another, stage by stage: the behaviour model of MNSIM 2.0 (Zhu et al.,
 * TCAD 2023), which its tests equal layer by layer. A position's inputs go into the line buffers of the elements, through
 * the arrays bit by bit, are added up inside a tile, and wait in the tile's buffer to be gathered over the mesh.
 */
import {
  analogTime,
  inputBitsOf,
  outputBitsOf,
  weightBitsOf,
  mapWeights,
  polaritiesOf,
  windowOf,
  type Mapping,
} from './crossbar';
import type { Gemm } from './gemm';
import type { ReramProfile } from './profile';
import { evenPace, type Pace } from './rows';
import type { PoolLoops, Workload } from './workload';
import { product } from './operators/operator';

export type StagedProfile = ReramProfile & { readonly stages: NonNullable<ReramProfile['stages']> };

export const isStaged = (profile: ReramProfile): profile is StagedProfile =>
  profile.stages !== undefined;

/** Through a buffer. */
interface Words {
  readonly read: number;
  readonly written: number;
}

/** What a layer does on its tiles, for all its positions together. */
export interface StagedLayer {
  readonly mapping?: Mapping;
  readonly tiles: number;
  readonly positions: number;
  /** ns in arrays, their registers and adders, joining inside a tile, pooling. */
  readonly arraysNs: number;
  readonly registersNs: number;
  readonly insideNs: number;
  readonly poolingNs: number;
  readonly words: Words;
  /** Of its positions, the way over the mesh left out, when all layers work at once. */
  readonly pace: Pace;
  /** Bits that a position sends: of a tile to where the layer gathers, and of the layer to the next. */
  readonly gatheredBits: number;
  readonly sentBits: number;
  readonly energyPj: Readonly<Record<EnergyPart, number>>;
}

export const ENERGY_PARTS = [
  'adc',
  'dac',
  'crossbars',
  'digital',
  'pooling',
  'buffers',
  'links',
] as const;
export type EnergyPart = (typeof ENERGY_PARTS)[number];

/** A product of constant weights on crossbars. */
export function stagedProduct(workload: Workload, gemm: Gemm, profile: StagedProfile): StagedLayer {
  const { crossbar, analog, energyPj, stages, tile } = profile;
  const inputBits = inputBitsOf(workload, profile);
  const outputBits = outputBitsOf(workload, profile);
  const weightBits = weightBitsOf(workload, profile);
  const mapping = mapWeights(gemm, profile, weightBits, windowOf(workload));
  const { activeRows: rows, activeColumns: columns } = mapping;
  const polarities = polaritiesOf(profile);
  const elements = mapping.crossbars / polarities;
  const perTile = tile.crossbars / polarities;
  const tiles = Math.ceil(elements / perTile);
  const busy = Math.min(elements, perTile);
  const levels = Math.ceil(Math.log2(busy));

  const positions = gemm.m;
  const time = analogTime(mapping, inputBits, analog);
  const rowGroups = Math.ceil(rows / analog.dacs);
  const columnGroups = Math.ceil(columns / analog.adcs);
  const rowsPerDac = Math.ceil(crossbar.rows / analog.dacs);
  const columnsPerAdc = Math.ceil(crossbar.columns / analog.adcs);
  const registersNs =
    stages.digitalNs * (rowGroups * columnGroups + 2 * time.reads + columnGroups + levels) +
    time.reads *
      (stages.demuxNs * selectorLevels(rowsPerDac) + stages.muxNs * selectorLevels(columnsPerAdc));
  const joinedBits = stages.adcBits + levels;
  const insideNs =
    ((Math.ceil(Math.log2(perTile)) * joinedBits - (levels * (levels + 1)) / 2) * columns) /
    stages.insideGbitPerS;

  const window = { rows, bits: inputBits, positions };
  const line = lineBuffer(workload, window, stages.wordBits);
  const word = (bits: number) => Math.ceil(bits / stages.wordBits);
  const gatheredBits = columns * busy * outputBits;
  const results = { read: word(gatheredBits), written: word(joinedBits * columns * busy) };
  const words = {
    read: line.read + positions * results.read,
    written: line.written + positions * results.written,
  };
  const arraysAndTileNs = time.intervalNs + registersNs + insideNs;
  const eachNs = arraysAndTileNs + (results.read + results.written) * stages.wordNs;

  // Each converter serves the same few rows or columns of its crossbar whatever the layer, so a layer of few columns
  // keeps few of them at work; and the tile that is filled in part counts as full, both as MNSIM has it.
  const counted = tiles * busy;
  const dacs = Math.ceil(rows / rowsPerDac);
  const adcs = Math.ceil(columns / columnsPerAdc);
  const cells = (rows / rowsPerDac) * (columns / columnsPerAdc) * polarities;
  const reads = positions * counted * time.reads;
  const inputSlices = Math.ceil(inputBits / analog.dacBits);
  return {
    mapping,
    tiles,
    positions,
    arraysNs: positions * time.intervalNs,
    registersNs: positions * registersNs,
    insideNs: positions * insideNs,
    poolingNs: 0,
    words,
    pace: paceOf(workload, window, eachNs, stages),
    gatheredBits,
    sentBits: gemm.count * gemm.n * outputBits,
    energyPj: {
      adc: reads * adcs * energyPj.adc,
      dac: reads * dacs * energyPj.dacRow,
      crossbars: (reads * cells * energyPj.crossbarRead) / (crossbar.rows * crossbar.columns),
      digital:
        positions * counted * adcs * inputSlices * energyPj.shiftAdd +
        (workload.ops ?? 0) * energyPj.op,
      pooling: 0,
      buffers: tiles * (busy + 1) * bufferPj(words, profile),
      links: positions * gemm.count * gemm.n * outputBits * energyPj.linkPerBit,
    },
  };
}

/** What a layer takes without the way over the mesh, its positions one after another. */
export const stagedNs = (
  { arraysNs, registersNs, poolingNs, insideNs, words }: StagedLayer,
  { stages }: StagedProfile,
): number =>
  arraysNs + registersNs + poolingNs + insideNs + (words.read + words.written) * stages.wordNs;

/** A pooling window in a tile of its own. */
export function stagedPooling(
  workload: Workload,
  loops: PoolLoops,
  profile: StagedProfile,
): StagedLayer {
  const { stages, energyPj } = profile;
  const bits = inputBitsOf(workload, profile);
  const { channels } = loops;
  const positions = loops.batch * product(loops.output);
  const window = { rows: channels * product(loops.kernel), bits, positions };
  const line = lineBuffer({ window: loops }, window, stages.wordBits);
  const resultWords = Math.ceil((channels * bits) / stages.wordBits);
  const outputWords = positions * resultWords;
  const words = { read: line.read + outputWords, written: line.written + outputWords };
  const roundsEach = Math.ceil(channels / stages.poolingChannels);
  const rounds = positions * roundsEach;
  const eachNs = roundsEach * stages.poolingNs + 3 * resultWords * stages.wordNs;
  const nothing = { adc: 0, dac: 0, crossbars: 0 };
  return {
    tiles: 1,
    positions,
    arraysNs: 0,
    registersNs: 0,
    insideNs: 0,
    // Results are read twice, at the end of pooling and before they are sent, as MNSIM has it.
    poolingNs: rounds * stages.poolingNs + outputWords * stages.wordNs,
    words,
    pace: paceOf({ window: loops }, window, eachNs, stages),
    gatheredBits: channels * bits,
    sentBits: channels * bits,
    energyPj: {
      ...nothing,
      digital: 0,
      pooling: rounds * stages.poolingPj,
      buffers: bufferPj(words, profile),
      links: positions * channels * bits * energyPj.linkPerBit,
    },
  };
}

function bufferPj(words: Words, { stages, energyPj }: StagedProfile): number {
  const written = energyPj.bufferWritePerBit ?? energyPj.bufferPerBit;
  return stages.wordBits * (words.read * energyPj.bufferPerBit + words.written * written);
}

/** Levels of 8:1 selectors, one at least, as MNSIM counts them. */
function selectorLevels(lines: number): number {
  let levels = 1;
  for (let left = lines; left > 0; left = Math.floor(left / 8)) levels++;
  return levels;
}

interface Window {
  /** Elements of a window that one element of the chip holds. */
  readonly rows: number;
  readonly bits: number;
  readonly positions: number;
}

/** Of the window of a picture; undefined for a product of rows, whose positions share nothing. */
function windowed({ conv, window }: Pick<Workload, 'conv' | 'window'>, rows: number) {
  const loops = conv ?? window;
  if (!loops || conv?.transposed) return undefined;
  const last = loops.input.length - 1;
  const width = loops.input[last] ?? 1;
  const pad = Math.floor(((loops.paddedInput[last] ?? width) - width) / 2);
  const across = loops.kernel[last] ?? 1;
  const height = last > 0 ? loops.kernel[last - 1]! : 1;
  return {
    loops,
    width,
    stride: loops.strides[last] ?? 1,
    height,
    /** Columns of the first window that are no padding. */
    start: Math.max(across - pad, 0),
    pad,
    channels: rows / product(loops.kernel),
  };
}

/**
 * Words through the line buffer of one element. The first position of a picture waits for the rows under its window, the
 * first of a row for new rows, the others for as many columns as the stride.
 */
function lineBuffer(
  workload: Pick<Workload, 'conv' | 'window'>,
  { rows, bits, positions }: Window,
  wordBits: number,
): Words {
  const word = (elements: number) => Math.ceil((elements * bits) / wordBits);
  const shape = windowed(workload, rows);
  if (!shape) return { read: positions * word(rows), written: positions * word(rows) };
  const { loops, width, stride, height, start, pad, channels } = shape;
  const lines = loops.batch * product(loops.output.slice(0, -1));
  const pictures = loops.batch;
  const others = positions - lines;
  return {
    written:
      pictures * word(channels * (width * Math.max(height - pad - 1, 0) + start)) +
      (lines - pictures) * word(channels * (width * (stride - 1) + start)) +
      others * word(channels * stride),
    read: lines * word(rows) + others * word(stride * height * channels),
  };
}

// ---- all layers at once

/**
 * A position waits for the columns of its window that are new, each as high as the window in the first row and as the
 * stride below it: so MNSIM fills line buffers when its layers work at once.
 * @param eachNs what every position takes beside its line buffer
 */
function paceOf(
  workload: Pick<Workload, 'conv' | 'window'>,
  { rows, bits }: Window,
  eachNs: number,
  { wordBits, wordNs }: StagedProfile['stages'],
): Pace {
  const word = (elements: number) => Math.ceil((elements * bits) / wordBits);
  const ns = (written: number, read: number) => eachNs + (word(written) + word(read)) * wordNs;
  const shape = windowed(workload, rows);
  if (!shape) return evenPace(ns(rows, rows));
  const { stride, height, start, pad, channels } = shape;
  const shared = stride * height * channels;
  const otherNs = ns(channels * stride ** 2, shared);
  return {
    firstNs: ns(channels * start * Math.max(height - pad, 0), rows),
    rowNs: ns(channels * stride * start, rows),
    // Pooling makes no difference between its rows.
    firstRowNs: workload.window ? otherNs : ns(channels * stride * height, shared),
    otherNs,
  };
}
