/** What flows between kernels: the values that are really stored, views and absorbed conversions seen through. */
import type { Graph } from '../graph/graph';
import { LEFT_OUT } from '../graph/links';
import { outputsOf, type Kernel } from './kernels';
import type { Workloads } from './workloads';

type Places = Pick<Kernel, 'places'>;

/** Stored values that a kernel reads and leaves behind, by the numbers of what is stored. */
export interface Flow<K extends Places> {
  readonly kernel: K;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

export interface Flows<K extends Places> {
  /** In the order given, kernels that do nothing left out. */
  readonly flows: readonly Flow<K>[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** How many values there are in all. */
  readonly values: number;
}

export function flowsBetween<K extends Places>(
  graph: Graph,
  work: Workloads,
  kernels: readonly K[],
): Flows<K> {
  const { links, layers } = work;
  const home = storedAs(work, kernels);
  const outputs = outputsOf(graph);
  const store = (value: number, into: number[], besides: readonly number[] = NO_VALUES): void => {
    if (value === LEFT_OUT || work.isConstant(value)) return;
    const at = home[value]!;
    if (!into.includes(at) && !besides.includes(at)) into.push(at);
  };
  const flows: Flow<K>[] = [];
  for (const kernel of kernels) {
    const { places } = kernel;
    if (layers[places[0]!]!.kind === 'free') continue;
    const reads: number[] = [];
    const writes: number[] = [];
    const isInside = (node: number) => places.includes(node);
    for (const node of places)
      for (const value of links.reads[node]!)
        if (!isInside(links.makers[value]!)) store(value, reads);
    for (const node of places)
      for (const value of links.writes[node]!)
        if (outputs.has(value) || !links.readers[value]!.every(isInside))
          store(value, writes, reads);
    flows.push({ kernel, reads, writes });
  }
  const given: number[] = [];
  for (const value of outputs) store(value, given);
  const inputs = graph.inputs.map(({ name }) => links.numberOf(name)!);
  return { flows, inputs, outputs: given, values: links.names.length };
}

const NO_VALUES: readonly number[] = [];

/**
 * By value. A view is stored as what it views, and so are conversions that vanish: a DequantizeLinear that a kernel
 * absorbed, a QuantizeLinear around a view.
 */
function storedAs(work: Workloads, kernels: readonly Places[]): Int32Array {
  const { nodes, links, layers } = work;
  const vanished = new Uint8Array(nodes.length);
  for (const { places } of kernels)
    for (let i = 1; i < places.length; i++)
      if (nodes[places[i]!]!.op === 'DequantizeLinear' || layers[places[0]!]!.kind === 'free')
        vanished[places[i]!] = 1;
  const home = new Int32Array(links.names.length).map((_, value) => value);
  for (let at = 0; at < nodes.length; at++) {
    if (layers[at]!.kind !== 'free' && !vanished[at]) continue;
    const count = nodes[at]!.inputs.length;
    const source = links.reads[at]!.find(
      (value, i) => i < count && value !== LEFT_OUT && !work.isConstant(value),
    );
    if (source === undefined) continue;
    for (const output of links.writes[at]!) if (output !== LEFT_OUT) home[output] = home[source]!;
  }
  return home;
}
