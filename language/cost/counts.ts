/** What a model amounts to before any target is chosen: totals of its layers, and the memory that its activations need. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { valueBytes } from './constants';
import { flowsBetween } from './flow';
import { peakBytes } from './liveness';
import { workloads } from './workloads';

export interface Counts {
  /** Multiply-accumulates of the layers that could be counted; at least this many when `partial`. */
  readonly macs: number;
  readonly ops: number;
  readonly parameters: number;
  readonly weightBytes: number;
  /** Largest sum of activations alive at once, running node by node in graph order; null while a size is free. */
  readonly peakActivationBytes: number | null;
  /** The multiply-accumulates of some layer are unknown. */
  readonly partial: boolean;
  readonly unknown: readonly Unknown[];
}

export interface Unknown {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

export function counts(graph: Graph, facts: Facts): Counts {
  const work = workloads(graph, facts);
  const total = { macs: 0, ops: 0, parameters: 0, weightBytes: 0, partial: false };
  const unknown: Unknown[] = [];
  const { nodes, layers, values } = work;
  for (const [at, { macs, ops, parameters, weightBytes, unknown: reason }] of layers.entries()) {
    total.macs += macs ?? 0;
    total.ops += ops ?? 0;
    total.parameters += parameters;
    total.weightBytes += weightBytes;
    total.partial ||= macs === null;
    const { id, op } = nodes[at]!;
    if (reason !== undefined) unknown.push({ node: id, op, reason });
  }
  const singly = nodes.map((_, at) => ({ places: [at] }));
  const size = (value: number) => valueBytes(values[value]!);
  return {
    ...total,
    peakActivationBytes: peakBytes(flowsBetween(graph, work, singly), size),
    unknown,
  };
}
