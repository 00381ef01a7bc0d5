/**
 * FPGA overlays of the DPU kind: an engine that works on blocks of pixels × input channels × output channels, fed from
 * shared memory. A layer takes the longer of its cycles and its traffic, and a fixed number of cycles to start. What the
 * overlay cannot run goes to the processor beside it.
 */
import { hostCost } from './host';
import { phase, totalMs, type Cost, type Layer } from './phases';
import type { OverlayProfile } from './profile';
import { product } from './operators/operator';
import type { ConvLoops, Workload } from './workload';

export function fpgaCost(layer: Layer, profile: OverlayProfile): Cost {
  const { overlay } = profile;
  if (overlay.free.includes(layer.op))
    return { phases: [], energyMj: null, mapping: 'written in place by the layers before it' };
  const cycles = overlayCycles(layer, profile);
  return cycles === undefined
    ? hostCost(layer, profile.host, profile.id)
    : onOverlay(layer, cycles, profile);
}

function onOverlay({ workload }: Layer, cycles: number, profile: OverlayProfile): Cost {
  const { overlay, clockMhz } = profile;
  const ms = (count: number) => count / (clockMhz * 1e3);
  const activations = phase(
    'activations',
    ms(activationBytes(workload) / overlay.activationBytesPerCycle),
    'activation bandwidth',
  );
  const weights = phase(
    'weights',
    ms(workload.weightReadBytes / overlay.weightBytesPerCycle),
    'weight bandwidth',
  );
  const compute = phase('arithmetic', ms(cycles), 'compute');
  const traffic = [activations, weights];
  const peak = overlay.pixels * overlay.inputChannels * overlay.outputChannels;
  return {
    phases: [
      ...(compute.ms >= totalMs(traffic) ? [compute] : traffic),
      phase('layer start', ms(overlay.perLayerCycles), 'overhead'),
    ],
    energyMj: null,
    peakMacsPerMs: peak * clockMhz * 1e3,
    mapping: describe(workload, cycles, profile),
  };
}

const activationBytes = ({ inputBytes, outputBytes }: Workload): number =>
  (inputBytes ?? 0) + (outputBytes ?? 0);

/** Cycles of the engine, or undefined for what it cannot run. */
function overlayCycles({ op, workload }: Layer, { overlay }: OverlayProfile): number | undefined {
  if (!overlay.operators.includes(op)) return undefined;
  const { conv, matmul, kind } = workload;
  if (conv) return convCycles(conv, overlay);
  if (matmul)
    return matmul.constant === 'b'
      ? matmul.batch *
          matmul.m *
          Math.ceil(matmul.k / overlay.inputChannels) *
          Math.ceil(matmul.n / overlay.outputChannels)
      : undefined;
  if (kind === 'pooling') return poolingCycles(workload, overlay);
  if (kind === 'reduction') return (workload.inputBytes ?? 0) / overlay.elementsPerCycle;
  return (workload.outputBytes ?? 0) / overlay.elementsPerCycle;
}

type Overlay = OverlayProfile['overlay'];

/** Rows × blocks of columns × blocks of channels × taps; of a transposed convolution, over its input. */
function convCycles(loops: ConvLoops, overlay: Overlay): number {
  const pixels = loops.transposed ? loops.input : loops.output;
  const width = pixels.at(-1) ?? 1;
  const rows = loops.batch * product(pixels.slice(0, -1));
  const taps = product(loops.kernel);
  const inputs = loops.inputChannels / loops.groups;
  const outputs = loops.outputChannels / loops.groups;
  if (inputs === 1 && loops.groups > 1) {
    const blocks = Math.ceil(loops.outputChannels / overlay.inputChannels);
    return rows * Math.ceil(width / overlay.depthwisePixels) * blocks * taps;
  }
  const channels =
    Math.ceil(inputs / overlay.inputChannels) * Math.ceil(outputs / overlay.outputChannels);
  return loops.groups * rows * Math.ceil(width / overlay.pixels) * channels * taps;
}

/** A window that covers the whole input streams through once; others are read tap by tap. Elements are bytes here. */
function poolingCycles({ ops, inputBytes, outputBytes }: Workload, overlay: Overlay): number {
  const taps = ops ?? 0;
  const elements = inputBytes ?? 0;
  const isGlobal = taps <= elements && (outputBytes ?? 0) * GLOBAL_WINDOW <= elements;
  return isGlobal ? elements / overlay.elementsPerCycle : taps / overlay.poolingTapsPerCycle;
}

/** Windows of more elements than this are taken as global. */
const GLOBAL_WINDOW = 36;

function describe({ conv, matmul }: Workload, cycles: number, { overlay }: OverlayProfile): string {
  const blocks = `${overlay.pixels} pixels × ${overlay.inputChannels} × ${overlay.outputChannels} channels`;
  const rounded = Math.ceil(cycles).toLocaleString('en');
  if (conv && conv.groups > 1 && conv.inputChannels === conv.groups)
    return `${overlay.depthwisePixels} pixels × ${overlay.inputChannels} channels at a time, ${rounded} cycles`;
  return conv || matmul ? `${blocks} at a time, ${rounded} cycles` : `${rounded} cycles`;
}
