/** What the inspector says of one visible node, and of one tensor. */
import { withoutGain } from '../cost/gains';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { WhittleError } from '../errors';
import type { Graph, Node } from '../graph/graph';
import { parentScope } from '../graph/names';
import type { AttributeValue, Tensor } from '../onnx/model';
import { tensorByteLength, tensorNumbers, type Numbers } from '../onnx/tensor';
import type { Situation } from '../passes/pass';
import type { NodeDetails, TensorStatistics, TensorSummary, ValueSummary } from '../protocol';
import { costOn, workOf } from './costing';
import { afterOf, shapeText, targetsShown, viewRequest, type Look, type Subject } from './design';
import { graphView, layersShown } from './view';

/** @throws WhittleError when the node is not visible any more */
export function nodeDetails(subject: Subject, look: Look, id: string): NodeDetails {
  const request = viewRequest(subject, look);
  const shown = graphView(request).nodes.find((node) => node.id === id);
  if (!shown) throw new WhittleError(`${id} is not in the graph any more`);
  const after = afterOf(subject);
  const original = layersShown(request).get(id) ?? [];
  const members = membersOf(subject.bound.graph, after.graph, id, original);
  const single =
    shown.kind === 'layer' ? (after.graph.node(id) ?? subject.bound.graph.node(id)) : undefined;
  const from = after.graph.node(id) ? after : subject.bound;
  return {
    id,
    title: shown.title,
    op: single ? (single.domain ? `${single.domain}.${single.op}` : single.op) : null,
    scope: single ? single.scope : parentScope(id),
    layers: members.before.length || 1,
    attributes: single ? attributesOf(single) : [],
    inputs: single ? single.inputs.filter(Boolean).map((value) => input(from, value)) : [],
    outputs: single ? single.outputs.filter(Boolean).map((value) => output(from, value)) : [],
    tensors: tensorsOf(after.graph, members.after),
    cost: shown.cost,
    weightBytes: {
      before: weightBytes(subject.bound, members.before),
      after: weightBytes(after, members.after),
    },
    why: targetsShown(subject, look.target).map((target) => whyOn(subject, target, members.after)),
  };
}

interface Members {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** The nodes that a visible one stands for, and what became of them. */
function membersOf(before: Graph, after: Graph, id: string, original: readonly string[]): Members {
  const origins = new Set(original.length ? original : [id]);
  return {
    before: before.order.filter((node) => origins.has(node.id)).map((node) => node.id),
    after: after.order
      .filter((node) => origins.has(node.origin) || node.id === id)
      .map((node) => node.id),
  };
}

function input(situation: Situation, value: string): NodeDetails['inputs'][number] {
  const producer = situation.graph.producer(value);
  const constant = situation.graph.constant(value) !== undefined;
  return {
    ...valueSummary(situation, value),
    constant,
    from: constant ? null : (producer?.id ?? null),
  };
}

const output = (situation: Situation, value: string): NodeDetails['outputs'][number] => ({
  ...valueSummary(situation, value),
  to: situation.graph.consumers(value).map((reader) => reader.id),
});

function valueSummary({ facts }: Situation, name: string): ValueSummary {
  const { type, shape } = facts.value(name);
  return {
    name,
    type: type.kind === 'tensor' ? type.elementType : type.kind,
    shape: shapeText(shape),
  };
}

function attributesOf(node: Node): NodeDetails['attributes'] {
  return [...node.attributes.values()].map(({ name, value }) => ({
    name,
    value: attributeText(value),
  }));
}

const LONGEST = 120;

function attributeText(value: AttributeValue): string {
  switch (value.kind) {
    case 'tensor':
      return `${value.value.elementType} ${shapeText(value.value.dims)}`;
    case 'graph':
      return `a graph of ${value.value.nodes.length} nodes`;
    case 'tensors':
    case 'graphs':
      return `${value.value.length} ${value.kind}`;
    case 'opaque':
      return '…';
    case 'floats':
    case 'ints':
    case 'strings':
      return shortened(`[${value.value.join(', ')}]`);
    default:
      return shortened(String(value.value));
  }
}

const shortened = (text: string): string =>
  text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;

/** Constants that the nodes read, the largest first. */
function tensorsOf(graph: Graph, members: readonly string[]): TensorSummary[] {
  const tensors = new Map<string, Tensor>();
  for (const id of members)
    for (const value of graph.node(id)?.inputs ?? []) {
      const tensor = graph.constant(value);
      if (tensor) tensors.set(value, tensor);
    }
  return [...tensors]
    .map(([name, tensor]) => ({
      name,
      type: tensor.elementType,
      shape: shapeText(tensor.dims),
      bytes: tensorByteLength(tensor),
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, MOST_TENSORS);
}
const MOST_TENSORS = 64;

function weightBytes(situation: Situation, members: readonly string[]): number {
  const work = workOf(situation);
  return members.reduce((sum, id) => sum + work.of(id).weightBytes, 0);
}

function whyOn(
  subject: Subject,
  target: TargetProfile,
  members: readonly string[],
): NodeDetails['why'][number] {
  const chosen = new Set(members);
  const layers = costOn(afterOf(subject), target, subject.resolve).layers.filter((layer) =>
    chosen.has(layer.node),
  );
  const sum = (values: readonly (number | null)[]): number | null =>
    values.some((value) => value === null) ? null : values.reduce((a: number, b) => a + b!, 0);
  const terms = new Map<string, number>();
  const bounds = new Map<string, number>();
  for (const { terms: own, bound, latencyMs } of layers) {
    for (const { name, ms } of own) terms.set(name, (terms.get(name) ?? 0) + ms);
    bounds.set(bound, (bounds.get(bound) ?? 0) + (latencyMs ?? 0));
  }
  const working = layers.filter((layer) => (layer.latencyMs ?? 0) > 0);
  const only = working.length === 1 ? working[0] : layers.length === 1 ? layers[0] : undefined;
  const [most] = [...bounds].sort((a, b) => b[1] - a[1]);
  return {
    target: target.id,
    title: target.title,
    latencyMs: sum(layers.map((layer) => layer.latencyMs)),
    energyMj: sum(layers.map((layer) => layer.energyMj)),
    bound: most?.[0] ?? '',
    utilisation: only?.utilisation ?? null,
    terms: [...terms].map(([name, ms]) => ({ name, ms })),
    mapping:
      [
        only?.mapping ?? (only?.fusedInto ? `part of the kernel of ${only.fusedInto}` : null),
        noGainOn(subject, target, chosen),
      ]
        .filter((text) => text !== null)
        .join('. ') || null,
    unsupported:
      [...new Set(layers.flatMap((layer) => layer.unsupported ?? []))].join('; ') || null,
    basis: describeBasis(target),
  };
}

/** Why what the recipe does to these layers gains nothing on a target. */
function noGainOn(
  subject: Subject,
  target: TargetProfile,
  only: ReadonlySet<string>,
): string | null {
  const costed = (situation: Situation) => ({
    ...situation,
    cost: costOn(situation, target, subject.resolve),
  });
  const after = afterOf(subject);
  if (after === subject.bound) return null;
  const [first] = withoutGain(costed(subject.bound), costed(after), target, { only });
  if (!first) return null;
  const layers = first.layers.length === 1 ? '' : ` in ${first.layers.length} layers`;
  return `No gain${layers}: ${first.reason}`;
}

const BINS = 32;

/** Reads the weights. @throws WhittleError when they cannot be read, or are not numbers */
export function tensorStatistics(subject: Subject, name: string): TensorStatistics {
  const { graph } = afterOf(subject);
  const tensor = graph.constant(name) ?? subject.bound.graph.constant(name);
  if (!tensor) throw new WhittleError(`there is no tensor ${name}`);
  return { name, ...statistics(plannedNumbers(tensor)) };
}

function plannedNumbers(tensor: Tensor): Numbers {
  if (tensor.data.kind !== 'computed') return tensorNumbers(tensor);
  try {
    return tensorNumbers(tensor);
  } catch (cause) {
    throw new WhittleError(`${tensor.name} is decided when the recipe is applied`, { cause });
  }
}

function statistics(values: ArrayLike<number>): Omit<TensorStatistics, 'name'> {
  let [min, max, sum, squares, zeros] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
    if (value === 0) zeros++;
    sum += value;
    squares += value * value;
  }
  const elements = values.length;
  if (elements === 0)
    return { elements, min: 0, max: 0, mean: 0, standardDeviation: 0, zeros: 0, histogram: [] };
  const mean = sum / elements;
  const histogram = new Array<number>(BINS).fill(0);
  const width = (max - min) / BINS;
  for (let i = 0; i < values.length; i++)
    histogram[width > 0 ? Math.min(BINS - 1, Math.floor((values[i]! - min) / width)) : 0]!++;
  const variance = Math.max(0, squares / elements - mean * mean);
  return {
    elements,
    min,
    max,
    mean,
    standardDeviation: Math.sqrt(variance),
    zeros: zeros / elements,
    histogram,
  };
}
