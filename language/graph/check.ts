/** What every model that is written must fulfil, and a model that is read may not. */
import type { Graph } from './graph';

/** Complaints about the structure, each naming the node or value. */
export function checkGraph(graph: Graph): string[] {
  const problems: string[] = [];
  const made = new Set<string>();
  for (const node of graph.order) {
    for (const input of node.inputs)
      if (input && !graph.isDefined(input))
        problems.push(`${node.id} reads ${input}, which nothing makes`);
    for (const output of node.outputs) {
      if (output && made.has(output))
        problems.push(`${output} is made twice, the second time by ${node.id}`);
      made.add(output);
    }
    if (!graph.opsets.has(node.domain) && !isDeclared(graph, node.domain))
      problems.push(
        `${node.id} is of the domain ${node.domain || 'ai.onnx'}, which the model does not import`,
      );
  }
  for (const { name } of graph.outputs)
    if (!graph.isDefined(name)) problems.push(`the output ${name} is made by nothing`);
  const { cycle } = graph;
  if (cycle) problems.push(`${cycle.id} depends on its own result`);
  return problems;
}

const isDeclared = (graph: Graph, domain: string): boolean =>
  graph.model.functions.some((fn) => fn.domain === domain);
