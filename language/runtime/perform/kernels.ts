/** What ONNX Runtime makes of a model: the operators of the graph that it executes after its own optimisations. */
import path from 'node:path';
import { subgraphs } from '../../graph/graph';
import type { NodeRecord } from '../../onnx/model';
import type { Context } from '../perform';
import { nameOf, openSession, readStructure } from '../session';
import type { Kernels, KernelsRequest } from '../tasks';

export async function kernels(
  { model }: KernelsRequest,
  { scratch, report }: Context,
): Promise<Kernels> {
  report(`loading ${nameOf(model)}`, 0, 1);
  const optimisedFile = path.join(scratch, 'optimised.onnx');
  await openSession(model, { optimisedFile });
  const counts = new Map<string, number>();
  const count = (nodes: readonly NodeRecord[]) => {
    for (const node of nodes) {
      const kernel = node.domain ? `${node.domain}.${node.op}` : node.op;
      counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
      for (const body of subgraphs(node)) count(body.nodes);
    }
  };
  count(readStructure(optimisedFile).graph.nodes);
  return { kernels: counts };
}
