/** How much a node says at a zoom: text that would be smaller than 10 px on screen leaves instead. */
import { createContext, useContext } from 'react';

export type Detail = 'far' | 'middle' | 'near';

/** Smallest text on screen, in px. */
export const LEAST_TEXT = 10;
/** The smallest text of a card at zoom 1 is 12 px. */
const NEAR = LEAST_TEXT / 12;
/** Below this a card of the usual height cannot hold two lines of readable text. */
const MIDDLE = 0.45;

export function detailAt(zoom: number): Detail {
  if (zoom >= NEAR) return 'near';
  return zoom >= MIDDLE ? 'middle' : 'far';
}

/**
 * Size in graph units of the text that grows as the view shrinks, in steps, so that zooming does not restyle every
 * card on every frame. Never below `LEAST_TEXT` on screen.
 */
export function textSizeAt(zoom: number): number {
  const steps = Math.ceil(Math.log2((LEAST_TEXT + 1) / zoom) * 8);
  return Math.max(13, 2 ** (steps / 8));
}

export const DetailContext = createContext<Detail>('near');

export function useDetail(): Detail {
  return useContext(DetailContext);
}
