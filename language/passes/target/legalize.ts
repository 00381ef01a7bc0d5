import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import type { Graph, Node } from '../../graph/graph';
import { EQUIVALENTS, type Equivalent } from '../equivalents';
import type { Pass, Refusal, StepRequest } from '../pass';
import { traitsOf } from '../traits';

const parameters = z.strictObject({
  target: z.string().min(1).meta({
    title: 'Target',
    description: 'Whose missing operators are replaced',
    role: 'target',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** By node, which of its operator's equivalents takes its place. */
  readonly chosen: Readonly<Record<string, number>>;
  readonly refused: readonly Refusal[];
}

/** What the equivalents are written in. */
const OLDEST_OPSET = 13;

const legalize: Pass<Parameters, Decisions> = {
  id: 'target.legalize',
  title: 'Replace unsupported operators',
  family: 'target',
  summary:
    'Writes operators that a target lacks in operators that it runs, so that they need not go to another processor: HardSwish as products and clips, Gelu by its formula, LeakyRelu as a maximum, differences as sums, means over a picture as global pooling, and others. Results are the same but for rounding.',
  parameters,
  needs: () => [],

  sites({ graph, facts }) {
    const sites: { node: string }[] = [];
    const refused: Refusal[] = [];
    for (const node of graph.order) {
      if (node.domain !== '' || !EQUIVALENTS[node.op]) continue;
      const reason = whyNot(graph, facts, node);
      if (reason === undefined) sites.push({ node: node.id });
      else refused.push({ node: node.id, reason });
    }
    return { sites, refused };
  },

  plan: (request) => Promise.resolve(decide(request)),
  standIn: decide,

  rewrite({ graph, facts, sites }, { chosen, refused }) {
    for (const { node: id } of sites) {
      const at = chosen[id];
      const node = graph.node(id);
      if (at === undefined || !node) continue;
      equivalentsOf(graph, facts, node)[at]?.replace({ graph, facts, node });
    }
    return refused;
  },
};
export default legalize;

function whyNot(graph: Graph, facts: Facts, node: Node): string | undefined {
  if (graph.opset < OLDEST_OPSET)
    return `operator set ${graph.opset} is too old; convert the model to ${OLDEST_OPSET}`;
  const { type } = facts.value(node.inputs[0] ?? '');
  if (type.kind !== 'tensor' || type.elementType !== 'float32')
    return `it computes in ${type.kind === 'tensor' ? type.elementType : type.kind}; equivalents are written in float32`;
  return equivalentsOf(graph, facts, node).length > 0
    ? undefined
    : `this form of ${node.op} has no equivalent`;
}

const equivalentsOf = (graph: Graph, facts: Facts, node: Node): readonly Equivalent[] =>
  (EQUIVALENTS[node.op] ?? []).filter(({ fits }) => fits?.({ graph, facts, node }) ?? true);

function decide(request: StepRequest<Parameters>): Decisions {
  const { graph, facts, sites, parameters: given } = request;
  const target = traitsOf(request, given.target);
  const chosen: Record<string, number> = {};
  const refused: Refusal[] = [];
  for (const { node: id } of sites) {
    const reason = target.unsupported(id);
    if (reason === undefined) continue;
    const ways = equivalentsOf(graph, facts, graph.node(id)!);
    const at = ways.findIndex(({ operators }) => operators.every((op) => target.runs(op)));
    if (at >= 0) chosen[id] = at;
    else {
      const lacking = ways.map(({ operators }) => operators.filter((op) => !target.runs(op)));
      const fewest = lacking.reduce((a, b) => (b.length < a.length ? b : a));
      refused.push({ node: id, reason: `${reason}, nor ${fewest.join(', ')} of its equivalent` });
    }
  }
  return { chosen, refused };
}
