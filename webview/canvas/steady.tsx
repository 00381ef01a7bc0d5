import { useReactFlow, useStoreApi } from '@xyflow/react';
import { useCallback, useEffect, useRef } from 'react';
import type { GraphView, ViewNode } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { firstViewport, fitted, type Size } from './fit';
import { reducedMotion } from '../common/motion';

/**
 * Keeps the view steady. Its effects run after React Flow took the new nodes, so that layout and viewport change in
 * the same frame: the node under the eye stays where it is while others make room.
 */
export function Steady() {
  const app = useApp();
  const flow = useReactFlow();
  const flowStore = useStoreApi();
  const view = useView((state) => state.design?.view);
  const revealing = useView((state) => state.revealing);
  const shown = useRef<GraphView | null>(null);

  const size = useCallback((): Size => {
    const { width, height, domNode } = flowStore.getState();
    return {
      width: width || (domNode?.clientWidth ?? 0),
      height: height || (domNode?.clientHeight ?? 0),
    };
  }, [flowStore]);

  // A canvas that comes back starts with a viewport of its own.
  useEffect(
    () => () => {
      shown.current = null;
    },
    [],
  );

  useEffect(() => {
    if (!view) return;
    const { viewport, anchor, selected } = app.store.get();
    const before = shown.current;
    shown.current = view;
    if (!before) {
      void flow.setViewport(viewport ?? firstViewport(view, size()));
      return;
    }
    const { x, y, zoom } = flow.getViewport();
    const middle = { x: (size().width / 2 - x) / zoom, y: (size().height / 2 - y) / zoom };
    const pair = steadyNode(before, view, [anchor, ...selected], middle);
    if (anchor !== null) app.store.set({ anchor: null });
    if (!pair) return;
    const dx = centreX(pair.before) - centreX(pair.after);
    const dy = pair.before.y - pair.after.y;
    if (dx !== 0 || dy !== 0) void flow.setViewport({ x: x + dx * zoom, y: y + dy * zoom, zoom });
  }, [app, flow, size, view]);

  useEffect(() => {
    const node = revealing === null ? undefined : view?.nodes.find(({ id }) => id === revealing);
    if (!node) return;
    app.store.set({ revealing: null, focus: null });
    const zoom = Math.max(flow.getZoom(), 0.9);
    void flow.setCenter(centreX(node), node.y + node.height / 2, { zoom, duration: glide(250) });
  }, [app, flow, revealing, view]);

  useEffect(
    () =>
      app.onFit(() => {
        const current = app.store.get().design?.view;
        if (current) void flow.setViewport(fitted(current, size()), { duration: glide(200) });
      }),
    [app, flow, size],
  );
  return null;
}

interface Pair {
  readonly before: ViewNode;
  readonly after: ViewNode;
}

/** The first of these nodes that is in both views, or else the one nearest to the middle of the screen. */
function steadyNode(
  before: GraphView,
  after: GraphView,
  preferred: readonly (string | null)[],
  middle: { readonly x: number; readonly y: number },
): Pair | null {
  const later = new Map(after.nodes.map((node) => [node.id, node]));
  let best: Pair | null = null;
  let least = Infinity;
  for (const node of before.nodes) {
    const same = later.get(node.id);
    if (!same) continue;
    const place = preferred.indexOf(node.id);
    const away = Math.hypot(centreX(node) - middle.x, node.y + node.height / 2 - middle.y);
    const rank = place >= 0 ? place - preferred.length : away;
    if (rank < least) [best, least] = [{ before: node, after: same }, rank];
  }
  return best;
}

function centreX({ x, width }: ViewNode): number {
  return x + width / 2;
}

function glide(ms: number): number {
  return reducedMotion() ? 0 : ms;
}
