/** What flows between kernels: the values that are really stored, views and absorbed conversions seen through. */
import { captures, type Graph, type Node } from '../graph/graph';
import type { Kernel } from './kernels';
import type { Workloads } from './workloads';

/** Stored values that a kernel reads and leaves behind, under the names of what is stored. */
export interface Flow<K extends Pick<Kernel, 'main' | 'absorbed'>> {
  readonly kernel: K;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

export interface Flows<K extends Pick<Kernel, 'main' | 'absorbed'>> {
  /** In the order given, kernels that do nothing left out. */
  readonly flows: readonly Flow<K>[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export function flowsBetween<K extends Pick<Kernel, 'main' | 'absorbed'>>(
  graph: Graph,
  work: Workloads,
  kernels: readonly K[],
): Flows<K> {
  const home = storedAs(graph, work, kernels);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const store = (name: string, into: string[], besides: readonly string[] = []): void => {
    if (!name || work.isConstant(name)) return;
    const at = home(name);
    if (!into.includes(at) && !besides.includes(at)) into.push(at);
  };
  const flows: Flow<K>[] = [];
  for (const kernel of kernels) {
    if (work.of(kernel.main.id).kind === 'free') continue;
    const reads: string[] = [];
    const writes: string[] = [];
    if (kernel.absorbed.length === 0) {
      for (const name of readsOf(kernel.main)) store(name, reads);
      for (const name of kernel.main.outputs)
        if (outputs.has(name) || graph.isRead(name)) store(name, writes, reads);
    } else {
      const nodes = [kernel.main, ...kernel.absorbed];
      const isInside = (reader: Node) => nodes.includes(reader);
      const made = new Set(nodes.flatMap((node) => node.outputs));
      for (const node of nodes)
        for (const name of readsOf(node)) if (!made.has(name)) store(name, reads);
      for (const name of made)
        if (outputs.has(name) || !graph.consumers(name).every(isInside)) store(name, writes, reads);
    }
    flows.push({ kernel, reads, writes });
  }
  const given: string[] = [];
  for (const name of outputs) store(name, given);
  return { flows, inputs: graph.inputs.map(({ name }) => name), outputs: given };
}

function readsOf(node: Node): readonly string[] {
  const captured = captures(node);
  return captured.length > 0 ? [...node.inputs, ...captured] : node.inputs;
}

/**
 * A view is stored as what it views, and so are conversions that vanish: a DequantizeLinear that a kernel absorbed, a
 * QuantizeLinear around a view.
 */
function storedAs(
  graph: Graph,
  work: Workloads,
  kernels: readonly Pick<Kernel, 'main' | 'absorbed'>[],
): (value: string) => string {
  const vanished = new Set<Node>();
  for (const { main, absorbed } of kernels)
    for (const node of absorbed)
      if (node.op === 'DequantizeLinear' || work.of(main.id).kind === 'free') vanished.add(node);
  const homes = new Map<string, string>();
  const home = (value: string) => homes.get(value) ?? value;
  for (const node of graph.order) {
    if (work.of(node.id).kind !== 'free' && !vanished.has(node)) continue;
    const source = node.inputs.find((name) => name && !work.isConstant(name));
    if (source) for (const output of node.outputs) homes.set(output, home(source));
  }
  return home;
}
