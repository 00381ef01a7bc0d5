/**
 * Systolic arrays. Cycles and SRAM accesses are those of SCALE-Sim v2 (Samajdar et al., ISPASS 2020): a layer becomes
 * products of matrices, which are folded onto the array. On top, a double-buffered memory: whichever is longer of the
 * cycles and the DRAM traffic, after the first fold has been brought in. What is no product runs on a vector unit.
 */
import { elementBits, isFloat, type ElementType } from '../onnx/schema';
import { gemmOf, type Gemm } from './gemm';
import { phase, totalMs, type Cost, type Layer, type Phase } from './phases';
import type { SystolicProfile } from './profile';
import type { Workload } from './workload';

export function asicCost({ workload }: Layer, profile: SystolicProfile): Cost {
  const gemm = gemmOf(workload);
  return gemm ? onArray(workload, gemm, profile) : onVectorUnit(workload, profile);
}

export interface Folding {
  readonly rowFolds: number;
  readonly columnFolds: number;
  readonly cycles: number;
  /** Words read and written; of outputs the M·N (or partial sums) that are really written. */
  readonly sram: { readonly ifmap: number; readonly filter: number; readonly ofmap: number };
}

/** One product on the array: SCALE-Sim's equations, whose cycle count is the index of the last cycle. */
export function fold(
  { m, n, k }: Gemm,
  { rows, columns, dataflow }: SystolicProfile['array'],
): Folding {
  const [alongRows, alongColumns, time] =
    dataflow === 'os' ? [m, n, k] : dataflow === 'ws' ? [k, n, m] : [k, m, n];
  const rowFolds = Math.ceil(alongRows / rows);
  const columnFolds = Math.ceil(alongColumns / columns);
  const preload = dataflow === 'os' ? 0 : rows;
  const cycles = rowFolds * columnFolds * (preload + time + rows + columns - 2) - 1;
  const sram = {
    os: { ifmap: m * k * columnFolds, filter: n * k * rowFolds, ofmap: m * n },
    ws: { ifmap: m * k * columnFolds, filter: k * n, ofmap: m * n * rowFolds },
    is: { ifmap: m * k, filter: k * n * columnFolds, ofmap: m * n * rowFolds },
  }[dataflow];
  return { rowFolds, columnFolds, cycles, sram };
}

function onArray(dense: Workload, whole: Gemm, profile: SystolicProfile): Cost {
  const { array } = profile;
  const { workload, gemm, note } = structured(dense, whole, profile);
  const folding = fold(gemm, array);
  const cycles = gemm.count * folding.cycles;
  const sramAccesses = {
    ifmap: gemm.count * folding.sram.ifmap,
    filter: gemm.count * folding.sram.filter,
    ofmap: gemm.count * folding.sram.ofmap,
  };
  const traffic = dramTraffic(operandBytes(workload, gemm), gemm, profile);
  const compute = phase('array', cycles / (array.clockMhz * 1e3), 'compute');
  const memory = memoryPhases(traffic, profile);
  const first = phase(
    'first fold',
    firstFoldBytes(workload, array) / bytesPerMs(profile),
    'overhead',
  );
  const phases = [...(compute.ms >= totalMs(memory) ? [compute] : memory), first];
  const density = gatedDensity(workload, profile);
  const energyPj =
    (workload.macs ?? 0) * macPj(workload, profile) * density.density +
    (workload.ops ?? 0) * profile.energyPj.op +
    sramPj(sramAccesses, workload, profile) +
    (traffic.activations + traffic.weights) * profile.energyPj.dramPerByte;
  return {
    phases,
    energyMj: energyPj * 1e-9 + profile.leakageMw * totalMs(phases) * 1e-3,
    peakMacsPerMs: array.rows * array.columns * array.clockMhz * 1e3,
    cycles,
    sramAccesses,
    mapping: describe(gemm, folding, array) + note,
    ...(density.estimated && { estimated: true }),
  };
}

/** Without the zeros of an n:m pattern that the array knows: a shorter sum, fewer weights, and where each one stood. */
function structured(
  workload: Workload,
  gemm: Gemm,
  { structuredSparsity: known }: SystolicProfile,
): { workload: Workload; gemm: Gemm; note: string } {
  const dense = { workload, gemm, note: '' };
  if (!known || workload.weightReadBytes === 0 || workload.sparsity().density > 0.5) return dense;
  const { pattern } = workload.structure();
  if (pattern.kind !== 'n:m' || !known.of.includes(pattern.m)) return dense;
  const kept = pattern.n / pattern.m;
  const bits = elementBits(workload.weightType ?? 'float32');
  const weightReadBytes = workload.weightReadBytes * kept * (1 + known.metadataBits / bits);
  const macs = workload.macs === null ? null : workload.macs * kept;
  return {
    // What is left out is not gated as well.
    workload: {
      ...workload,
      macs,
      weightReadBytes,
      sparsity: () => ({ density: 1, estimated: false }),
    },
    gemm: { ...gemm, k: Math.ceil(gemm.k * kept) },
    note: `, ${pattern.n} of ${pattern.m} weights`,
  };
}

// ---- memory

interface OperandBytes {
  readonly input: number;
  readonly weight: number;
  readonly output: number;
}

/** Of a product of two activations, the second stands where weights do. */
function operandBytes(workload: Workload, { m, n, k }: Gemm): OperandBytes {
  const read = workload.inputBytes ?? 0;
  const output = workload.outputBytes ?? 0;
  if (workload.weightReadBytes > 0)
    return { input: read, weight: workload.weightReadBytes, output };
  const input = (read * m) / (m + n);
  return k > 0 ? { input, weight: read - input, output } : { input: read, weight: 0, output };
}

interface Traffic {
  readonly activations: number;
  readonly weights: number;
}

/**
 * The least traffic over the ways to block the product: whole columns of weights or whole rows of inputs kept while the
 * other operand streams, or blocks of outputs kept while both do. Half of each memory fills while the other is used.
 */
function dramTraffic(
  { input, weight, output }: OperandBytes,
  { m, n }: Gemm,
  { sramKib }: SystolicProfile,
): Traffic {
  const room = {
    input: sramKib.ifmap * 512,
    weight: sramKib.filter * 512,
    sums: (sramKib.ofmap * 512) / PARTIAL_SUM_BYTES,
  };
  const read = (inputPasses: number, weightPasses: number): Traffic => ({
    activations: input * inputPasses + output,
    weights: weight * weightPasses,
  });
  const blocksOf = (bytes: number, half: number) => Math.max(1, Math.ceil(bytes / half));
  const ways = [read(blocksOf(weight, room.weight), 1), read(1, blocksOf(input, room.input))];
  for (let blocks = 1; blocks < 2 * n; blocks *= 2) {
    const rows = Math.max(1, Math.floor(room.sums / Math.ceil(n / blocks)));
    ways.push(read(Math.min(blocks, n), Math.ceil(m / rows)));
  }
  const all = ({ activations, weights }: Traffic) => activations + weights;
  return ways.reduce((best, way) => (all(way) < all(best) ? way : best));
}

const PARTIAL_SUM_BYTES = 4;

const bytesPerMs = ({ dramGbPerS }: SystolicProfile): number => dramGbPerS * 1e6;

function memoryPhases({ activations, weights }: Traffic, profile: SystolicProfile): Phase[] {
  return [
    phase('activations', activations / bytesPerMs(profile), 'activation bandwidth'),
    phase('weights', weights / bytesPerMs(profile), 'weight bandwidth'),
  ];
}

/** What must be there before the first cycle: the operand that stays in place, or a row and a column of streams. */
function firstFoldBytes(
  workload: Workload,
  { rows, columns, dataflow }: SystolicProfile['array'],
): number {
  const bytes = (type: ElementType | undefined) => elementBits(type ?? 'float32') / 8;
  const weight = bytes(workload.weightType ?? workload.inputType);
  const input = bytes(workload.inputType);
  if (dataflow === 'ws') return rows * columns * weight;
  if (dataflow === 'is') return rows * columns * input;
  return rows * input + columns * weight;
}

// ---- energy

function macPj({ inputType, weightType }: Workload, { energyPj }: SystolicProfile): number {
  const a = inputType ?? 'float32';
  const b = weightType ?? a;
  if (isFloat(a) || isFloat(b)) {
    const bits = Math.max(isFloat(a) ? elementBits(a) : 0, isFloat(b) ? elementBits(b) : 0);
    return bits > 16 ? energyPj.fp32Mac : energyPj.fp16Mac;
  }
  return (energyPj.integerMultiply * elementBits(a) * elementBits(b)) / 64 + energyPj.integerAdd;
}

/** Zeros among constant weights save their multiplications where the array gates them. */
function gatedDensity(
  { sparsity }: Workload,
  { zeroGating }: SystolicProfile,
): { density: number; estimated: boolean } {
  return zeroGating ? sparsity() : { density: 1, estimated: false };
}

function sramPj(
  accesses: NonNullable<Cost['sramAccesses']>,
  workload: Workload,
  { sramKib, energyPj }: SystolicProfile,
): number {
  const bytes = (type: ElementType | undefined) => elementBits(type ?? 'float32') / 8;
  const input = bytes(workload.inputType);
  const weight = bytes(workload.weightType ?? workload.inputType);
  const output = bytes(workload.outputType);
  const perByte = (kib: number) => sramPjPerByte(kib, energyPj.sramPerByte);
  return (
    accesses.ifmap * input * perByte(sramKib.ifmap) +
    accesses.filter * weight * perByte(sramKib.filter) +
    accesses.ofmap * output * perByte(sramKib.ofmap)
  );
}

/** Between two sizes of the table, on a line in the logarithms of both; beyond them, the nearest. */
export function sramPjPerByte(
  kib: number,
  table: SystolicProfile['energyPj']['sramPerByte'],
): number {
  const sizes = [...table].sort((a, b) => a.kib - b.kib);
  const above = sizes.findIndex((size) => size.kib >= kib);
  const high = sizes[above];
  const low = sizes[above - 1];
  if (!high) return sizes.at(-1)!.pj;
  if (!low) return high.pj;
  const share = Math.log(kib / low.kib) / Math.log(high.kib / low.kib);
  return low.pj * (high.pj / low.pj) ** share;
}

// ---- what is no product

function onVectorUnit(workload: Workload, profile: SystolicProfile): Cost {
  const { array, vectorOpsPerCycle, energyPj } = profile;
  const operations = (workload.ops ?? 0) + 2 * (workload.macs ?? 0);
  const activations = (workload.inputBytes ?? 0) + (workload.outputBytes ?? 0);
  const weights = workload.weightReadBytes;
  const compute = phase(
    'vector unit',
    operations / (vectorOpsPerCycle * array.clockMhz * 1e3),
    'compute',
  );
  const memory = memoryPhases({ activations, weights }, profile);
  const phases = compute.ms >= totalMs(memory) ? [compute] : memory;
  const pj = operations * energyPj.op + (activations + weights) * energyPj.dramPerByte;
  return {
    phases,
    energyMj: pj * 1e-9 + profile.leakageMw * totalMs(phases) * 1e-3,
    mapping: 'on the vector unit',
  };
}

function describe(
  { count, m, n, k }: Gemm,
  { rowFolds, columnFolds }: Folding,
  { rows, columns, dataflow }: SystolicProfile['array'],
): string {
  const times = count > 1 ? `${count} products of ` : '';
  const stays = { os: 'outputs', ws: 'weights', is: 'inputs' }[dataflow];
  return `${times}${m}×${k} by ${k}×${n}, ${stays} in place on ${rows}×${columns}: ${rowFolds}×${columnFolds} folds`;
}
