/** What to capture of a model: values by name or by the nodes that make them, and attentions. */
import { didYouMean, WhittleError } from '../errors';
import type { Graph } from '../graph/graph';
import type { AttentionProbe } from '../runtime/tasks';
import { rolesOf, selectNodes, type Original } from './selector';

/**
 * Values that names or selectors of nodes mean; of nodes, those that they make.
 * @throws WhittleError when one of them means nothing
 */
export function selectValues(
  model: Original,
  wanted: readonly string[],
): { readonly values: readonly string[]; readonly nodes: ReadonlySet<string> } {
  const { graph } = model;
  const values = new Set<string>();
  const nodes = new Set<string>();
  for (const name of wanted) {
    if (graph.hasValue(name)) {
      values.add(name);
      continue;
    }
    for (const id of selected(model, name)) {
      nodes.add(id);
      for (const output of graph.node(id)!.outputs) if (output) values.add(output);
    }
  }
  return { values: [...values].filter((value) => !graph.constant(value)), nodes };
}

function selected(model: Original, name: string): ReadonlySet<string> {
  const nodes = selectNodes(model, name);
  if (nodes.size > 0) return nodes;
  throw new WhittleError(`${name} is neither a value nor nodes of the model`, {
    hint: didYouMean(
      name,
      model.graph.order.flatMap(({ outputs }) => outputs),
    ),
  });
}

/** The attentions that any of these nodes is the heart of, in the order of the graph. */
export function attentionsAt(model: Original, nodes: ReadonlySet<string>): AttentionProbe[] {
  return rolesOf(model).findings.attentions.flatMap((attention): AttentionProbe[] => {
    if (attention.kind === 'fused')
      return nodes.has(attention.node) ? [{ kind: 'fused', node: attention.node }] : [];
    const { softmax, scores, product } = attention.core;
    const isAsked = [softmax, scores, product].some(({ id }) => nodes.has(id));
    return isAsked ? [{ kind: 'decomposed', node: softmax.id, heads: attention.heads }] : [];
  });
}

export const allNodes = (graph: Graph): ReadonlySet<string> =>
  new Set(graph.order.map(({ id }) => id));
