/** The edges of each node as ranges of one array: `edges[start[node]]` up to `edges[start[node + 1]]`. */
export interface Adjacency {
  readonly start: Int32Array;
  readonly edges: Int32Array;
}

/** Groups edges by the node at one of their ends, in the order given. */
export function adjacency(nodes: number, ends: Int32Array): Adjacency {
  const start = new Int32Array(nodes + 1);
  for (const node of ends) start[node + 1]!++;
  for (let node = 0; node < nodes; node++) start[node + 1]! += start[node]!;
  const next = start.slice(0, nodes);
  const edges = new Int32Array(ends.length);
  ends.forEach((node, edge) => (edges[next[node]!++] = edge));
  return { start, edges };
}

export const degree = ({ start }: Adjacency, node: number): number =>
  start[node + 1]! - start[node]!;
