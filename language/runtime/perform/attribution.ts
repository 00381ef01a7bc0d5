/**
 * Which nodes of a model each kernel stands for that ONNX Runtime executes in their place. Before it is loaded, every node
 * of a copy gets a tag for a name; ONNX Runtime derives the names of most of its kernels from those, and keeps the names of
 * the values that kernels have to deliver. What neither tells (a node swallowed by a fusion) goes to the kernel that its
 * output flows into.
 */
import type { Graph } from '../../graph/graph';
import type { NodeRecord } from '../../onnx/model';

const tag = (position: number): string => `{${position}}`;
const TAGS = /\{(\d+)\}/g;

/** Names every node of the main graph by its position in `order`. @returns ids by position */
export function tagNodes(graph: Graph): readonly string[] {
  const ids = graph.order.map(({ id }) => id);
  ids.forEach((id, position) => graph.replace(id, { name: tag(position) }));
  return ids;
}

export interface Executed {
  readonly kernel: NodeRecord;
  /** Ids of the nodes that it stands for, in their order; never empty unless nothing of the model is executed. */
  readonly members: readonly string[];
  /** Put in by ONNX Runtime: a conversion or a change of layout for the nodes that it is counted with. */
  readonly helper: boolean;
}

/** @param graph as it was tagged; `ids` as `tagNodes` answered them */
export function attribute(
  graph: Graph,
  ids: readonly string[],
  kernels: readonly NodeRecord[],
): Executed[] {
  const anchors = kernels.map((kernel) => anchorsOf(graph, ids, kernel));
  const owner = new Map<string, number>();
  anchors.forEach((nodes, k) => {
    for (const id of nodes) if (!owner.has(id)) owner.set(id, k);
  });
  const blind = kernels.map(({ outputs }) => !outputs.some((output) => graph.producer(output)));
  for (const node of graph.order) {
    if (owner.has(node.id) || !TAKEN_ALONG.has(node.op)) continue;
    const makers = node.inputs.flatMap((input) => owner.get(graph.producer(input)?.id ?? '') ?? []);
    const last = Math.max(...makers.filter((k) => blind[k]));
    if (last >= 0) owner.set(node.id, last);
  }
  const members = kernels.map(() => new Set<string>());
  anchors.forEach((nodes, k) => nodes.forEach((id) => members[k]!.add(id)));
  for (const [id, k] of owner) members[k]!.add(id);
  for (const node of [...graph.order].reverse()) {
    if (owner.has(node.id)) continue;
    // Readers come later in the order: theirs is known.
    const reader = node.outputs
      .flatMap((output) => graph.consumers(output))
      .find(({ id }) => owner.has(id));
    if (!reader) continue;
    const k = owner.get(reader.id)!;
    owner.set(node.id, k);
    members[k]!.add(node.id);
  }
  const position = new Map(ids.map((id, at) => [id, at]));
  const sorted = (set: ReadonlySet<string>) =>
    [...set].sort((a, b) => position.get(a)! - position.get(b)!);
  return kernels.map((kernel, k) => {
    const own = sorted(members[k]!);
    if (own.length) return { kernel, members: own, helper: false };
    const served = servedBy(kernels, members, k);
    return { kernel, members: served === undefined ? [] : sorted(members[served]!), helper: true };
  });
}

/** The nodes that a kernel is named after, and those that make its outputs in the model. */
function anchorsOf(
  graph: Graph,
  ids: readonly string[],
  { name, outputs }: NodeRecord,
): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [, position] of name.matchAll(TAGS)) {
    const id = ids[Number(position)];
    if (id !== undefined) found.add(id);
  }
  for (const output of [...outputs, name.replace(BLOCKED_LAYOUT, '')]) {
    const producer = output ? graph.producer(output) : undefined;
    if (producer) found.add(producer.id);
  }
  return found;
}

/** What such kernels do along with their product, without a trace in names. */
const TAKEN_ALONG = new Set([
  ...['Add', 'BatchNormalization', 'Clip', 'HardSigmoid', 'LeakyRelu', 'Relu', 'Sigmoid', 'Sum'],
  'Tanh',
]);

/** Kernels on blocks of channels make values of other names, and are called after those that they make instead. */
const BLOCKED_LAYOUT = /_nchwc(_\d+)?$/;

/** The nearest kernel after this one, or else before it, that stands for something. */
function servedBy(
  kernels: readonly NodeRecord[],
  members: readonly ReadonlySet<string>[],
  start: number,
): number | undefined {
  const makers = new Map(kernels.flatMap(({ outputs }, k) => outputs.map((o) => [o, k] as const)));
  const readers = new Map<string, number[]>();
  kernels.forEach(({ inputs }, k) => {
    for (const input of inputs) {
      const known = readers.get(input);
      if (known) known.push(k);
      else readers.set(input, [k]);
    }
  });
  const after = (k: number) => kernels[k]!.outputs.flatMap((output) => readers.get(output) ?? []);
  const before = (k: number) => kernels[k]!.inputs.flatMap((input) => makers.get(input) ?? []);
  return nearest(start, after, members) ?? nearest(start, before, members);
}

function nearest(
  start: number,
  next: (kernel: number) => readonly number[],
  members: readonly ReadonlySet<string>[],
): number | undefined {
  const seen = new Set([start]);
  const queue = [start];
  for (const k of queue) {
    if (members[k]!.size) return k;
    for (const other of next(k))
      if (!seen.has(other)) {
        seen.add(other);
        queue.push(other);
      }
  }
  return undefined;
}

/** Operators that the rest of a fusion is counted with. */
const MAIN =
  /^(QLinear|FusedConv|Conv|MatMul|Gemm|FusedMatMul|Attention|MultiHeadAttention|GroupQueryAttention|LSTM|GRU|RNN|Einsum|Loop|Scan|If|LayerNormalization|Softmax)/;

/** The member that stands for all of them: the first product, else the one that delivers the result. */
export function mainMember(graph: Graph, members: readonly string[]): string | undefined {
  return members.find((id) => MAIN.test(graph.node(id)!.op)) ?? members.at(-1);
}
