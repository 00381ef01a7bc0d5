/**
 * FPGA dataflow designs: every layer has an engine of its own on the device, and streams flow from one to the next. An
 * engine works on PE outputs × SIMD inputs at once; its cycles and resources are those of FINN-R (Blott et al., ACM TRETS
 * 2018) and of the FINN compiler's estimates: weights in block RAM, Ultra RAM, look-up tables or streamed from memory, line
 * buffers before windows, products packed into DSP slices as AMD WP486 (int8) and WP521 (int4) do.
 */
import { elementBits, type ElementType } from '../onnx/schema';
import { gemmOf } from './gemm';
import { hostCost } from './host';
import { product } from './operators/operator';
import { madeOnce } from './placing';
import type { Cost, Layer } from './phases';
import type { DataflowProfile } from './profile';
import type { ConvLoops, PoolLoops, Workload } from './workload';

/** Of a device; block RAM in halves of 18 Kib, as it is allocated, traffic in bytes for each run. */
export const RESOURCES = ['dsp', 'lut', 'bram18', 'uram', 'trafficBytes'] as const;
export type Resource = (typeof RESOURCES)[number];
export type Use = Readonly<Record<Resource, number>>;
/** What a unit of each resource is worth, to choose between ways to build the same engine. */
export type Prices = Use;

/** What a layer asks of its engine. */
export interface Engine {
  /** Outputs of a vector (PE divides them) and inputs of each (SIMD divides them); a stream has neither. */
  readonly outputs: number;
  readonly inputs: number;
  readonly vectors: number;
  /** Channels are multiplied apart: inputs are not shared between outputs, and SIMD waits for PE. */
  readonly isDepthwise: boolean;
  readonly weightBits: number;
  readonly inputBits: number;
  /** Stream: elements that pass, at most so many at a time. Of products: elements read. */
  readonly elements: number;
  readonly lanes: readonly number[];
  /** Elements that a line buffer holds for each channel. */
  readonly buffered: number;
  readonly channels: number;
  /** Share of the input before the first output, and of the output after the last input, 0 to 1. */
  readonly first: number;
  readonly last: number;
}

/** A way to build an engine. */
export interface Built {
  readonly pe: number;
  readonly simd: number;
  readonly cycles: number;
  readonly use: Use;
  /** Where the weights lie. */
  readonly memory: Memory | null;
  readonly multipliers: 'DSP slices' | 'look-up tables' | null;
}
type Memory = 'block RAM' | 'Ultra RAM' | 'look-up tables' | 'memory beside the device';

/** Before it is known what the other layers take: engines get their time from the whole design (`overPipeline`). */
export function dataflowCost(layer: Layer, profile: DataflowProfile): Cost {
  if (profile.engines.free.includes(layer.op))
    return { phases: [], energyMj: null, mapping: 'streams are only reordered' };
  return engineOf(layer, profile)
    ? { phases: [], energyMj: null }
    : hostCost(layer, profile.host, profile.id);
}

/** The engine of a layer, or undefined for what the design has none for. */
export function engineOf(
  { op, workload }: Layer,
  { engines }: DataflowProfile,
): Engine | undefined {
  if (!engines.operators.includes(op) || engines.free.includes(op)) return undefined;
  const { conv, matmul, parts, window, kind } = workload;
  if (parts || kind === 'free') return undefined;
  if (conv) return convEngine(workload, conv);
  if (matmul) return matmul.constant === null ? undefined : productEngine(workload);
  return streamEngine(workload, window);
}

// ---- what a layer asks

const bitsOf = (type: ElementType | undefined): number => elementBits(type ?? 'int8');

const elementsOf = (bytes: number | null, type: ElementType | undefined): number =>
  Math.ceil(((bytes ?? 0) * 8) / bitsOf(type));

function convEngine(workload: Workload, conv: ConvLoops): Engine {
  const taps = product(conv.kernel);
  const pixels = conv.batch * product(conv.output);
  const isDepthwise = conv.groups > 1 && conv.inputChannels === conv.groups;
  const groups = isDepthwise ? 1 : conv.groups;
  return {
    outputs: conv.outputChannels / groups,
    inputs: isDepthwise ? taps : (taps * conv.inputChannels) / groups,
    // A transposed convolution slides over its input with zeros put in between.
    vectors: groups * pixels,
    isDepthwise,
    ...widths(workload),
    elements: conv.batch * conv.inputChannels * product(conv.input),
    lanes: [],
    ...sliding(conv),
    channels: conv.inputChannels,
  };
}

const widths = ({ weightType, inputType }: Workload) => ({
  weightBits: bitsOf(weightType),
  inputBits: bitsOf(inputType),
});

/** Of a window: what is buffered, and what it waits for at both ends of a picture. */
function sliding(loops: ConvLoops | PoolLoops): Pick<Engine, 'buffered' | 'first' | 'last'> {
  const axes = loops.kernel.map((size, axis) => {
    const dilation = 'dilations' in loops ? (loops.dilations[axis] ?? 1) : 1;
    const input = loops.input[axis] ?? 1;
    const before = Math.floor(Math.max(0, (loops.paddedInput[axis] ?? input) - input) / 2);
    return { input, extent: (size - 1) * dilation + 1, before, output: loops.output[axis] ?? 1 };
  });
  // Positions behind the first, row after row, as a picture streams in.
  const along = (of: (axis: (typeof axes)[number]) => number, size: 'input' | 'output') =>
    axes.reduce((position, axis) => position * axis[size] + of(axis), 0);
  const picture = product(axes.map(({ input }) => input));
  const results = product(axes.map(({ output }) => output));
  const span = along(({ extent, input }) => Math.min(extent, input) - 1, 'input') + 1;
  const wait = along(
    ({ extent, before, input }) => Math.min(input, Math.max(1, extent - before)) - 1,
    'input',
  );
  const behind = along(({ before, output }) => Math.min(before, output - 1), 'output');
  return {
    buffered: span > 1 ? span : 0,
    first: Math.min(1, (wait + 1) / picture),
    last: Math.min(1, (behind + 1) / results),
  };
}

function productEngine(workload: Workload): Engine | undefined {
  const gemm = gemmOf(workload);
  if (!gemm) return undefined;
  const isSecond = workload.matmul?.constant === 'b';
  const outputs = isSecond ? gemm.n : gemm.m;
  const vectors = gemm.count * (isSecond ? gemm.m : gemm.n);
  return {
    outputs,
    inputs: gemm.k,
    vectors,
    isDepthwise: false,
    ...widths(workload),
    elements: vectors * gemm.k,
    lanes: [],
    buffered: 0,
    channels: gemm.k,
    first: 1 / vectors,
    last: 1 / vectors,
  };
}

const STREAM_LANES = [1, 2, 4, 8, 16, 32, 64];

/** Times that the elements of a normalisation or softmax pass: for its statistics, and to apply them. */
const PASSES = { normalisation: 2, softmax: 3 } as const;

function streamEngine(workload: Workload, window: PoolLoops | undefined): Engine {
  const { kind, inputBytes, outputBytes, inputType, outputType } = workload;
  const read = elementsOf(inputBytes, inputType);
  const passes = kind === 'normalisation' || kind === 'softmax' ? PASSES[kind] : 1;
  return {
    outputs: 0,
    inputs: 0,
    vectors: 0,
    isDepthwise: false,
    weightBits: 0,
    inputBits: bitsOf(inputType),
    elements: passes * Math.max(read, elementsOf(outputBytes, outputType)),
    lanes: window ? divisors(window.channels) : STREAM_LANES,
    channels: window?.channels ?? 1,
    ...(window
      ? sliding(window)
      : { buffered: 0, first: kind === 'reduction' ? 1 : 0, last: kind === 'reduction' ? 1 : 0 }),
  };
}

// ---- how an engine can be built

/** An engine and the ways to build it, each worked out once. */
export interface Buildable {
  readonly engine: Engine;
  readonly profile: DataflowProfile;
  readonly known: Map<number, Ways>;
}

/** One folding: what it takes in any case, and what can be taken in one place or another. */
export interface Ways {
  readonly folding: Folding;
  readonly cycles: number;
  readonly fixed: Use;
  readonly buffers: readonly Use[];
  readonly memories: readonly (readonly [Memory, Use])[];
  readonly multipliers: readonly (readonly [NonNullable<Built['multipliers']>, Use])[];
}

export const buildable = (engine: Engine, profile: DataflowProfile): Buildable => ({
  engine,
  profile,
  known: new Map(),
});

/** The foldings of an engine that take no more than so many cycles, those left out that take more for nothing. */
export const waysWithin = (of: Buildable, mostCycles: number): Ways[] =>
  foldings(of.engine, mostCycles).map((folding) => waysOf(of, folding));

/** The cheapest of some ways to build an engine; undefined where there is none. */
export function cheapest(ways: readonly Ways[], prices: Prices): Built | undefined {
  let best: Ways | undefined;
  let least = Infinity;
  for (const way of ways) {
    const cost =
      priceOf(way.fixed, prices) +
      lowest(way.buffers, prices) +
      lowest(way.memories, prices) +
      lowest(way.multipliers, prices);
    if (cost < least) [best, least] = [way, cost];
  }
  return best && build(best, prices);
}

type Way = Use | readonly [unknown, Use];
const useOf = (way: Way): Use => ('dsp' in way ? way : way[1]);

function lowest(ways: readonly Way[], prices: Prices): number {
  let least = ways.length > 0 ? Infinity : 0;
  for (const way of ways) least = Math.min(least, priceOf(useOf(way), prices));
  return least;
}

function cheapestOf<W extends Way>(ways: readonly W[], prices: Prices): W | undefined {
  const least = lowest(ways, prices);
  return ways.find((way) => priceOf(useOf(way), prices) === least);
}

function build(ways: Ways, prices: Prices): Built {
  const buffer = cheapestOf(ways.buffers, prices);
  const memory = cheapestOf(ways.memories, prices);
  const multipliers = cheapestOf(ways.multipliers, prices);
  const taken = [buffer, memory?.[1], multipliers?.[1]].filter((part) => part !== undefined);
  return {
    pe: ways.folding.pe,
    simd: ways.folding.simd,
    cycles: ways.cycles,
    use: plus(ways.fixed, ...taken),
    memory: memory?.[0] ?? null,
    multipliers: multipliers?.[0] ?? null,
  };
}

function waysOf({ engine, profile, known }: Buildable, folding: Folding): Ways {
  const key = folding.pe * MOST_INPUTS + folding.simd;
  return madeOnce(known, key, () => newWays(engine, folding, profile));
}

/** More than any sum has terms. */
const MOST_INPUTS = 2 ** 26;

function newWays(engine: Engine, folding: Folding, profile: DataflowProfile): Ways {
  const base = use({ lut: profile.engines.lutPerEngine });
  const buffers = lineBuffer(engine, folding);
  return engine.outputs === 0
    ? {
        folding,
        cycles: streamCycles(engine, folding.pe),
        fixed: plus(base, streamLanes(engine, folding.pe, profile)),
        buffers,
        memories: [],
        multipliers: [],
      }
    : {
        folding,
        cycles: foldedCycles(engine, folding),
        fixed: plus(base, adders(engine, folding, profile)),
        buffers,
        memories: weightMemories(engine, folding),
        multipliers: multiplierWays(engine, folding, profile),
      };
}

/** Cycles of the engine at its smallest and at its largest. */
export function cycleRange(engine: Engine): { readonly least: number; readonly most: number } {
  if (engine.outputs === 0)
    return { least: streamCycles(engine, engine.lanes.at(-1)!), most: streamCycles(engine, 1) };
  const { outputs, inputs } = engine;
  return {
    least: foldedCycles(engine, { pe: outputs, simd: inputs }),
    most: foldedCycles(engine, { pe: 1, simd: 1 }),
  };
}

interface Folding {
  readonly pe: number;
  readonly simd: number;
}

/** For each SIMD the smallest PE that is fast enough: others take more resources for nothing. */
function foldings(engine: Engine, mostCycles: number): Folding[] {
  if (engine.outputs === 0) {
    const lanes = engine.lanes.find((count) => streamCycles(engine, count) <= mostCycles);
    return lanes === undefined ? [] : [{ pe: lanes, simd: 1 }];
  }
  const all = divisors(engine.outputs);
  return divisors(engine.inputs).flatMap((simd) => {
    const pes = engine.isDepthwise && simd > 1 ? [engine.outputs] : all;
    const pe = pes.find((count) => foldedCycles(engine, { pe: count, simd }) <= mostCycles);
    return pe === undefined ? [] : [{ pe, simd }];
  });
}

const streamCycles = ({ elements }: Engine, lanes: number): number => Math.ceil(elements / lanes);

/** Products, or reading the input where that takes longer: as many channels at a time as are multiplied. */
export function foldedCycles(engine: Engine, { pe, simd }: Folding): number {
  const { outputs, inputs, vectors, elements, channels, isDepthwise } = engine;
  const products = vectors * (outputs / pe) * (inputs / simd);
  return Math.max(products, elements / Math.min(isDepthwise ? pe : simd, channels));
}

const divisorsOf = new Map<number, readonly number[]>();

function divisors(count: number): readonly number[] {
  let known = divisorsOf.get(count);
  if (!known) {
    const low: number[] = [];
    const high: number[] = [];
    for (let i = 1; i * i <= count; i++)
      if (count % i === 0) {
        low.push(i);
        if (i * i < count) high.unshift(count / i);
      }
    divisorsOf.set(count, (known = [...low, ...high]));
  }
  return known;
}

/** Pooling and elementwise units: an operation on every lane, and its scaling. */
function streamLanes(engine: Engine, lanes: number, profile: DataflowProfile): Use {
  const { lutScale, lutPerRequantiser, dspPerRequantiser } = profile.engines;
  return use({
    lut: lutScale * lanes * (2 * engine.inputBits + lutPerRequantiser),
    dsp: lanes * dspPerRequantiser,
  });
}

function multiplierWays(
  engine: Engine,
  { pe, simd }: Folding,
  { engines }: DataflowProfile,
): [NonNullable<Built['multipliers']>, Use][] {
  const { weightBits, inputBits, isDepthwise } = engine;
  const bits = weightBits + inputBits;
  const wider = Math.max(weightBits, inputBits);
  const packed = engines.macsPerDsp
    .filter((packing) => wider <= packing.bits)
    .reduce((most, { macs }) => Math.max(most, macs), 1);
  // Packed products share an input, which channels multiplied apart do not.
  const columns = isDepthwise ? pe : Math.ceil(pe / packed);
  const lutsPerProduct = (2 * Math.ceil(bits / 6) - 1) * bits;
  return [
    ['DSP slices', use({ dsp: columns * simd * Math.ceil(bits / WIDEST_DSP_PRODUCT) })],
    ['look-up tables', use({ lut: engines.lutScale * pe * simd * lutsPerProduct })],
  ];
}

/** Bits of both factors that one slice takes. */
const WIDEST_DSP_PRODUCT = 48;

/** Adder trees, accumulators as wide as sums can become, and scaling of results to the next layer's codes. */
function adders(engine: Engine, { pe, simd }: Folding, { engines }: DataflowProfile): Use {
  const { inputs, weightBits, inputBits } = engine;
  const bits = weightBits + inputBits;
  const magnitude = Math.log2(inputs) + bits - 1;
  const accumulator = Math.ceil(magnitude + Math.log2(1 + 2 ** -magnitude) + 1);
  const requantisers = Math.ceil((pe * simd) / inputs);
  return use({
    lut:
      engines.lutScale * pe * (bits * (2 * simd - 1) + accumulator) +
      requantisers * engines.lutPerRequantiser,
    dsp: requantisers * engines.dspPerRequantiser,
  });
}

/** A word holds the weights of one cycle. */
function weightMemories(engine: Engine, { pe, simd }: Folding): [Memory, Use][] {
  const { outputs, inputs, vectors, weightBits } = engine;
  const words = (outputs * inputs) / (pe * simd);
  const width = pe * simd * weightBits;
  return [
    ['block RAM', use({ bram18: bram18(words, width) })],
    ['Ultra RAM', use({ uram: Math.ceil(width / 72) * Math.ceil(words / 4096) })],
    ['look-up tables', use({ lut: width * Math.ceil(words / 64) })],
    // The whole matrix for every vector.
    [
      'memory beside the device',
      use({ trafficBytes: (outputs * inputs * weightBits * vectors) / 8 }),
    ],
  ];
}

/** Halves of a block RAM for so many words (AMD UG573, simple dual port). */
export function bram18(words: number, width: number): number {
  const of = (depth: number, bits: number) => Math.ceil(words / depth) * Math.ceil(width / bits);
  if (width === 1) return of(16384, 1);
  if (width === 2) return of(8192, 2);
  if (width <= 4) return of(4096, 4);
  if (width <= 9) return of(2048, 9);
  if (width <= 18 || words > 512) return of(1024, 18);
  return of(512, 36);
}

/** The rows of a picture that a window spans, as wide as channels are read. */
function lineBuffer(engine: Engine, { pe, simd }: Folding): Use[] {
  const { buffered, channels, inputBits, isDepthwise, outputs } = engine;
  if (buffered === 0) return [];
  const atOnce = Math.min(outputs === 0 || isDepthwise ? pe : simd, channels);
  const words = Math.ceil((buffered * channels) / atOnce);
  const width = atOnce * inputBits;
  return [
    use({ bram18: bufferBram18(words, width) }),
    use({ lut: width * Math.ceil(words / LUT_BUFFER_WORDS) }),
  ];
}

const LUT_BUFFER_WORDS = 38;

/** Words of a buffer go into the widest shape of a block RAM that is deep enough. */
function bufferBram18(words: number, width: number): number {
  const shape = BRAM18_SHAPES.find(({ depth }) => words <= depth);
  const { depth, bits } = shape ?? { depth: 16384, bits: 1 };
  return Math.ceil(words / depth) * Math.ceil(width / bits);
}

const BRAM18_SHAPES = [
  { depth: 512, bits: 36 },
  { depth: 1024, bits: 18 },
  { depth: 2048, bits: 9 },
  { depth: 4096, bits: 4 },
  { depth: 8192, bits: 2 },
  { depth: 16384, bits: 1 },
];

// ---- sums of resources

/** Of one form, whatever is given: designs look at hundreds of thousands. */
export const use = ({
  dsp = 0,
  lut = 0,
  bram18 = 0,
  uram = 0,
  trafficBytes = 0,
}: Partial<Use>): Use => ({ dsp, lut, bram18, uram, trafficBytes });

export const times = (count: number, taken: Use): Use => ({
  dsp: count * taken.dsp,
  lut: count * taken.lut,
  bram18: count * taken.bram18,
  uram: count * taken.uram,
  trafficBytes: count * taken.trafficBytes,
});

export function plus(...uses: readonly Use[]): Use {
  let [dsp, lut, bram18, uram, trafficBytes] = [0, 0, 0, 0, 0];
  for (const one of uses) {
    dsp += one.dsp;
    lut += one.lut;
    bram18 += one.bram18;
    uram += one.uram;
    trafficBytes += one.trafficBytes;
  }
  return { dsp, lut, bram18, uram, trafficBytes };
}

export const priceOf = (taken: Use, prices: Prices): number =>
  taken.dsp * prices.dsp +
  taken.lut * prices.lut +
  taken.bram18 * prices.bram18 +
  taken.uram * prices.uram +
  taken.trafficBytes * prices.trafficBytes;
