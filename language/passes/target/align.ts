import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import { intAttribute, type Graph, type Node } from '../../graph/graph';
import { greatestCommonDivisor } from '../../graph/integers';
import { channelGroups, type ChannelGroup } from '../../graph/match/channels';
import { isFloat } from '../../onnx/schema';
import { unitNorms, weakestUnits } from '../channelNorms';
import { resizeChannels, type GroupChange } from '../channelSizes';
import type { Pass, Refusal, StepRequest } from '../pass';
import { traitsOf } from '../traits';

const parameters = z.strictObject({
  target: z.string().min(1).meta({
    title: 'Target',
    description: 'Whose blocks of channels are filled',
    role: 'target',
  }),
  by: z.enum(['pad', 'trim', 'nearest']).default('pad').meta({
    title: 'By',
    description:
      'Padding repeats channels and keeps results. Trimming removes those of smallest norm and changes results: measure them, or train on. Nearest does what changes fewer channels',
  }),
  most: z.number().positive().max(1).default(0.25).meta({
    title: 'At most',
    description: 'Share of the channels of a layer that may be added or removed, 0 to 1',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Channels to add, by the first node of a group. */
  readonly added: Readonly<Record<string, number>>;
  /** Which units of a group go, likewise. */
  readonly removed: Readonly<Record<string, readonly number[]>>;
  readonly refused: readonly Refusal[];
}

const align: Pass<Parameters, Decisions> = {
  id: 'target.align',
  title: 'Align channels',
  family: 'target',
  summary:
    'Brings the channels between layers to a multiple of what a target works on at once (vectors, DPU parallelism, array, crossbar). Padding repeats the last channel and has its readers multiply it by zero: results stay the same, and targets that round up anyway gain nothing. Trimming removes the channels of smallest norm, and changes results.',
  paper: {
    title: 'DepGraph: Towards Any Structural Pruning',
    authors: 'Fang, Ma, Song, Mi, Wang',
    venue: 'CVPR 2023',
  },
  parameters,
  needs: ({ by }) => (by === 'pad' ? [] : ['weights']),

  sites({ graph, facts }) {
    const sites: { node: string }[] = [];
    const refused: Refusal[] = [];
    for (const group of channelGroups(graph, facts)) {
      const { node } = anchorOf(group);
      const reason = whyNot(graph, group);
      if (reason === undefined) sites.push({ node });
      else refused.push({ node, reason });
    }
    return { sites, refused };
  },

  plan(request, evidence) {
    const weakest: Choose = (node, group, count) => {
      evidence.progress(node);
      const norms = unitNorms(request.graph, group, (tensor) => evidence.numbers(tensor));
      return weakestUnits(norms, count);
    };
    return Promise.resolve(decide(request, weakest));
  },

  standIn: (request) => decide(request, lastUnits),

  rewrite({ graph, facts, sites }, { added, removed, refused }) {
    const groups = groupsAt(graph, facts);
    resizeChannels(
      graph,
      sites.flatMap(({ node }): GroupChange[] => {
        const group = groups.get(node);
        if (!group) return [];
        if (removed[node] !== undefined) return [{ group, removed: removed[node] }];
        return added[node] === undefined ? [] : [{ group, added: added[node] }];
      }),
    );
    return refused;
  },
};
export default align;

const anchorOf = ({ producers }: ChannelGroup) =>
  producers.find(({ role }) => role === 'makes') ?? producers[0]!;

const groupsAt = (graph: Graph, facts: Facts): Map<string, ChannelGroup> =>
  new Map(
    channelGroups(graph, facts)
      .filter((group) => whyNot(graph, group) === undefined)
      .map((group) => [anchorOf(group).node, group]),
  );

// ---- what can be changed

/** Operators that keep channels apart: a channel of theirs depends on the same channel of what they read, and no other. */
const APART = new Set([
  ...['Relu', 'LeakyRelu', 'PRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Elu'],
  ...['Gelu', 'Erf', 'Softplus', 'Mish', 'Abs', 'Neg', 'Identity', 'Dropout', 'Cast'],
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Max',
    'Min',
    'Sum',
    'BatchNormalization',
    'InstanceNormalization',
  ],
  ...['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'Resize', 'Upsample', 'Pad'],
  ...['Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Concat'],
]);

function whyNot(graph: Graph, group: ChannelGroup): string | undefined {
  if (!group.prunable) return group.reason;
  if (group.consumers.length === 0) return 'nothing multiplies its channels by weights';
  const members = [...group.producers, ...group.consumers];
  const other = members.find(({ value }) => {
    const type = graph.constant(value)?.elementType;
    return type === undefined || !isFloat(type);
  });
  if (other) return `${other.value} is no constant in floating point`;
  const declared = new Set(graph.model.graph.inputs.map(({ name }) => name));
  const input = members.find(({ value }) => declared.has(value));
  if (input) return `${input.value} is declared as an input of the model, with its size`;
  return undefined;
}

/**
 * What lies between the layers that make the channels and those that read them and does not keep channels apart: padding
 * would change results there.
 */
function mixedBy(graph: Graph, facts: Facts, group: ChannelGroup): string | undefined {
  const reads = new Set(group.consumers.map(({ node }) => node));
  const makes = new Set(
    group.producers.filter(({ role }) => role === 'makes').map(({ node }) => node),
  );
  const seen = new Set<string>();
  const waiting: Node[] = [...makes].flatMap((id) => graph.node(id) ?? []);
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (seen.has(node.id)) continue;
    seen.add(node.id);
    const isDepthwise =
      node.op === 'Conv' && intAttribute(node, 'group', 1) > 1 && !reads.has(node.id);
    if (!makes.has(node.id) && !isDepthwise && !APART.has(node.op))
      return `${node.id} (${node.op}) does not keep channels apart`;
    for (const output of node.outputs) {
      if (!output) continue;
      if (graph.isOutput(output)) return `${output} is an output of the model`;
      for (const reader of graph.consumers(output))
        if (!reads.has(reader.id) && !facts.value(reader.outputs[0] ?? '').elements)
          waiting.push(reader);
    }
  }
  return undefined;
}

// ---- how many

/** Which units of a group go. */
type Choose = (node: string, group: ChannelGroup, count: number) => readonly number[];

const lastUnits: Choose = (_, { units }, count) =>
  Array.from({ length: count }, (_, i) => units - count + i);

function decide(request: StepRequest<Parameters>, choose: Choose): Decisions {
  const { graph, facts, sites, parameters: given } = request;
  const { granularity } = traitsOf(request, given.target);
  const multiple = leastCommonMultiple(granularity.inputs, granularity.outputs);
  const groups = groupsAt(graph, facts);
  const added: Record<string, number> = {};
  const removed: Record<string, readonly number[]> = {};
  const refused: Refusal[] = [];
  for (const { node } of sites) {
    const group = groups.get(node);
    if (!group) continue;
    const step = multiple / greatestCommonDivisor(multiple, unitSize(group));
    if (group.units % step === 0) continue;
    const mixed = given.by === 'trim' ? undefined : mixedBy(graph, facts, group);
    const change = withinShare(group, changeOf(group, step, given.by, mixed), given.most);
    if ('reason' in change) refused.push({ node, reason: change.reason });
    else if (change.units > 0) added[node] = change.units;
    else removed[node] = choose(node, group, -change.units);
  }
  return { added, removed, refused };
}

/** Units to add, below zero to remove, or why neither. */
type Change = { readonly units: number } | { readonly reason: string };

/** @param mixed why the group cannot be padded */
function changeOf(
  { units }: ChannelGroup,
  step: number,
  by: Parameters['by'],
  mixed: string | undefined,
): Change {
  const over = units % step;
  const [trim, pad] = [{ units: -over }, mixed === undefined ? { units: step - over } : undefined];
  const isLess = units < step;
  if (by === 'pad') return pad ?? { reason: mixed! };
  if (by === 'trim') return isLess ? { reason: `it has less than one block of ${step}` } : trim;
  if (isLess) return pad ?? { reason: mixed! };
  return pad && pad.units <= over ? pad : trim;
}

function withinShare(group: ChannelGroup, change: Change, most: number): Change {
  if ('reason' in change || Math.abs(change.units) <= most * group.units) return change;
  const size = unitSize(group);
  const [from, to] = [group.units * size, (group.units + change.units) * size];
  const verb = change.units > 0 ? 'grow' : 'shrink';
  return { reason: `${from} channels would ${verb} to ${to}, beyond the share allowed` };
}

/** Channels that go together, as a head's do. */
const unitSize = (group: ChannelGroup): number => anchorOf(group).spans[0]?.block ?? 1;

const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
