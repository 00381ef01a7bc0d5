/** How large cards are drawn, in pixels at full size. */

export const CARD_SIZES = {
  input: { width: 168, height: 40 },
  output: { width: 168, height: 40 },
  layer: { width: 220, height: 66 },
  block: { width: 280, height: 84 },
  stack: { width: 280, height: 84 },
} as const;

/** An open block: room for its title, and around what it holds. */
export const OPEN_FRAME = { header: 40, padding: 20 } as const;

/** Around the whole drawing. */
export const MARGIN = 24;
