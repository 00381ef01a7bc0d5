/**
 * NPUs in the manner of Arm's Ethos-U55 and U65: outputs are made block by block, each block small unit by small unit, with
 * inputs, accumulators and outputs in a buffer of banks inside the unit. Block choice and cycles are those that Arm's Vela
 * compiler estimates (ethos-u-vela 3.10, `--verbose-performance`), which the tests equal layer by layer; activations come
 * from SRAM, encoded weights from flash or DRAM, and a layer takes the longest of the three.
 */
import { elementBits } from '../onnx/schema';
import { gemmOf } from './gemm';
import { hostCost } from './host';
import { product } from './operators/operator';
import { longest, phase, type Cost, type Layer } from './phases';
import type { BlockedProfile } from './profile';
import type { ConvLoops, PoolLoops, Workload } from './workload';

export function blockedCost(layer: Layer, profile: BlockedProfile): Cost {
  if (profile.free.includes(layer.op))
    return { phases: [], energyMj: null, mapping: 'written in place by the layers before it' };
  const reason = whyNot(layer, profile);
  if (reason !== undefined) return besideUnit(layer, reason, profile);
  const task = taskOf(layer);
  const block = blockOf(task, profile);
  return block
    ? onUnit(layer, task, block, profile)
    : besideUnit(layer, `${layer.op} of a kernel that its buffer does not hold`, profile);
}

const besideUnit = (layer: Layer, what: string, profile: BlockedProfile): Cost => ({
  ...hostCost(layer, profile.host, profile.id),
  unsupported: `${profile.id} does not run ${what}`,
});

// ---- what it runs

const MOST_KERNEL_HEIGHT = 64;
const MOST_KERNEL_TAPS = 64 * 64;
const MOST_WINDOW_TAPS = 256 * 256;
const MOST_STRIDE = 3;

/** Undefined for what it runs; the limits are those of Vela's list of supported operators. */
function whyNot({ op, workload }: Layer, { operators }: BlockedProfile): string | undefined {
  const { conv, window, matmul, parts, inputType } = workload;
  if (!operators.includes(op) || parts) return op;
  if (inputType !== undefined && elementBits(inputType) > 8)
    return `${op} in ${inputType}: it multiplies bytes`;
  if (matmul && matmul.constant !== 'b') return `${op} of activations`;
  const loops = conv ?? window;
  if (!loops) return undefined;
  if (loops.kernel.length > 2) return `${op} over ${loops.kernel.length} axes`;
  if (loops.batch > 1) return `${op} of ${loops.batch} pictures at once`;
  const [kernel, taps] = [spanOf(loops), product(loops.kernel)];
  const mostTaps = conv ? MOST_KERNEL_TAPS : MOST_WINDOW_TAPS;
  if ((conv && kernel.height > MOST_KERNEL_HEIGHT) || taps > mostTaps)
    return `${op} with a kernel of ${loops.kernel.join('×')}`;
  const isOne = product(loops.output) === 1;
  if (!isOne && loops.strides.some((stride) => stride > MOST_STRIDE))
    return `${op} with a stride of ${Math.max(...loops.strides)}`;
  return undefined;
}

// ---- what a layer asks

export interface Extent {
  readonly height: number;
  readonly width: number;
  readonly depth: number;
}

export type TaskKind = 'convolution' | 'depthwise' | 'product' | 'pooling' | 'elementwise';

/** One operation of the unit. */
export interface Task {
  readonly kind: TaskKind;
  readonly output: Extent;
  readonly input: Extent;
  /** Taps, and what they span with their dilation. */
  readonly kernel: { readonly height: number; readonly width: number };
  readonly span: { readonly height: number; readonly width: number };
  readonly stride: { readonly height: number; readonly width: number };
  /** Elementwise: how many full operands there are. */
  readonly operands: number;
  readonly work: keyof BlockedProfile['cyclesPerOutput'];
  /** How often the whole task runs: groups of a convolution, passes of a softmax. */
  readonly times: number;
}

const ONE = { height: 1, width: 1 };

function taskOf({ op, workload }: Layer): Task {
  const { conv, window, matmul } = workload;
  if (conv) return convTask(conv);
  if (matmul) return productTask(workload);
  if (window) return poolTask(op, window);
  return elementwiseTask(op, workload);
}

const plane = (sizes: readonly number[]): { height: number; width: number } =>
  sizes.length === 1
    ? { height: 1, width: sizes[0]! }
    : { height: sizes[0] ?? 1, width: sizes[1] ?? 1 };

function spanOf(loops: ConvLoops | PoolLoops): { height: number; width: number } {
  const dilations = 'dilations' in loops ? loops.dilations : [];
  return plane(loops.kernel.map((size, axis) => (size - 1) * (dilations[axis] ?? 1) + 1));
}

function convTask(conv: ConvLoops): Task {
  const isDepthwise = conv.groups > 1 && conv.inputChannels === conv.groups;
  const groups = isDepthwise ? 1 : conv.groups;
  // A transposed convolution runs over its input with zeros put in between.
  const input = conv.transposed ? conv.output : conv.input;
  return {
    kind: isDepthwise ? 'depthwise' : 'convolution',
    output: { ...plane(conv.output), depth: conv.outputChannels / groups },
    input: { ...plane(input), depth: conv.inputChannels / groups },
    kernel: plane(conv.kernel),
    span: spanOf(conv),
    stride: conv.transposed ? ONE : plane(conv.strides),
    operands: 1,
    work: 'product',
    times: groups,
  };
}

/** Rows of a product lie side by side. */
function productTask(workload: Workload): Task {
  const { count, m, n, k } = gemmOf(workload)!;
  return {
    kind: m * count === 1 ? 'product' : 'convolution',
    output: { height: 1, width: m * count, depth: n },
    input: { height: 1, width: m * count, depth: k },
    kernel: ONE,
    span: ONE,
    stride: ONE,
    operands: 1,
    work: 'product',
    times: 1,
  };
}

function poolTask(op: string, window: PoolLoops): Task {
  return {
    kind: 'pooling',
    output: { ...plane(window.output), depth: window.channels },
    input: { ...plane(window.input), depth: window.channels },
    kernel: plane(window.kernel),
    span: spanOf(window),
    stride: plane(window.strides),
    operands: 1,
    work: op.includes('Max') ? 'maximum' : 'product',
    times: 1,
  };
}

/**
 * Full passes over a softmax: its maximum, differences with their exponentials, rounding, sums, the product, rounding
 * again; what happens once per row is small beside them.
 */
const SOFTMAX_PASSES = 6;

const TABLES = ['Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'Gelu', 'Exp', 'Sqrt'];
const CLIPS = ['Relu', 'Clip'];

function elementwiseTask(op: string, workload: Workload): Task {
  const { kind, inputBytes, outputBytes } = workload;
  const elements = Math.max(1, kind === 'reduction' ? (inputBytes ?? 0) : (outputBytes ?? 0));
  const extent = { height: 1, width: Math.ceil(elements / CHANNELS), depth: CHANNELS };
  return {
    kind: 'elementwise',
    output: extent,
    input: extent,
    kernel: ONE,
    span: ONE,
    stride: ONE,
    operands: (inputBytes ?? 0) > elements ? 2 : 1,
    work:
      op === 'Mul'
        ? 'multiply'
        : op === 'Add' || op === 'Sub'
          ? 'add'
          : TABLES.includes(op)
            ? 'table'
            : CLIPS.includes(op)
              ? 'clip'
              : 'product',
    times: kind === 'softmax' ? SOFTMAX_PASSES : 1,
  };
}

/** Channels that lie beside each other in memory. */
const CHANNELS = 16;

// ---- blocks

/** A block of outputs, and the inputs that it reads. */
export interface Block {
  readonly output: Extent;
  readonly input: Extent;
  /** Taps are multiplied side by side, for inputs of few channels. */
  readonly partKernel: boolean;
}

const roundUp = (size: number, to: number): number => Math.ceil(size / to) * to;
const volume = ({ height, width, depth }: Extent): number => height * width * depth;
const smaller = (a: Extent, b: Extent): Extent => ({
  height: Math.min(a.height, b.height),
  width: Math.min(a.width, b.width),
  depth: Math.min(a.depth, b.depth),
});

/** Beyond any size of a block, to tell two sizes apart in one number. */
const MOST_SIZE = 2 ** 16;
const BANK_BYTES = 1024;
const ACCUMULATOR_BYTES = 4;
const SPLIT_DEPTH = 16;
/** Kernels are taken apart beyond so many taps along an axis. */
const MOST_TAPS = 8;

/** Shallow inputs are multiplied tap by tap, four at once, where that leaves fewer lanes idle. */
function takesPartKernels({ kind, input, kernel }: Task): boolean {
  if (kind !== 'convolution' && kind !== 'depthwise') return false;
  if (input.depth <= 8) return true;
  const taps = kernel.height * kernel.width;
  const byDepth = input.depth / roundUp(input.depth, 32);
  const byTaps = (input.depth * taps) / (roundUp(input.depth, 8) * roundUp(taps, 4));
  return byTaps > byDepth;
}

const blocks = new WeakMap<BlockedProfile, Map<string, Block | undefined>>();

/** The block that fetches least per output among those that fit into the buffer; undefined where none does. */
export function blockOf(task: Task, profile: BlockedProfile): Block | undefined {
  let known = blocks.get(profile);
  if (!known) blocks.set(profile, (known = new Map<string, Block | undefined>()));
  const key = JSON.stringify(task);
  if (!known.has(key)) known.set(key, bestBlock(task, profile));
  return known.get(key);
}

function bestBlock(task: Task, profile: BlockedProfile): Block | undefined {
  const { unit, largestBlock } = profile;
  const { output } = task;
  const partKernel = takesPartKernels(task);
  const space = smaller(output, largestBlock);
  const most = {
    height: roundUp(space.height, unit.height),
    width: roundUp(space.width, unit.width),
    depth: roundUp(space.depth, unit.depth),
  };
  const stepDepth = (depth: number) => (depth < output.depth ? roundUp(depth, SPLIT_DEPTH) : depth);
  let best: { block: Block; cost: number; coverage: number } | undefined;
  let depth = stepDepth(Math.max(unit.depth, Math.min(most.depth, SPLIT_DEPTH)));
  for (; depth <= most.depth; depth = stepDepth(depth + unit.depth)) {
    const tooLarge = new Set<number>();
    for (let height = unit.height; height <= most.height; height += unit.height)
      for (let width = unit.width; width <= most.width; width += unit.width) {
        if (tooLarge.has(height * MOST_SIZE + width)) continue;
        const block = blockAt(task, { height, width, depth }, partKernel, profile);
        if (!fits(task, block, profile)) {
          tooLarge.add(width * MOST_SIZE + height);
          continue;
        }
        const cost = fetchedPerOutput(task, block, profile);
        const coverage = coverageOf(task, block);
        const isLess = best === undefined || cost < best.cost;
        const isEqual = cost === best?.cost && height <= 4 && width <= 4;
        if (isLess) best = { block, cost, coverage: Infinity };
        else if (isEqual && coverage <= best!.coverage) best = { block, cost, coverage };
      }
  }
  return best?.block;
}

function blockAt(task: Task, output: Extent, partKernel: boolean, { unit }: BlockedProfile): Block {
  const { stride, span, kind, input } = task;
  const along = (size: number, step: number, extent: number, to: number) =>
    roundUp((size - 1) * step + Math.min(extent, MOST_TAPS), to);
  const isEqualDepth = kind === 'elementwise' || kind === 'pooling' || kind === 'depthwise';
  return {
    output,
    input: {
      height: along(output.height, stride.height, span.height, unit.height),
      width: along(output.width, stride.width, span.width, unit.width),
      depth: isEqualDepth
        ? output.depth
        : roundUp(Math.min(input.depth, partKernel ? 16 : 32), unit.inputs),
    },
    partKernel,
  };
}

/** Inputs and accumulators are held twice: one while the other fills. */
function fits(task: Task, block: Block, { buffer, unit }: BlockedProfile): boolean {
  const { input } = block;
  const output = rowOf(task, block.output, unit);
  const banks = (bytes: number, granule: number) =>
    roundUp(Math.ceil(bytes / BANK_BYTES) * 2, granule);
  const inputBanks = banks(input.height * input.width * roundUp(input.depth, 8), buffer.inputBanks);
  const free = buffer.banks - buffer.reservedBanks;
  if (task.kind === 'elementwise') return inputBanks * Math.min(2, task.operands) <= free;
  const sums = output.height * output.width * roundUp(output.depth, 8) * ACCUMULATOR_BYTES;
  return inputBanks + banks(sums, buffer.accumulatorBanks) <= free;
}

/** Of a single row, a block of two rows holds one. */
function rowOf(
  { output, kernel }: Task,
  block: Extent,
  { height }: BlockedProfile['unit'],
): Extent {
  const isRow = height === 2 && output.height === 1 && kernel.height === 1;
  return isRow ? { ...block, height: 1 } : block;
}

function fetchedPerOutput(task: Task, block: Block, { unit }: BlockedProfile): number {
  const { kind, output, input, span } = task;
  const all = volume(output);
  if (kind === 'elementwise') return Math.max(all / volume(block.output), 1) / halved(task, block);
  const own = rowOf(task, block.output, unit);
  const blocks = {
    height: output.height / own.height,
    width: output.width / own.width,
    depth: output.depth / own.depth,
  };
  const full = {
    plane: Math.ceil(blocks.height) * Math.ceil(blocks.width),
    depth: Math.ceil(blocks.depth),
  };
  const isConvolution = kind === 'convolution' || kind === 'depthwise';
  const taps = isConvolution ? span.height * span.width : 0;
  const channels = kind === 'depthwise' ? 1 : block.output.depth * blocks.depth;
  const weights = taps * input.depth * full.plane * channels;
  const repeats = Math.ceil(span.width / MOST_TAPS) * Math.ceil(span.height / MOST_TAPS);
  const isEqualDepth = kind === 'pooling' || kind === 'depthwise';
  const inputs =
    block.input.height *
    block.input.width *
    input.depth *
    repeats *
    blocks.height *
    blocks.width *
    (isEqualDepth ? 1 : full.depth);
  return (inputs + weights) / all / halved(task, block);
}

/** Inputs that fit into both halves of the buffer are preferred. */
const halved = ({ input }: Task, block: Block): number =>
  volume(input) < volume(block.input) * 2 ? 2 : 1;

function coverageOf({ input }: Task, block: Block): number {
  const covered = smaller(input, block.input);
  return (input.height * input.width) / (covered.height * covered.width);
}

// ---- cycles

/** Cycles of one task, blocks of products and of outputs overlapping. */
export function taskCycles(task: Task, block: Block, profile: BlockedProfile): number {
  const perOutput = cyclesPerOutput(task, block, profile);
  if (task.kind === 'elementwise') {
    const { height, width, depth } = task.output;
    return Math.ceil(perOutput * height * width * roundUp(depth, CHANNELS));
  }
  const own = smaller(task.output, clampedBlock(task, block, profile).output);
  const products = blockCycles(task, block, profile);
  const outputs = Math.max(
    Math.ceil(perOutput * volume(own)),
    task.kind === 'pooling' ? 0 : (10 * own.depth * profile.storage.readCycles) / 256,
  );
  const command = (accessCycles(task, block, profile) + outputs + products) / 4;
  const [making, writing] = [Math.max(products, command), Math.max(outputs, command)];
  const blocks =
    Math.ceil(task.output.height / own.height) *
    Math.ceil(task.output.width / own.width) *
    Math.ceil(task.output.depth / own.depth);
  return making > writing ? making * blocks + writing : writing * blocks + making;
}

/** Of single rows the units stand side by side. */
function clampedBlock(task: Task, block: Block, { unit }: BlockedProfile) {
  const isRow =
    unit.height === 2 &&
    task.kind !== 'pooling' &&
    task.output.height === 1 &&
    task.output.width % 2 === 0 &&
    task.kernel.height === 1;
  return isRow
    ? { output: { ...block.output, height: 1 }, unit: { height: 1, width: 4, depth: unit.depth } }
    : { output: block.output, unit };
}

/** Cycles between the products of units when a block has a single one across. */
const DELAY = 2;

function blockCycles(task: Task, block: Block, profile: BlockedProfile): number {
  const { output, unit } = clampedBlock(task, block, profile);
  const own = smaller(task.output, output);
  const input = smaller(task.input, block.input);
  const across = Math.ceil(own.width / unit.width) * Math.ceil(own.height / unit.height);
  const deep = Math.ceil(own.depth / unit.depth);
  // Weights of a unit take so long to be decoded.
  const decoding = (32 * unit.depth) / 8;
  let cycles = 0;
  for (const taps of kernelParts(task.kernel)) {
    const { each, steps } = stepsOf(task, block, { taps, across, decoding });
    const inputs = block.partKernel && task.kind === 'convolution' ? Math.ceil(input.depth / 8) : 1;
    const delay =
      across > 1 ? 0 : deep === 1 ? DELAY * steps : steps > 1 ? DELAY * (steps - 1) * deep : 0;
    cycles += each * steps * inputs * deep + delay * inputs;
  }
  const isSum = task.kind === 'convolution' || task.kind === 'product';
  const passes = isSum ? Math.ceil(task.input.depth / input.depth) : 1;
  return (cycles * passes) / profile.cores;
}

function stepsOf(
  { kind }: Task,
  { partKernel }: Block,
  of: { readonly taps: number; readonly across: number; readonly decoding: number },
): { each: number; steps: number } {
  const { taps, across, decoding } = of;
  if (kind === 'pooling') return { each: Math.max(4, taps) * across, steps: 1 };
  const each = Math.max(decoding, 4 * across);
  const byFour = kind === 'depthwise' || (kind === 'convolution' && partKernel);
  return { each, steps: byFour ? Math.ceil(taps / 4) : taps };
}

/** Taps of the parts that a kernel is taken into. */
function kernelParts({ height, width }: Task['kernel']): number[] {
  const parts = (size: number) =>
    Array.from({ length: Math.ceil(size / MOST_TAPS) }, (_, i) =>
      Math.min(size - i * MOST_TAPS, MOST_TAPS),
    );
  return parts(height).flatMap((rows) => parts(width).map((columns) => rows * columns));
}

function cyclesPerOutput(task: Task, block: Block, profile: BlockedProfile): number {
  const own = profile.cyclesPerOutput[task.work];
  const perOutput =
    task.work === 'table' || task.work === 'clip'
      ? Math.max(own, profile.cyclesPerOutput.product)
      : own;
  if (task.kind !== 'elementwise') return perOutput;
  const outputs = volume(block.output);
  const command = (accessCycles(task, block, profile) + perOutput * outputs) / 4;
  return Math.max(perOutput, command / outputs);
}

/** Bringing a block's inputs and taking its outputs away, in bursts along 16 channels. */
function accessCycles(task: Task, block: Block, { sram, cores }: BlockedProfile): number {
  const moved = (whole: Extent, part: Extent, streams: number) => {
    const isLine = CHANNELS * whole.width === part.depth;
    const burst = isLine ? part.depth * part.width : CHANNELS * part.width * streams;
    const bytes = volume(smaller(whole, part));
    return (bytes * (sram.burstBytes / Math.min(sram.burstBytes, burst))) / sram.bytesPerCycle;
  };
  const read = moved(task.input, block.input, 1);
  const written = moved(task.output, block.output, cores);
  return sram.readCycles + read + sram.writeCycles + written;
}

// ---- a layer

function onUnit({ workload }: Layer, task: Task, block: Block, profile: BlockedProfile): Cost {
  const { clockMhz, unit, cores, sram, storage } = profile;
  const ms = (cycles: number) => cycles / (clockMhz * 1e3);
  const cycles = task.times * taskCycles(task, block, profile);
  const { inputBytes, outputBytes } = accessesOf(task, block);
  const activations = inputBytes + outputBytes;
  const weights = workload.weightReadBytes * profile.encodedBytesPerWeight;
  return {
    phases: [
      longest(
        phase('units', ms(cycles), 'compute'),
        phase('activations', ms(activations / sram.bytesPerCycle), 'activation bandwidth'),
        phase('weights', ms(weights / storage.bytesPerCycle), 'weight bandwidth'),
      ),
    ],
    energyMj: null,
    peakMacsPerMs: unit.height * unit.width * unit.depth * unit.inputs * cores * clockMhz * 1e3,
    cycles,
    sramAccesses: { ifmap: inputBytes, filter: 0, ofmap: outputBytes },
    mapping: describe(task, block, cycles),
  };
}

/** Bytes from and to SRAM: what blocks share is read again for each. */
export function accessesOf(
  { output, input, times, kind, operands, kernel }: Task,
  block: Block,
): { readonly inputBytes: number; readonly outputBytes: number } {
  const stored = output.height * output.width * roundUp(output.depth, CHANNELS);
  const outputBytes = times * stored;
  if (kind === 'elementwise') return { inputBytes: operands * outputBytes, outputBytes };
  const own = smaller(output, block.output);
  const isSum = kind === 'convolution' || kind === 'product';
  const blocks =
    Math.ceil(output.height / own.height) *
    Math.ceil(output.width / own.width) *
    (isSum ? Math.ceil(output.depth / own.depth) : 1);
  const read = smaller(input, block.input);
  const each = read.height * read.width * roundUp(input.depth, CHANNELS);
  return { inputBytes: times * blocks * each * kernelParts(kernel).length, outputBytes };
}

function describe(task: Task, { output, partKernel }: Block, cycles: number): string {
  const { kind, times } = task;
  const { height, width, depth } = smaller(task.output, output);
  const size = `${height}×${width}×${depth}`;
  const how = partKernel && kind === 'convolution' ? ', taps side by side' : '';
  const often = times > 1 ? `, ${times} times` : '';
  return `blocks of ${size} outputs${how}${often}: ${Math.ceil(cycles).toLocaleString('en')} cycles`;
}
