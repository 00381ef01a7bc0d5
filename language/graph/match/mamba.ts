/**
 * Finds Mamba mixers: a selective scan (h = exp(Δ·A)·h + Δ·B·x, y = C·h) between the layer that widens and the one that
 * narrows, as a Scan, a Loop or unrolled to one step after another; in vision models, one scan for each direction.
 */
import type { GraphRecord, NodeRecord } from '../../onnx/model';
import { captures, graphAttribute, intAttribute, type Node } from '../graph';
import type { ConvBlock } from './conv';
import type { Linear, Linears } from './linear';
import { isPassing, isRearranging, type View } from './view';

export interface Mamba {
  readonly kind: 'scan' | 'loop' | 'unrolled';
  /** The scans, one for each direction: the node, or the steps of an unrolled one. */
  readonly scans: readonly (readonly string[])[];
  readonly in: Linear | undefined;
  readonly out: Linear | undefined;
  readonly convs: readonly string[];
  /** Layers that make Δ, B and C of the input. */
  readonly selection: readonly Linear[];
  /** Sums of the scan's result and its input times D. */
  readonly skips: readonly string[];
}

interface Recurrence {
  readonly kind: Mamba['kind'];
  readonly nodes: readonly string[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Steps of the shortest unrolled scan. */
const SHORTEST = 4;
/** Nodes looked at around one scan, besides its own steps. */
const MOST_AROUND = 300;

export function findMambas(view: View, linears: Linears, blocks: readonly ConvBlock[]): Mamba[] {
  const convs = new Map(blocks.map((block) => [block.node, block]));
  const mixers = new Map<string, Mamba>();
  for (const recurrence of recurrences(view)) {
    const before = lookBefore(view, linears, convs, recurrence);
    const after = lookAfter(view, linears, recurrence);
    const one: Mamba = { kind: recurrence.kind, scans: [recurrence.nodes], ...before, ...after };
    const key = after.out?.node ?? before.in?.node ?? recurrence.nodes[0]!;
    const other = mixers.get(key);
    mixers.set(key, other ? merged(other, one) : one);
  }
  return [...mixers.values()];
}

const merged = (a: Mamba, b: Mamba): Mamba => ({
  kind: a.kind,
  scans: [...a.scans, ...b.scans],
  in: a.in ?? b.in,
  out: a.out,
  convs: unique([...a.convs, ...b.convs]),
  selection: unique([...a.selection, ...b.selection]),
  skips: unique([...a.skips, ...b.skips]),
});

const unique = <T>(items: readonly T[]): T[] => [...new Set(items)];

// ---- recurrences

function recurrences(view: View): Recurrence[] {
  const found: Recurrence[] = [];
  for (const node of view.nodes) {
    if (node.op !== 'Scan' && node.op !== 'Loop') continue;
    if (!decaysState(view, node)) continue;
    const kind = node.op === 'Scan' ? 'scan' : 'loop';
    const read = unique([...node.inputs, ...captures(node)]);
    const inputs = read.filter((value) => !view.isStatic(value));
    found.push({ kind, nodes: [node.id], inputs, outputs: node.outputs });
  }
  return [...found, ...unrolled(view)];
}

/** Whether the body multiplies a state by an exponential and adds to it. */
function decaysState(view: View, node: Node): boolean {
  const body = graphAttribute(node, 'body');
  if (!body) return false;
  const makers = new Map(body.nodes.flatMap((inner) => inner.outputs.map((o) => [o, inner])));
  const isLoop = node.op === 'Loop';
  const first = isLoop ? 2 : 0;
  const count = isLoop
    ? node.inputs.length - 2
    : body.inputs.length - intAttribute(node, 'num_scan_inputs', 0);
  for (let i = 0; i < count; i++) {
    const state = body.inputs[first + i]?.name;
    const next = body.outputs[(isLoop ? 1 : 0) + i]?.name;
    if (state && next && decays({ view, node, body, makers }, state, next)) return true;
  }
  return false;
}

interface Body {
  readonly view: View;
  readonly node: Node;
  readonly body: GraphRecord;
  readonly makers: ReadonlyMap<string, NodeRecord>;
}

function decays(body: Body, state: string, next: string): boolean {
  const sum = through(body, next);
  if (sum?.op !== 'Add') return false;
  return sum.inputs.some((input) => {
    const factor = through(body, input);
    if (factor?.op !== 'Mul') return false;
    const [a = '', b = ''] = factor.inputs;
    const decay = a === state ? b : b === state ? a : undefined;
    return decay !== undefined && isExponential(body, decay, 0);
  });
}

function through({ makers }: Body, value: string): NodeRecord | undefined {
  let maker = makers.get(value);
  while (maker?.op === 'Identity' || maker?.op === 'Cast')
    maker = makers.get(maker.inputs[0] ?? '');
  return maker;
}

function isExponential(body: Body, value: string, steps: number): boolean {
  if (steps > 6) return false;
  const maker = body.makers.get(value);
  if (maker)
    return (
      maker.op === 'Exp' ||
      (maker.inputs[0] ? isExponential(body, maker.inputs[0], steps + 1) : false)
    );
  const index = body.body.inputs.findIndex((input) => input.name === value);
  const outer = index < 0 ? value : body.node.inputs[index];
  return outer !== undefined && isExponentialOutside(body.view, outer);
}

/** Whether a value is cut out of an exponential. */
function isExponentialOutside(view: View, value: string): boolean {
  const cut = (node: Node) =>
    isRearranging(node) || ['Slice', 'Gather', 'Split', 'Expand'].includes(node.op);
  return view.graph.producer(view.source(value, cut))?.op === 'Exp';
}

/** Chains of `h = a·h + b` where every `a` is part of an exponential. */
function unrolled(view: View): Recurrence[] {
  const before = new Map<string, { sum: string; factor: string }>();
  const length = new Map<string, number>();
  const continued = new Set<string>();
  for (const sum of view.nodes) {
    if (sum.op !== 'Add' || view.isStatic(sum.outputs[0] ?? '')) continue;
    for (const input of sum.inputs) {
      const factor = view.maker(input);
      if (factor?.op !== 'Mul') continue;
      const [a = '', b = ''] = factor.inputs;
      const state = isExponentialOutside(view, a)
        ? b
        : isExponentialOutside(view, b)
          ? a
          : undefined;
      if (state === undefined) continue;
      const previous = view.maker(state);
      length.set(sum.id, (previous && length.get(previous.id)) ?? 0);
      length.set(sum.id, length.get(sum.id)! + 1);
      if (!previous || !length.has(previous.id)) continue;
      before.set(sum.id, { sum: previous.id, factor: factor.id });
      continued.add(previous.id);
    }
  }
  const ends = [...length].filter(([id, steps]) => !continued.has(id) && steps >= SHORTEST - 1);
  return ends.map(([end]) => chainTo(view, before, end));
}

function chainTo(
  view: View,
  before: ReadonlyMap<string, { sum: string; factor: string }>,
  end: string,
): Recurrence {
  const sums = [end];
  const nodes = [end];
  for (let step = before.get(end); step; step = before.get(step.sum)) {
    nodes.unshift(step.sum, step.factor);
    sums.unshift(step.sum);
  }
  const own = new Set(nodes);
  const read = nodes.flatMap((id) => view.graph.node(id)!.inputs);
  const inputs = unique(read).filter(
    (value) => !view.isStatic(value) && !own.has(view.graph.producer(value)?.id ?? ''),
  );
  const outputs = sums.map((id) => view.graph.node(id)!.outputs[0] ?? '');
  return { kind: 'unrolled', nodes, inputs, outputs };
}

// ---- around a recurrence

/** The depthwise convolutions that its input passed, the layer before them, and the layers that make Δ, B and C. */
function lookBefore(
  view: View,
  linears: Linears,
  convs: ReadonlyMap<string, ConvBlock>,
  { inputs, nodes }: Recurrence,
): Pick<Mamba, 'in' | 'convs' | 'selection'> {
  const found: string[] = [];
  const selection: Linear[] = [];
  const seen = new Set<string>();
  const stack = [...inputs];
  const most = MOST_AROUND + 8 * nodes.length;
  for (let at = stack.pop(); at !== undefined && seen.size < most; at = stack.pop()) {
    const node = view.graph.producer(at);
    if (!node || seen.has(node.id)) continue;
    seen.add(node.id);
    if (convs.get(node.id)?.kind === 'depthwise') {
      found.push(node.id);
      continue;
    }
    const linear = linears.byNode.get(node.id);
    if (linear) selection.push(linear);
    stack.push(...node.inputs.filter((value) => !view.isStatic(value)));
  }
  const widening = found.map((id) => layerBefore(view, linears, convs.get(id)!.input));
  const [first] = widening;
  const isShared = first !== undefined && widening.every((linear) => linear === first);
  // Without a convolution the walk went past the mixer: what it met says nothing.
  return {
    in: isShared ? first : undefined,
    convs: found,
    selection: found.length > 0 ? selection : [],
  };
}

function layerBefore(view: View, linears: Linears, value: string): Linear | undefined {
  const cut = (node: Node) =>
    isPassing(node) || isRearranging(node) || ['Slice', 'Split', 'Gather', 'Pad'].includes(node.op);
  return linears.byValue.get(view.source(value, cut));
}

/** The layer that reads the result, and the sums on the way. */
function lookAfter(
  view: View,
  linears: Linears,
  { outputs, nodes }: Recurrence,
): Pick<Mamba, 'out' | 'skips'> {
  const own = new Set(nodes);
  const seen = new Set<string>();
  const skips: string[] = [];
  let out: Linear | undefined;
  const stack = [...outputs];
  const most = MOST_AROUND + 8 * nodes.length;
  for (let at = stack.pop(); at !== undefined && seen.size < most; at = stack.pop()) {
    for (const reader of view.readers(at)) {
      if (own.has(reader.id) || seen.has(reader.id)) continue;
      seen.add(reader.id);
      const linear = linears.byNode.get(reader.id);
      if (linear) {
        out ??= linear;
        continue;
      }
      if (reader.op === 'Add') skips.push(reader.id);
      stack.push(...reader.outputs);
    }
  }
  return { out, skips };
}
