import { z } from 'zod';
import type { Facts } from '../../graph/facts';
import { captures, type Graph, type Node } from '../../graph/graph';
import type { ElementType } from '../../onnx/schema';
import { PrecisionWriter, TURNABLE } from '../half';
import type { Pass, Refusal, Site, StepRequest } from '../pass';

const parameters = z.strictObject({
  overflow: z.enum(['measure', 'ignore']).default('measure').meta({
    title: 'Overflow',
    description:
      'measure: nodes whose results come near the largest number of 16 bits (65 504) on the calibration data stay in 32 bits; ignore: none do, and no data is needed',
  }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Nodes that stay in 32 bits because of what was measured. */
  readonly float: readonly string[];
}

const fp16: Pass<Parameters, Decisions> = {
  id: 'cast.fp16',
  title: 'FP16',
  family: 'cast',
  summary:
    'Weights and arithmetic in 16-bit floating point, half the bytes. Inputs and outputs of the model, sums of squares, exponentials and control flow stay in 32 bits, with conversions between.',
  parameters,
  needs: ({ overflow }) => (overflow === 'measure' ? ['calibration'] : []),

  sites({ graph, facts }) {
    const captured = new Set(graph.order.flatMap(captures));
    const sites: Site[] = [];
    const refused: Refusal[] = [];
    for (const node of graph.order) {
      const reason = whyNot(facts, node, captured);
      if (reason === undefined) sites.push({ node: node.id });
      else if (reason !== '') refused.push({ node: node.id, reason });
    }
    return { sites, refused };
  },

  async plan({ graph, sites, parameters: { overflow } }, evidence) {
    if (overflow === 'ignore') return { float: [] };
    const results = sites.map(({ node }) => graph.node(node)!);
    const fed = fedNodes(graph);
    const ranges = await evidence.ranges(
      results.filter(({ id }) => fed.has(id)).map(({ outputs }) => outputs[0]!),
    );
    const isLarge = ({ outputs }: Node) => {
      const range = ranges.get(outputs[0]!);
      return range !== undefined && Math.max(-range.min, range.max) > LARGEST;
    };
    return { float: results.filter(isLarge).map(({ id }) => id) };
  },

  standIn: () => ({ float: [] }),

  rewrite,
};
export default fp16;

/** A quarter of what 16 bits hold, as room for other inputs. */
const LARGEST = 65_504 / 4;

/** Operators whose arithmetic people would expect to be taken. */
const EXPECTED = new Set(['LSTM', 'GRU', 'RNN', 'Einsum', 'FusedConv', 'FusedMatMul', 'Resize']);

/** Why a node stays in 32 bits; empty where nobody asks. */
function whyNot(facts: Facts, node: Node, captured: ReadonlySet<string>): string | undefined {
  const types = [...node.inputs, ...node.outputs]
    .filter((value) => value !== '')
    .map((value) => elementTypeOf(facts, value));
  if (types.includes('float16')) return 'it computes in 16 bits already';
  if (!types.includes('float32')) return '';
  if (node.domain !== '' || !TURNABLE.has(node.op))
    return EXPECTED.has(node.op) ? `${node.op} stays in 32 bits` : '';
  if (node.outputs.some((output) => captured.has(output)))
    return 'the body of a loop or branch reads its result';
  if (types.includes('unknown')) return 'the types of its inputs are not known';
  return undefined;
}

function elementTypeOf(facts: Facts, value: string): ElementType | 'unknown' {
  const { type } = facts.value(value);
  return type.kind === 'tensor' ? type.elementType : 'unknown';
}

/** Nodes that read what is fed, through however many others: the results of the rest are never measured. */
function fedNodes(graph: Graph): ReadonlySet<string> {
  const values = new Set(graph.inputs.map(({ name }) => name));
  const nodes = new Set<string>();
  for (const { id, inputs, outputs } of graph.order) {
    if (!inputs.some((input) => values.has(input))) continue;
    nodes.add(id);
    for (const output of outputs) values.add(output);
  }
  return nodes;
}

function rewrite(
  { graph, facts, sites }: StepRequest<Parameters>,
  { float }: Decisions,
): readonly Refusal[] {
  const captured = new Set(graph.order.flatMap(captures));
  const chosen = new Set<string>();
  const refused: Refusal[] = [];
  for (const { node: id } of sites) {
    const reason = whyNot(facts, graph.node(id)!, captured);
    if (reason !== undefined) refused.push({ node: id, reason: reason || 'it has no numbers' });
    else if (!float.includes(id)) chosen.add(id);
  }
  const isFloat = (value: string) => elementTypeOf(facts, value) === 'float32';
  new PrecisionWriter(graph, chosen, isFloat, 'float16').write();
  return refused;
}
