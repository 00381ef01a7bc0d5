/** What ONNX Runtime makes of a model: the operators of the graph that it executes after its own optimisations. */
import path from 'node:path';
import { Graph, subgraphs } from '../../graph/graph';
import type { NodeRecord } from '../../onnx/model';
import { writeModel } from '../../onnx/write';
import type { Context } from '../perform';
import { nameOf, openSession, readStructure } from '../session';
import type { Kernels, KernelsRequest } from '../tasks';
import { attribute, tagNodes } from './attribution';

export async function kernels(
  { model: file }: KernelsRequest,
  { scratch, report }: Context,
): Promise<Kernels> {
  report(`loading ${nameOf(file)}`, 0, 1);
  const model = readStructure(file);
  const graph = Graph.of(model);
  const ids = tagNodes(graph);
  const tagged = path.join(scratch, 'tagged.onnx');
  writeModel(model, graph.toRecord(), graph.opsets, tagged);
  const optimisedFile = path.join(scratch, 'optimised.onnx');
  await openSession(tagged, { optimisedFile, copyOf: file });
  const { nodes } = readStructure(optimisedFile).graph;
  const executed = new Map<string, string>();
  for (const { kernel, members, helper } of attribute(graph, ids, nodes))
    if (!helper) for (const member of members) executed.set(member, kernelName(kernel));
  return { kernels: counted(nodes), executed };
}

function counted(nodes: readonly NodeRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (node: NodeRecord) => {
    const kernel = kernelName(node);
    counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
    for (const body of subgraphs(node)) body.nodes.forEach(count);
  };
  nodes.forEach(count);
  return counts;
}

export const kernelName = ({ op, domain }: NodeRecord): string => (domain ? `${domain}.${op}` : op);
