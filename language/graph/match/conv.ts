/** Finds convolution blocks: a convolution with its norm and activation, and what such blocks are put together to. */
import { intAttribute, intsAttribute, type Node } from '../graph';
import type { Activation, Activations } from './activation';
import type { Norm, Norms } from './norm';
import type { Residual } from './residual';
import { otherInput, type View } from './view';

export interface ConvBlock {
  readonly node: string;
  readonly kind: 'standard' | 'pointwise' | 'depthwise' | 'grouped' | 'transposed';
  readonly input: string;
  /** After norm and activation. */
  readonly output: string;
  readonly weight: { readonly value: string; readonly input: number };
  readonly bias: { readonly node: string; readonly value: string } | undefined;
  readonly norm: Norm | undefined;
  readonly activation: Activation | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly kernel: readonly number[] | undefined;
  readonly strides: readonly number[] | undefined;
}

/** Blocks in a row that have a name together. */
export interface ConvChain {
  readonly kind: 'depthwise-separable' | 'inverted-residual' | 'bottleneck' | 'basic';
  readonly blocks: readonly ConvBlock[];
  /** The sum that adds what the chain started from. */
  readonly residual: Residual | undefined;
}

const CONVOLUTION =
  /^(Conv|ConvTranspose|FusedConv|QLinearConv|ConvInteger|NhwcConv|NhwcFusedConv)$/;

export function findConvBlocks(view: View, norms: Norms, activations: Activations): ConvBlock[] {
  const normOf = new Map(norms.all.map((norm) => [norm.input, norm]));
  const activationOf = new Map(activations.all.map((found) => [found.input, found]));
  return view.nodes.flatMap((node) => {
    if (!CONVOLUTION.test(node.op) || view.isStatic(node.outputs[0] ?? '')) return [];
    return [blockAt(view, node, normOf, activationOf)];
  });
}

function blockAt(
  view: View,
  node: Node,
  norms: ReadonlyMap<string, Norm>,
  activations: ReadonlyMap<string, Activation>,
): ConvBlock {
  const quantised = node.op === 'QLinearConv';
  const weight = quantised ? 3 : 1;
  const value = node.inputs[weight] ?? '';
  const ownBias = node.inputs[quantised ? 8 : 2];
  const sizes = sizesOf(view, node, value);
  const output = node.outputs[0] ?? '';
  const added = ownBias ? undefined : addedBias(view, output);
  const biased = added?.output ?? output;
  const norm = norms.get(passed(view, biased));
  const normed = norm?.output ?? biased;
  const activation = activations.get(passed(view, normed));
  return {
    node: node.id,
    ...sizes,
    input: view.source(node.inputs[0] ?? ''),
    output: activation?.output ?? normed,
    weight: { value, input: weight },
    bias: ownBias
      ? { node: node.id, value: ownBias }
      : added && { node: added.node, value: added.value },
    norm,
    activation,
    strides: intsAttribute(node, 'strides'),
  };
}

/** Behind the quantisation of a value that only that reads. */
function passed(view: View, value: string): string {
  let at = value;
  for (let reader = view.onlyReader(at); reader; reader = view.onlyReader(at)) {
    if (reader.op !== 'QuantizeLinear' && reader.op !== 'DequantizeLinear') break;
    at = reader.outputs[0] ?? '';
  }
  return at;
}

function addedBias(
  view: View,
  value: string,
): { node: string; value: string; output: string } | undefined {
  const reader = view.onlyReader(value);
  if (reader?.op !== 'Add') return undefined;
  const other = otherInput(reader, value);
  const wide = view.shape(other)?.filter((dim) => dim !== 1);
  if (!view.isStatic(other) || wide?.length !== 1) return undefined;
  return { node: reader.id, value: other, output: reader.outputs[0] ?? '' };
}

function sizesOf(
  view: View,
  node: Node,
  weight: string,
): Pick<ConvBlock, 'kind' | 'from' | 'to' | 'kernel'> {
  const group = intAttribute(node, 'group', 1);
  const [first, second] = [view.dim(weight, 0), view.dim(weight, 1)];
  const shape = view.shape(weight)?.slice(2);
  const known = shape?.every((dim) => typeof dim === 'number') ? shape : undefined;
  const kernel = intsAttribute(node, 'kernel_shape') ?? known;
  if (node.op === 'ConvTranspose')
    return { kind: 'transposed', from: first, to: second && second * group, kernel };
  const from = second && second * group;
  const isDepthwise = group > 1 && second === 1;
  const isPointwise = kernel?.every((size) => size === 1) && group === 1;
  const kind = isDepthwise
    ? 'depthwise'
    : group > 1
      ? 'grouped'
      : isPointwise
        ? 'pointwise'
        : 'standard';
  return { kind, from, to: first, kernel };
}

/** Chains, longest first; a block is in one of them. */
export function findConvChains(
  view: View,
  blocks: readonly ConvBlock[],
  residuals: readonly Residual[],
): ConvChain[] {
  const byOutput = new Map(blocks.map((block) => [block.output, block]));
  const sums = new Map(residuals.map((residual) => [residual.branch, residual]));
  const streams = new Map(residuals.map((residual) => [residual.stream, residual]));
  const taken = new Set<string>();
  const chains: ConvChain[] = [];
  for (const last of [...blocks].reverse()) {
    if (taken.has(last.node)) continue;
    const row = rowBefore(view, byOutput, last).filter((block) => !taken.has(block.node));
    const residual = sums.get(last.output) ?? streams.get(last.output);
    const chain = longest(row, residual);
    if (!chain) continue;
    for (const { node } of chain.blocks) taken.add(node);
    chains.push(chain);
  }
  return chains.reverse();
}

/** The blocks before a block, each read by the next alone, up to three with it. */
function rowBefore(
  view: View,
  byOutput: ReadonlyMap<string, ConvBlock>,
  last: ConvBlock,
): ConvBlock[] {
  const row = [last];
  while (row.length < 3) {
    const before = byOutput.get(row[0]!.input);
    if (!before || view.readers(before.output).length !== 1) break;
    row.unshift(before);
  }
  return row;
}

function longest(row: readonly ConvBlock[], residual: Residual | undefined): ConvChain | undefined {
  const kinds = row.map(({ kind }) => kind).slice(-3);
  const [a, b, c] = kinds.length === 3 ? kinds : [undefined, ...kinds.slice(-2)];
  const isSpatial = b === 'standard' || b === 'grouped';
  if (a === 'pointwise' && b === 'depthwise' && c === 'pointwise')
    return { kind: 'inverted-residual', blocks: row, residual };
  if (a === 'pointwise' && isSpatial && c === 'pointwise' && residual)
    return { kind: 'bottleneck', blocks: row, residual };
  if (b === 'depthwise' && c === 'pointwise')
    return { kind: 'depthwise-separable', blocks: row.slice(-2), residual };
  const isBasic = row.length >= 2 && b === 'standard' && c === 'standard' && residual;
  return isBasic ? { kind: 'basic', blocks: row.slice(-2), residual } : undefined;
}
