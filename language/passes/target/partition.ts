import { z } from 'zod';
import { captures, type Graph, type Node } from '../../graph/graph';
import type { Facts } from '../../graph/facts';
import { packedBytes } from '../../onnx/schema';
import { assignableSites } from '../assignable';
import { Cut } from '../cut';
import { macsOf } from '../macs';
import type { Pass, Refusal, StepRequest, TargetTraits } from '../pass';
import { traitsOf } from '../traits';

const target = (title: string, description: string) =>
  z.string().min(1).meta({ title, description, role: 'target' });

const parameters = z.strictObject({
  target: target('Accelerator', 'Runs every layer with products that it can run'),
  beside: target('Beside it', 'Runs what the accelerator cannot'),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  /** Nodes that run beside the accelerator; the other sites run on it. */
  readonly beside: readonly string[];
  /** Nodes that neither of the two runs. */
  readonly refused: readonly Refusal[];
}

const partition: Pass<Parameters, Decisions> = {
  id: 'target.partition',
  title: 'Partition',
  family: 'target',
  summary:
    'Splits a model between an accelerator and the processor beside it: layers with products stay on the accelerator where it runs them, operators that it lacks go beside it, and everything else goes where the fewest values have to be moved; of splits that move equally many, where layers and transfers take the least time by the cost models. The split is the cheapest there is (a minimum cut). The model file stays as it is.',
  parameters,
  needs: () => [],

  sites: assignableSites,

  plan: (request) => Promise.resolve(decide(request)),
  standIn: decide,

  rewrite({ graph, sites, parameters: { target: id, beside: other } }, { beside, refused }) {
    const apart = new Set(beside);
    const left = new Set(refused.map(({ node }) => node));
    for (const { node } of sites)
      if (!left.has(node)) graph.replace(node, { assigned: apart.has(node) ? other : id });
    return refused;
  },
};
export default partition;

function decide(request: StepRequest<Parameters>): Decisions {
  const { graph, facts, sites, parameters } = request;
  const accelerator = traitsOf(request, parameters.target);
  const processor = traitsOf(request, parameters.beside);
  const refused: Refusal[] = [];
  const cut = new Cut();
  const vertices = new Map<string, number>();
  /** Nodes that may run on either side. */
  const open: string[] = [];
  for (const { node: id } of sites) {
    const reason = accelerator.unsupported(id);
    const other = reason === undefined ? undefined : processor.unsupported(id);
    if (reason !== undefined && other !== undefined) {
      refused.push({ node: id, reason: `${reason}, and ${other}` });
      continue;
    }
    const vertex = cut.vertex();
    vertices.set(id, vertex);
    if (reason !== undefined) cut.edge(vertex, Cut.SINK, Infinity);
    else if (macsOf(facts, graph.node(id)!) > 0) cut.edge(Cut.SOURCE, vertex, Infinity);
    else open.push(id);
  }
  const moved = valuesOf(graph, facts);
  const movingMs = moved.map((value) => transferMs(bytesOf(value, facts), accelerator, processor));
  const msOn = (traits: TargetTraits) => {
    const { layersMs } = traits.latencies({ graph, facts });
    return (id: string) => layersMs.get(id) ?? 0;
  };
  const [here, beside] = [msOn(accelerator), msOn(processor)];
  // A whole for each transfer; all times together are less than one.
  const all = [...movingMs, ...open.map((id) => here(id) + beside(id))].reduce((a, b) => a + b, 0);
  const share = (ms: number) => ms / (2 * all + Number.MIN_VALUE);
  for (const id of open) {
    cut.edge(vertices.get(id)!, Cut.SINK, share(here(id)));
    cut.edge(Cut.SOURCE, vertices.get(id)!, share(beside(id)));
  }
  const prices = new Map(moved.map((value, at) => [value, 1 + share(movingMs[at]!)]));
  addTransfers(cut, graph, prices, (node) => vertices.get(node.id) ?? Cut.SOURCE);
  const onAccelerator = cut.sourceSide();
  const apart = [...vertices].filter(([, vertex]) => !onAccelerator.has(vertex));
  return { beside: apart.map(([id]) => id), refused };
}

/** Over the slower of two links. */
const transferMs = (bytes: number, { link: a }: TargetTraits, { link: b }: TargetTraits): number =>
  bytes / (Math.min(a.gbPerS, b.gbPerS) * 1e6) + Math.max(a.fixedUs, b.fixedUs) / 1e3;

/**
 * A value that is made on one side is moved once, however many readers it has on the other. Inputs and outputs of the
 * model, and nodes that do not take part, are where the accelerator is.
 */
function addTransfers(
  cut: Cut,
  graph: Graph,
  prices: ReadonlyMap<string, number>,
  vertexOf: (node: Node) => number,
): void {
  for (const [value, price] of prices) {
    const maker = graph.producer(value);
    const from = maker ? vertexOf(maker) : Cut.SOURCE;
    const readers = new Set(graph.consumers(value).map(vertexOf));
    if (graph.isOutput(value)) readers.add(Cut.SOURCE);
    readers.delete(from);
    if (readers.size === 0) continue;
    const outward = cut.vertex();
    const inward = cut.vertex();
    cut.edge(from, outward, price);
    cut.edge(inward, from, price);
    for (const reader of readers) {
      cut.edge(outward, reader, Infinity);
      cut.edge(reader, inward, Infinity);
    }
  }
}

/** Values that exist at run time. */
function valuesOf(graph: Graph, facts: Facts): string[] {
  const values = new Set(graph.inputs.map(({ name }) => name));
  for (const node of graph.order) {
    for (const output of node.outputs) if (output) values.add(output);
    for (const captured of captures(node)) values.add(captured);
  }
  return [...values].filter(
    (value) => graph.constant(value) === undefined && !facts.value(value).elements,
  );
}

function bytesOf(value: string, facts: Facts): number {
  const { type, shape } = facts.value(value);
  const sizes = shape?.filter((dim) => typeof dim === 'number') ?? [];
  if (type.kind !== 'tensor' || !shape || sizes.length < shape.length) return 0;
  return packedBytes(
    type.elementType,
    sizes.reduce((a, b) => a * b, 1),
  );
}
