/**
 * Where the zeros of a weight lie. A pattern is found when it explains nearly all of them: hardware and kernels that make
 * something of zeros do so of one pattern and not of another.
 */

/** Weights as outputs × inputs × taps, wherever the tensor keeps its axes. */
export interface WeightLayout {
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  /** Steps in the flat tensor from one output, input and tap to the next. */
  readonly strides: { readonly output: number; readonly input: number; readonly tap: number };
}

export type Pattern =
  | { readonly kind: 'unstructured' }
  /** Whole outputs or whole inputs. */
  | { readonly kind: 'channel' }
  /** Rectangles of so many outputs × inputs, all taps. */
  | { readonly kind: 'block'; readonly outputs: number; readonly inputs: number }
  /** The same taps of all kernels in a rectangle of outputs × inputs. */
  | { readonly kind: 'block-punched'; readonly outputs: number; readonly inputs: number }
  /** Kernels that keep as many taps each, in one of a few shapes. */
  | { readonly kind: 'pattern'; readonly kept: number; readonly shapes: number }
  /** At most n of m inputs in a row. */
  | { readonly kind: 'n:m'; readonly n: number; readonly m: number };

export interface ZeroStructure {
  readonly pattern: Pattern;
  /** Share of rows of the product (an input and a tap) and of its columns (an output) that hold anything, 0 to 1. */
  readonly filledRows: number;
  readonly filledColumns: number;
}

export const UNSTRUCTURED: ZeroStructure = {
  pattern: { kind: 'unstructured' },
  filledRows: 1,
  filledColumns: 1,
};

export function zeroStructure(
  isZero: (index: number) => boolean,
  layout: WeightLayout,
): ZeroStructure {
  const { outputs, inputs, taps, strides } = layout;
  // Output-major, taps last, so that what follows does not depend on the tensor's axes.
  const zero = new Uint8Array(outputs * inputs * taps);
  const filledOutput = new Uint8Array(outputs);
  const filledRow = new Uint8Array(inputs * taps);
  let zeros = 0;
  let at = 0;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let t = 0; t < taps; t++, at++) {
        if (isZero(o * strides.output + i * strides.input + t * strides.tap)) {
          zero[at] = 1;
          zeros++;
        } else {
          filledOutput[o] = 1;
          filledRow[i * taps + t] = 1;
        }
      }
  const mask: Mask = { zero, outputs, inputs, taps, zeros };
  const share = (filled: Uint8Array) =>
    filled.length === 0 ? 1 : filled.reduce((sum, one) => sum + one, 0) / filled.length;
  return {
    pattern: zeros === 0 ? UNSTRUCTURED.pattern : patternOf(mask),
    filledRows: share(filledRow),
    filledColumns: share(filledOutput),
  };
}

interface Mask {
  readonly zero: Uint8Array;
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  readonly zeros: number;
}

/** Share of the zeros that a pattern has to explain: weights may be zero by chance. */
const EXPLAINED = 0.98;

function patternOf(mask: Mask): Pattern {
  if (explains(mask, inChannels(mask))) return { kind: 'channel' };
  for (const [outputs, inputs] of BLOCKS)
    if (explains(mask, inBlocks(mask, outputs, inputs, mask.taps)))
      return { kind: 'block', outputs, inputs };
  if (mask.taps > 1)
    for (const [outputs, inputs] of BLOCKS)
      if (explains(mask, inBlocks(mask, outputs, inputs, 1)))
        return { kind: 'block-punched', outputs, inputs };
  return kernelShapes(mask) ?? ofM(mask) ?? UNSTRUCTURED.pattern;
}

const explains = ({ zeros }: Mask, explained: number): boolean => explained >= EXPLAINED * zeros;

/** Outputs × inputs, larger ones first; a row or a column of four is the smallest that kernels use. */
const BLOCKS = [
  [64, 64],
  [32, 32],
  [16, 16],
  [8, 8],
  [16, 1],
  [1, 16],
  [4, 4],
  [8, 1],
  [1, 8],
  [4, 1],
  [1, 4],
] as const;

/** Zeros of outputs or inputs that hold nothing else. */
function inChannels({ zero, outputs, inputs, taps }: Mask): number {
  const filledInput = new Uint8Array(inputs);
  const filledOutput = new Uint8Array(outputs);
  for (let at = 0; at < zero.length; at++)
    if (!zero[at]) {
      filledInput[Math.floor(at / taps) % inputs] = 1;
      filledOutput[Math.floor(at / (taps * inputs))] = 1;
    }
  let explained = 0;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) if (!filledOutput[o] || !filledInput[i]) explained += taps;
  return explained;
}

/** Zeros of blocks that hold nothing else; a block that does not fit explains none. */
function inBlocks(
  { zero, outputs, inputs, taps }: Mask,
  height: number,
  width: number,
  depth: number,
): number {
  if (outputs % height !== 0 || inputs % width !== 0) return 0;
  const [across, deep] = [inputs / width, taps / depth];
  const filled = new Uint8Array((outputs / height) * across * deep);
  for (let at = 0; at < zero.length; at++) {
    if (zero[at]) continue;
    const tap = at % taps;
    const input = Math.floor(at / taps) % inputs;
    const output = Math.floor(at / (taps * inputs));
    const block = Math.floor(output / height) * across + Math.floor(input / width);
    filled[block * deep + Math.floor(tap / depth)] = 1;
  }
  let empty = 0;
  for (const one of filled) if (!one) empty++;
  return empty * height * width * depth;
}

/** PatDNN's patterns (Niu et al., ASPLOS 2020) keep four of nine taps in one of six to twelve shapes. */
const MOST_SHAPES = 16;

function kernelShapes({ zero, outputs, inputs, taps, zeros }: Mask): Pattern | undefined {
  if (taps < 4 || taps > 30) return undefined;
  const shapes = new Map<number, number>();
  let regular = 0;
  let kept: number | undefined;
  for (let kernel = 0; kernel < outputs * inputs; kernel++) {
    let shape = 0;
    let nonzeros = 0;
    for (let t = 0; t < taps; t++)
      if (!zero[kernel * taps + t]) {
        shape |= 1 << t;
        nonzeros++;
      }
    // Kernels may be cut out as a whole beside.
    if (nonzeros === 0) {
      regular += taps;
      continue;
    }
    kept ??= nonzeros;
    if (nonzeros !== kept || nonzeros === taps) continue;
    shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
    regular += taps - nonzeros;
    if (shapes.size > MOST_SHAPES) return undefined;
  }
  return kept !== undefined && shapes.size > 0 && regular >= EXPLAINED * zeros
    ? { kind: 'pattern', kept, shapes: shapes.size }
    : undefined;
}

const OF_M = [4, 8, 16] as const;

/** Groups along the inputs of one output and tap: the order in which products are added up. */
function ofM(mask: Mask): Pattern | undefined {
  for (const m of OF_M) {
    const n = mostOf(mask, m);
    if (n !== undefined && n <= m / 2) return { kind: 'n:m', n, m };
  }
  return undefined;
}

/** The most nonzeros in any group, where groups fill the inputs. */
function mostOf({ zero, outputs, inputs, taps }: Mask, m: number): number | undefined {
  if (inputs % m !== 0) return undefined;
  let most = 0;
  for (let o = 0; o < outputs; o++)
    for (let t = 0; t < taps; t++)
      for (let group = 0; group < inputs; group += m) {
        let nonzeros = 0;
        for (let i = group; i < group + m; i++) if (!zero[(o * inputs + i) * taps + t]) nonzeros++;
        if (nonzeros > most) most = nonzeros;
        if (most > m / 2) return undefined;
      }
  return most;
}

export function patternTitle(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'n:m':
      return `${pattern.n}:${pattern.m}`;
    case 'block':
    case 'block-punched':
      return `${pattern.kind} (${pattern.outputs}×${pattern.inputs})`;
    case 'pattern':
      return `pattern (${pattern.kept} taps, ${pattern.shapes} shapes)`;
    default:
      return pattern.kind;
  }
}
