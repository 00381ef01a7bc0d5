import {
  Background,
  BackgroundVariant,
  ReactFlow,
  ReactFlowProvider,
  useStore,
  type Edge,
  type NodeTypes,
  type Viewport,
} from '@xyflow/react';
import { useCallback, useMemo, useState, type CSSProperties, type MouseEvent } from 'react';
import type { GraphView, Metric } from '../../language/protocol';
import { nodeEffects, type NodeEffects } from '../sensitivity/effects';
import { useApp, useView } from '../app/context';
import { text } from '../strings';
import { CardNodeView } from './cardNode';
import { ContainerNodeView } from './containerNode';
import { Controls } from './controls';
import { DetailContext, detailAt, textSizeAt } from './detail';
import { toFlow, type CardNode } from './flow';
import { AreaNames } from './areaNames';
import { LEAST_ZOOM } from './fit';
import { Legend } from './legend';
import { Overview } from './overview';
import { PortNodeView } from './portNode';
import { Steady } from './steady';
import { useCanvasKeys } from './useCanvasKeys';
import { WireLayer } from './wireLayer';
import { TreeRole } from './treeRole';

const NODE_TYPES: NodeTypes = {
  card: CardNodeView,
  container: ContainerNodeView,
  port: PortNodeView,
};
const NO_EDGES: Edge[] = [];

const MOST_ZOOM = 2.5;

export function Canvas() {
  return (
    <ReactFlowProvider>
      <Graph />
    </ReactFlowProvider>
  );
}

function Graph() {
  const app = useApp();
  const nodes = useFlow();
  const detail = useStore((state) => detailAt(state.transform[2]));
  const textSize = useStore((state) => textSizeAt(state.transform[2]));
  const dragging = useView((state) => state.drag !== null);
  const finding = useView((state) => state.found !== null);
  const onKeyDown = useCanvasKeys();

  const onNodeClick = useCallback(
    (event: MouseEvent, { id }: CardNode) => {
      app.selection.pick(id, event.shiftKey || event.ctrlKey || event.metaKey);
      app.store.set({ focus: { on: 'node', id } });
    },
    [app],
  );
  const onNodeDoubleClick = useCallback(
    (_event: MouseEvent, { id }: CardNode) => app.selection.toggle(id),
    [app],
  );
  const onNodeContextMenu = useCallback(
    (event: MouseEvent, { id }: CardNode) => {
      event.preventDefault();
      if (!app.store.get().selected.includes(id)) app.selection.pick(id);
      app.store.set({ popup: { kind: 'menu', node: id, x: event.clientX, y: event.clientY } });
    },
    [app],
  );
  const onMoveEnd = useCallback(
    (_event: unknown, viewport: Viewport) => app.store.set({ viewport }),
    [app],
  );

  const classes = ['canvas', dragging ? 'is-dragging' : '', finding ? 'is-finding' : ''];
  return (
    <DetailContext.Provider value={detail}>
      <div
        className={classes.join(' ')}
        data-testid="canvas"
        data-detail={detail}
        style={{ '--text-size': `${textSize}px` } as CSSProperties}
        onKeyDown={onKeyDown}
      >
        <ReactFlow<CardNode>
          nodes={nodes}
          edges={NO_EDGES}
          nodeTypes={NODE_TYPES}
          minZoom={LEAST_ZOOM}
          maxZoom={MOST_ZOOM}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          disableKeyboardA11y
          onlyRenderVisibleElements
          zoomOnDoubleClick={false}
          panOnScroll
          deleteKeyCode={null}
          selectionKeyCode={null}
          multiSelectionKeyCode={null}
          panActivationKeyCode={null}
          nodeClickDistance={4}
          attributionPosition="top-right"
          onNodeClick={onNodeClick}
          onNodeDoubleClick={onNodeDoubleClick}
          onNodeContextMenu={onNodeContextMenu}
          onPaneClick={app.selection.clear}
          onMoveEnd={onMoveEnd}
        >
          <Background variant={BackgroundVariant.Dots} gap={24} size={1.2} />
          <WireLayer />
          {detail === 'far' && <AreaNames />}
          <Steady />
          <TreeRole />
          <Overview />
        </ReactFlow>
        <Legend />
        <Controls />
        <p className="hidden" id="canvas-help">
          {text('canvas.help')}
        </p>
      </div>
    </DetailContext.Provider>
  );
}

/** What the next flow may take over from. Only saves drawing: a stale one would be as right. */
class LastFlow {
  #nodes: CardNode[] = [];

  next(view: GraphView | undefined, metric: Metric, effects: NodeEffects | null): CardNode[] {
    this.#nodes = view ? toFlow(view, metric, this.#nodes, effects) : [];
    return this.#nodes;
  }
}

function useFlow(): CardNode[] {
  const view = useView((state) => state.design?.view);
  const metric = useView((state) => state.metric);
  const [last] = useState(() => new LastFlow());
  const effects = useNodeEffects();
  return useMemo(() => last.next(view, metric, effects), [last, view, metric, effects]);
}

/** What nodes show in place of their costs, once the design says where. */
function useNodeEffects(): NodeEffects | null {
  const found = useView((state) => (state.showsEffects ? state.sensitivity : null));
  const now = useView((state) => state.design?.effects);
  return useMemo(
    () => (found && now?.key === found.key ? nodeEffects(found, now) : null),
    [found, now],
  );
}
