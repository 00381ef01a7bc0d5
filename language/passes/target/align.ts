import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import { intAttribute, type Graph, type Node } from '../../graph/graph';
import { channelGroups, type ChannelGroup } from '../../graph/match/channels';
import { isFloat } from '../../onnx/schema';
import { padChannels } from '../padding';
import type { Pass, Refusal, StepRequest } from '../pass';
import { traitsOf } from '../traits';

const parameters = z.strictObject({
  target: z.string().min(1).meta({
    title: 'Target',
    description: 'Whose blocks of channels are filled',
    role: 'target',
  }),
  most: z
    .number()
    .positive()
    .max(1)
    .default(0.25)
    .meta({ title: 'At most', description: 'Growth of a layer that is still worth it, 0 to 1' }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Channels to add, by the first node of a group. */
  readonly added: Readonly<Record<string, number>>;
  readonly refused: readonly Refusal[];
}

const align: Pass<Parameters, Decisions> = {
  id: 'target.align',
  title: 'Fill channel blocks',
  family: 'target',
  summary:
    'Pads the channels between layers to a multiple of what a target works on at once (vectors, DPU parallelism, array, crossbar). New channels repeat the last one, and every layer that reads them multiplies them by zero, so results stay the same. Costs nothing where a target rounds up anyway.',
  parameters,
  needs: () => [],

  sites({ graph, facts }) {
    const sites: { node: string }[] = [];
    const refused: Refusal[] = [];
    for (const group of channelGroups(graph, facts)) {
      const { node } = anchorOf(group);
      const reason = whyNot(graph, facts, group);
      if (reason === undefined) sites.push({ node });
      else refused.push({ node, reason });
    }
    return { sites, refused };
  },

  plan: (request) => Promise.resolve(decide(request)),
  standIn: decide,

  rewrite({ graph, facts, sites }, { added, refused }) {
    const groups = groupsAt(graph, facts);
    padChannels(
      graph,
      sites.flatMap(({ node }) => {
        const [count, group] = [added[node], groups.get(node)];
        return count !== undefined && group ? [{ group, count }] : [];
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
      .filter((group) => whyNot(graph, facts, group) === undefined)
      .map((group) => [anchorOf(group).node, group]),
  );

// ---- what can be padded

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

function whyNot(graph: Graph, facts: Facts, group: ChannelGroup): string | undefined {
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
  return mixedBy(graph, facts, group);
}

/** What lies between the layers that make the channels and those that read them and does not keep channels apart. */
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

function decide(request: StepRequest<Parameters>): Decisions {
  const { graph, facts, sites, parameters: given } = request;
  const { granularity } = traitsOf(request, given.target);
  const multiple = leastCommonMultiple(granularity.inputs, granularity.outputs);
  const groups = groupsAt(graph, facts);
  const added: Record<string, number> = {};
  const refused: Refusal[] = [];
  for (const { node } of sites) {
    const group = groups.get(node);
    if (!group) continue;
    const { units } = group;
    const channels = units * unitSize(group);
    const step = multiple / greatestCommonDivisor(multiple, unitSize(group));
    const missing = (step - (units % step)) % step;
    if (missing === 0) continue;
    if (missing <= given.most * units) added[node] = missing;
    else
      refused.push({
        node,
        reason: `${channels} channels would grow to ${channels + missing * unitSize(group)}, beyond the share allowed`,
      });
  }
  return { added, refused };
}

/** Channels that go together, as a head's do. */
const unitSize = (group: ChannelGroup): number => anchorOf(group).spans[0]?.block ?? 1;

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);
const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
