/**
 * Search over the whole model. Closed blocks hide their layers from the view, so the first search asks once for a
 * design with everything open and keeps its nodes until the recipe changes.
 */
import type { ViewNode } from '../../language/protocol';
import type { Host } from '../host';
import { parseQuery } from './query';
import type { Selection } from './selection';
import type { State } from './state';
import type { Store } from './store';

/** Beyond this many layers only what is visible is searched: laying everything out would hold up the server. */
const MOST_LAYERS = 4000;
const MOST_LEVELS = 12;

export interface Match {
  readonly node: ViewNode;
  /** Blocks to open to see it, outermost first. */
  readonly inside: readonly string[];
}

export interface FindResult {
  /** What matches and the blocks around it; null when nothing was asked. */
  readonly ids: ReadonlySet<string> | null;
  readonly matches: readonly Match[];
  readonly problems: readonly string[];
}

export function findIn(nodes: readonly ViewNode[], source: string): FindResult {
  const query = parseQuery(source);
  const matching = query.empty ? [] : nodes.filter((node) => query.matches(node));
  const parents = parentsOf(nodes);
  const matches = matching.map((node) => ({ node, inside: ancestors(node, parents) }));
  return {
    ids: query.empty ? null : new Set(matches.flatMap(({ node, inside }) => [node.id, ...inside])),
    matches,
    problems: query.problems,
  };
}

export interface Finding {
  /** Selects a node and brings it into view, opening what hides it; false where it is not known. */
  readonly show: (id: string, from?: 'effects') => Promise<boolean>;
  /** Makes closed blocks searchable, unless the model is too large for that. */
  readonly prepare: () => Promise<void>;
  readonly forget: () => void;
}

export function createFinding(host: Host, store: Store<State>, selection: Selection): Finding {
  let preparing: Promise<void> | null = null;

  async function openEverything(): Promise<void> {
    const { design, target } = store.get();
    if (!design || design.model.nodes > MOST_LAYERS) return;
    let { nodes } = design.view;
    let open = new Set(design.open);
    for (let level = 0; level < MOST_LEVELS; level++) {
      const closed = nodes.filter((node) => node.foldable && !open.has(node.id));
      if (closed.length === 0) break;
      open = new Set([...open, ...closed.map(({ id }) => id)]);
      nodes = (await host.request('design', { open: [...open], target })).view.nodes;
    }
    store.set({ everything: nodes });
  }

  const finding: Finding = {
    async show(id, from) {
      const visible = store.get().design?.view.nodes.some((node) => node.id === id);
      if (!visible) await finding.prepare();
      const nodes = searchable(store.get());
      const node = nodes.find((candidate) => candidate.id === id);
      if (node) selection.reveal(id, ancestors(node, parentsOf(nodes)), from);
      return node !== undefined;
    },
    prepare() {
      if (store.get().everything) return Promise.resolve();
      // Without an answer the visible nodes are searched.
      preparing ??= openEverything()
        .catch(() => undefined)
        .finally(() => (preparing = null));
      return preparing;
    },
    forget: () => store.set({ everything: null }),
  };
  return finding;
}

const NOTHING: readonly ViewNode[] = [];

/** All nodes that are known: those of closed blocks too, once they were asked for. */
export function searchable({ everything, design }: State): readonly ViewNode[] {
  return everything ?? design?.view.nodes ?? NOTHING;
}

function parentsOf(nodes: readonly ViewNode[]): ReadonlyMap<string, string | null> {
  return new Map(nodes.map(({ id, parent }) => [id, parent]));
}

/** The blocks that a node lies in, outermost first. */
function ancestors(node: ViewNode, parents: ReadonlyMap<string, string | null>): string[] {
  const inside: string[] = [];
  for (let at = node.parent; at !== null && !inside.includes(at); at = parents.get(at) ?? null)
    inside.unshift(at);
  return inside;
}
