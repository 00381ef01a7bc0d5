import { useLayoutEffect, useRef, type CSSProperties, type ReactNode } from 'react';
import type { ViewNode } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { refusal } from '../app/dragging';
import type { State } from '../app/state';
import { useDetail } from './detail';
import type { Says } from './flow';
import { spokenNode } from './spoken';

interface NodeFrameProps {
  readonly node: ViewNode;
  readonly level: number;
  readonly says: Says;
  readonly className: string;
  readonly style?: CSSProperties;
  readonly children: ReactNode;
}

/** What all nodes share: name, role, focus, selection, and how they take a pass. */
export function NodeFrame({ node, level, says, className, style, children }: NodeFrameProps) {
  const app = useApp();
  const { id, open } = node;
  const element = useRef<HTMLDivElement>(null);
  const selected = useView((state) => state.selected.includes(id));
  const isCurrent = useView((state) => isAt(state, id));
  const found = useView((state) => state.found?.has(id) ?? false);
  const landing = useView((state) => landingOf(state, node));
  const metric = useView((state) => state.metric);

  useWantedFocus('node', () => element.current?.focus({ preventScroll: true }), id);

  // A block that opens or closes is drawn by another component: the keyboard stays with the block.
  useLayoutEffect(() => {
    const frame = element.current;
    return () => {
      const now = app.store.get().design?.view.nodes.find((other) => other.id === id);
      if (frame === document.activeElement && now && now.open !== open)
        app.store.set({ focus: { on: 'node', id } });
    };
  }, [app, id, open]);

  const classes = [
    'node',
    className,
    `is-${node.status}`,
    node.family ? `family-${node.family}` : '',
    selected ? 'is-selected' : '',
    found ? 'is-found' : '',
    landing ? `is-${landing}` : '',
  ];
  return (
    <div
      ref={element}
      className={classes.filter(Boolean).join(' ')}
      style={style}
      role="treeitem"
      tabIndex={isCurrent ? 0 : -1}
      aria-label={spokenNode(node, metric, says)}
      aria-level={level + 1}
      aria-selected={selected}
      aria-expanded={node.foldable || node.open ? node.open : undefined}
      aria-describedby="canvas-help"
      data-node={id}
      data-testid={`node-${id}`}
    >
      {children}
      {landing === 'refusing' && <Refusal node={node} />}
    </div>
  );
}

/** Why a pass cannot land here, where there is room to say so. */
function Refusal({ node }: { readonly node: ViewNode }) {
  const detail = useDetail();
  const reason = useView((state) => state.drag?.places?.[node.id]?.reason);
  const isCard = !node.open && node.kind !== 'input' && node.kind !== 'output';
  return reason && isCard && detail === 'near' ? <p className="refusal">{reason}</p> : null;
}

/** Whether Tab leads to this node: the current one, or else the first. */
function isAt({ current, design }: State, id: string): boolean {
  const nodes = design?.view.nodes ?? [];
  if (current !== null && nodes.some((node) => node.id === current)) return current === id;
  return nodes[0]?.id === id;
}

type Landing = 'accepting' | 'refusing' | 'over' | 'over-refusing';

/** How a node answers the pass that is being dragged. */
function landingOf({ drag, selected }: State, node: ViewNode): Landing | null {
  if (!drag) return null;
  const refused =
    node.at.length === 0 || refusal(drag.places, { on: 'node', id: node.id }) !== null;
  const over = drag.over?.on === 'node' ? drag.over.id : null;
  const isOver = over === node.id || (over !== null && both(selected, over, node.id));
  if (isOver) return refused ? 'over-refusing' : 'over';
  if (refused) return 'refusing';
  return drag.places ? 'accepting' : null;
}

function both(selected: readonly string[], a: string, b: string): boolean {
  return selected.includes(a) && selected.includes(b);
}
