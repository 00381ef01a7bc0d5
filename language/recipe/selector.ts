/** Selectors: which nodes a step means. They name the original model, whatever earlier steps made of it. */
import { didYouMean, WhittleError } from '../errors';
import { enclosingScopes } from '../graph/names';
import type { Graph, Node } from '../graph/graph';

/** Nodes of the original model that a selector names. */
export function selectNodes(original: Graph, selector: string): ReadonlySet<string> {
  if (selector.startsWith('op:')) return selectOperator(original, selector.slice(3));
  const pattern = globPattern(selector);
  const selected = new Set<string>();
  for (const node of original.order)
    if (namesOf(node).some((name) => pattern.test(name))) selected.add(node.id);
  if (selected.size === 0) throw nothingMatches(original, selector);
  return selected;
}

/** `op:Conv`. An operator that this model happens not to use selects nothing; one that does not exist is a mistake. */
function selectOperator(original: Graph, op: string): ReadonlySet<string> {
  const selected = new Set(original.order.filter((node) => node.op === op).map((node) => node.id));
  if (selected.size === 0 && !/^[A-Z][A-Za-z0-9]*$/.test(op)) {
    const known = original.order.map((node) => node.op);
    throw new WhittleError(`${op} is not an operator`, { hint: didYouMean(op, known) });
  }
  return selected;
}

/** A selector matches a node by its name or path, and everything in a block by the path of the block. */
function namesOf(node: Node): string[] {
  return [node.id, pathOf(node), ...enclosingScopes(node.scope)];
}

/** The scope and short name of a node: `/blocks.0/attn/MatMul`. */
export function pathOf(node: Node): string {
  return `${node.scope}/${node.id.slice(node.id.lastIndexOf('/') + 1)}`;
}

/** `*` within a segment, `**` across segments. */
function globPattern(selector: string): RegExp {
  const source = selector
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('');
  return new RegExp(`^${source}$`, 's');
}

function nothingMatches(original: Graph, selector: string): WhittleError {
  if (/^[a-z]+:[^:]/.test(selector))
    return new WhittleError(`unknown selector ${selector}`, {
      hint: 'Use a name, a pattern with * and **, or an operator such as op:Conv',
    });
  const names = new Set(original.order.flatMap(namesOf));
  const hint = didYouMean(selector, names) || 'Names are those of the original model';
  return new WhittleError(`${selector} matches nothing in the model`, { hint });
}
