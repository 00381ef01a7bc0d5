import { useLayoutEffect, useRef } from 'react';
import { useView } from '../app/context';
import { refusal } from '../app/dragging';
import type { State } from '../app/state';
import { text } from '../strings';
import { offerText } from './offerText';

const GAP = 14;
const EDGE = 8;

/** Beside the node under a dragged pass: what it would bring, or why it cannot land. */
export function DropOffer() {
  const over = useView((state) => (state.drag?.over?.on === 'node' ? state.drag.over.id : null));
  const refused = useView(refusalUnderPointer);
  const gain = useView((state) => state.offer?.gain ?? null);
  const label = useRef<HTMLDivElement>(null);
  const words = refused ?? offerText(gain);

  useLayoutEffect(() => {
    if (over !== null && label.current) placeBeside(label.current, nodeElement(over));
  }, [over, words]);

  if (over === null) return null;
  return (
    <div
      ref={label}
      className={`offer${refused === null ? '' : ' offer-refused'}`}
      data-testid="offer"
    >
      {words}
    </div>
  );
}

function refusalUnderPointer({ drag, design }: State): string | null {
  if (drag?.over?.on !== 'node') return null;
  const { id } = drag.over;
  const node = design?.view.nodes.find((candidate) => candidate.id === id);
  const reason = refusal(drag.places, drag.over);
  if (reason === null && node?.at.length !== 0) return null;
  return reason ?? text('drop.notHere');
}

function nodeElement(id: string): Element | null {
  return document.querySelector(`[data-node="${CSS.escape(id)}"]`);
}

/** Right of the node if there is room, else under its top edge, never off the page. */
function placeBeside(label: HTMLElement, node: Element | null): void {
  const stage = document.querySelector('.canvas')?.getBoundingClientRect();
  if (!node || !stage) return;
  const { right, top } = node.getBoundingClientRect();
  const x = Math.min(right + GAP, stage.right - label.offsetWidth - EDGE);
  const y = Math.min(
    Math.max(top + EDGE, stage.top + EDGE),
    stage.bottom - label.offsetHeight - EDGE,
  );
  label.style.transform = `translate(${x}px, ${y}px)`;
}
