/** Viewports that show a graph. */
import type { GraphView } from '../../language/protocol';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

const MARGIN = 32;
/** Far enough out for a thousand layers in a row. */
export const LEAST_ZOOM = 0.01;
/** A first look never starts smaller than this: a long graph is read from the top. */
const LEAST_FIRST_ZOOM = 1;
const MOST_ZOOM = 1.2;

/** All of the graph. */
export function fitted(view: GraphView, size: Size): Viewport {
  const zoom = Math.min(MOST_ZOOM, wholeZoom(view, size));
  return {
    zoom,
    x: (size.width - view.width * zoom) / 2,
    y: (size.height - view.height * zoom) / 2,
  };
}

/** All of the graph if it stays readable, or else its top. */
export function firstViewport(view: GraphView, size: Size): Viewport {
  const whole = wholeZoom(view, size);
  if (whole >= LEAST_FIRST_ZOOM) return fitted(view, size);
  return { zoom: LEAST_FIRST_ZOOM, x: (size.width - view.width * LEAST_FIRST_ZOOM) / 2, y: MARGIN };
}

function wholeZoom(view: GraphView, size: Size): number {
  return Math.max(
    LEAST_ZOOM,
    Math.min(
      (size.width - 2 * MARGIN) / Math.max(1, view.width),
      (size.height - 2 * MARGIN) / Math.max(1, view.height),
    ),
  );
}
