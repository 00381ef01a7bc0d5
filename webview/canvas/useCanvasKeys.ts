import { useReactFlow } from '@xyflow/react';
import { useCallback, type KeyboardEvent } from 'react';
import type { GraphView } from '../../language/protocol';
import type { App } from '../app/app';
import { useApp } from '../app/context';
import { openBits } from '../designer/bitsMenu';
import { reducedMotion } from '../common/motion';
import { firstNode, neighbour, type Direction } from './navigate';

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
};

/** Keys on the graph: arrows move, Enter opens, Escape goes up, the menu key asks what can be done. */
export function useCanvasKeys(): (event: KeyboardEvent) => void {
  const app = useApp();
  const flow = useReactFlow();
  return useCallback(
    (event) => {
      const inGraph = (event.target as Element).closest('.react-flow') !== null;
      const view = app.store.get().design?.view;
      if (!inGraph || !view || event.ctrlKey || event.metaKey || event.altKey) return;
      const next = nextNode(app, view, event);
      if (next !== null) {
        app.selection.go(next);
        bringIntoView(flow, view, next);
      } else if (!act(app, view, event)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    [app, flow],
  );
}

/** The node that an arrow leads to; the same one where the way ends. */
function nextNode(app: App, view: GraphView, event: KeyboardEvent): string | null {
  const { current } = app.store.get();
  const direction = ARROWS[event.key];
  if (direction) return neighbour(view, current ?? '', direction) ?? current;
  const node = view.nodes.find(({ id }) => id === current);
  if (event.key === 'Enter' && node?.open) return firstNode(view, node.id);
  if (event.key === 'Home') return firstNode(view);
  return null;
}

function act(app: App, view: GraphView, event: KeyboardEvent): boolean {
  const { current, drag } = app.store.get();
  const node = view.nodes.find(({ id }) => id === current);
  switch (event.key) {
    case 'Enter':
      if (node) app.selection.open(node.id);
      return true;
    case 'b':
      if (node) openBits(app, node, event.target as Element);
      return true;
    case ' ':
      if (node) app.selection.pick(node.id, true);
      return true;
    case 'Escape':
      if (drag) app.dragging.cancel();
      else if (node?.open) app.selection.close(node.id);
      else if (node?.parent != null) app.selection.go(node.parent);
      else app.selection.clear();
      return true;
    case 'F10':
    case 'ContextMenu':
      if (event.key === 'F10' && !event.shiftKey) return false;
      if (node) openMenu(app, node.id, event.target as Element);
      return true;
    default:
      return false;
  }
}

function openMenu(app: App, node: string, at: Element): void {
  const { left, top, height } = at.getBoundingClientRect();
  app.store.set({ popup: { kind: 'menu', node, x: left + 24, y: top + Math.min(height, 40) } });
}

/** Pans just as far as needed to see a node that the keyboard moved to. */
function bringIntoView(flow: ReturnType<typeof useReactFlow>, view: GraphView, id: string): void {
  const node = view.nodes.find((candidate) => candidate.id === id);
  const frame = document.querySelector('.react-flow')?.getBoundingClientRect();
  if (!node || !frame) return;
  const { x, y, zoom } = flow.getViewport();
  const margin = 48;
  const dx = outside(node.x * zoom + x, node.width * zoom, frame.width, margin);
  const dy = outside(node.y * zoom + y, node.height * zoom, frame.height, margin);
  if (dx === 0 && dy === 0) return;
  void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: reducedMotion() ? 0 : 120 });
}

/** How far to move so that `start…start+size` lies within `0…room`; its start wins when it does not fit. */
function outside(start: number, size: number, room: number, margin: number): number {
  if (start < margin) return margin - start;
  const over = start + size - (room - margin);
  return over > 0 ? -Math.min(over, start - margin) : 0;
}
