import { useEffect, useRef, type PointerEvent } from 'react';
import type { App } from '../app/app';
import { useApp } from '../app/context';
import type { Spot } from '../app/state';

/** Moves less than this are a click. */
const THRESHOLD_PX = 4;

export interface DragHandlers {
  readonly onPointerDown: (event: PointerEvent) => void;
  readonly onPointerMove: (event: PointerEvent) => void;
  readonly onPointerUp: (event: PointerEvent) => void;
  readonly onPointerCancel: (event: PointerEvent) => void;
}

/**
 * Drags a pass by pointer events: works with touch and pen, and does not meet the drop targets of the editor around
 * this page.
 */
export function usePassDrag(pass: string): DragHandlers {
  const app = useApp();
  const from = useRef<{ x: number; y: number } | null>(null);
  const leave = useRef<(() => void) | null>(null);

  function end() {
    from.current = null;
    leave.current?.();
    leave.current = null;
  }

  function start(event: PointerEvent) {
    event.currentTarget.setPointerCapture(event.pointerId);
    app.dragging.begin(pass);
    leave.current = onEscape(() => {
      app.dragging.cancel();
      end();
    });
  }

  useEffect(() => () => leave.current?.(), []);

  return {
    onPointerDown(event) {
      if (event.button === 0) from.current = { x: event.clientX, y: event.clientY };
    },
    onPointerMove(event) {
      if (!from.current) return;
      const { clientX, clientY } = event;
      if (!leave.current) {
        const moved = Math.hypot(clientX - from.current.x, clientY - from.current.y);
        if (moved < THRESHOLD_PX) return;
        start(event);
      }
      moveGhost(clientX, clientY);
      app.dragging.over(spotAt(clientX, clientY));
    },
    onPointerUp(event) {
      if (leave.current) {
        app.dragging.over(spotAt(event.clientX, event.clientY));
        app.dragging.drop();
      }
      end();
    },
    onPointerCancel() {
      if (leave.current) app.dragging.cancel();
      end();
    },
  };
}

/** The node under a point of the page, else the canvas, else nothing. */
function spotAt(x: number, y: number): Spot | null {
  const stack = document.elementsFromPoint(x, y);
  for (const element of stack) {
    const node = element.closest<HTMLElement>('[data-node]')?.dataset.node;
    if (node !== undefined) return { on: 'node', id: node };
  }
  return stack.some((element) => element.closest('.canvas')) ? { on: 'canvas', id: null } : null;
}

/** The ghost follows without a render. */
function moveGhost(x: number, y: number): void {
  const { style } = document.documentElement;
  style.setProperty('--ghost-x', `${x}px`);
  style.setProperty('--ghost-y', `${y}px`);
}

function onEscape(cancel: App['dragging']['cancel']): () => void {
  const listener = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    event.preventDefault();
    cancel();
  };
  document.addEventListener('keydown', listener, true);
  return () => document.removeEventListener('keydown', listener, true);
}
