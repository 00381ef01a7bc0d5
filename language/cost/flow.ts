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
  const stored = (names: readonly string[]): string[] => [
    ...new Set(names.filter((name) => name && !work.isConstant(name)).map(home)),
  ];
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const isRead = (value: string) => outputs.has(value) || graph.consumers(value).length > 0;
  const flows = kernels
    .filter(({ main }) => work.of(main.id).kind !== 'free')
    .map((kernel): Flow<K> => {
      if (kernel.absorbed.length === 0) {
        const reads = stored(readsOf(kernel.main));
        const writes = stored(kernel.main.outputs.filter((value) => value && isRead(value)));
        return { kernel, reads, writes: writes.filter((value) => !reads.includes(value)) };
      }
      const nodes = [kernel.main, ...kernel.absorbed];
      const ids = new Set(nodes.map(({ id }) => id));
      const written = nodes.flatMap((node) => node.outputs);
      const inside = new Set(written);
      const isNeeded = (value: string) =>
        outputs.has(value) || graph.consumers(value).some(({ id }) => !ids.has(id));
      const reads = stored(nodes.flatMap(readsOf).filter((name) => !inside.has(name)));
      const writes = stored(written.filter((value) => value && isNeeded(value)));
      return { kernel, reads, writes: writes.filter((value) => !reads.includes(value)) };
    });
  return { flows, inputs: graph.inputs.map(({ name }) => name), outputs: stored([...outputs]) };
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
    const isAlias = work.of(node.id).kind === 'free' || vanished.has(node);
    const source = isAlias && node.inputs.find((name) => name && !work.isConstant(name));
    if (source) for (const output of node.outputs) homes.set(output, home(source));
  }
  return home;
}
