/** Where the arrow keys lead: along edges up and down, to siblings left and right. */
import type { GraphView, ViewNode } from '../../language/protocol';

export type Direction = 'up' | 'down' | 'left' | 'right';

export function neighbour(view: GraphView, from: string, direction: Direction): string | null {
  const node = view.nodes.find(({ id }) => id === from);
  if (!node) return firstNode(view);
  if (direction === 'left' || direction === 'right') return beside(view, node, direction);
  return along(view, node, direction);
}

/** The topmost node, leftmost among equals. */
export function firstNode(view: GraphView, parent: string | null = null): string | null {
  const [first] = view.nodes
    .filter((node) => node.parent === parent)
    .sort((a, b) => a.y - b.y || a.x - b.x);
  return first?.id ?? null;
}

function along(view: GraphView, node: ViewNode, direction: 'up' | 'down'): string | null {
  if (node.open && direction === 'down') return firstNode(view, node.id);
  const ends = view.edges
    .filter((edge) => (direction === 'down' ? edge.from : edge.to) === node.id)
    .map((edge) => (direction === 'down' ? edge.to : edge.from));
  const linked = view.nodes.filter(({ id }) => ends.includes(id));
  return nearest(node, linked.length > 0 ? linked : onThatSide(view, node, direction));
}

/** Without an edge: whatever lies that way in the same block. */
function onThatSide(view: GraphView, node: ViewNode, direction: 'up' | 'down'): ViewNode[] {
  return view.nodes.filter(
    (other) =>
      other.parent === node.parent &&
      (direction === 'down' ? other.y >= node.y + node.height : other.y + other.height <= node.y),
  );
}

function beside(view: GraphView, node: ViewNode, direction: 'left' | 'right'): string | null {
  const siblings = view.nodes.filter(
    (other) =>
      other.parent === node.parent &&
      other.y < node.y + node.height &&
      node.y < other.y + other.height &&
      (direction === 'right' ? other.x > node.x : other.x < node.x),
  );
  return nearest(node, siblings);
}

function nearest(node: ViewNode, candidates: readonly ViewNode[]): string | null {
  const [best] = candidates
    .map((other) => ({ id: other.id, distance: distance(node, other) }))
    .sort((a, b) => a.distance - b.distance);
  return best?.id ?? null;
}

function distance(a: ViewNode, b: ViewNode): number {
  return Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2);
}
