/** How a layer's weights are laid into crossbars: what `target.reram-map` writes into a node and cost models read. */

export const POLARITIES = ['offset', 'two-column', 'differential'] as const;
export type Polarity = (typeof POLARITIES)[number];

export interface Placement {
  /** Bits of a weight in one cell. */
  readonly cellBits: number;
  /** Signed weights: by an offset, in two columns of a crossbar, or in two crossbars. */
  readonly polarity: Polarity;
  /** How often the weights are there, to take as many output positions at once. */
  readonly copies: number;
}

/** Of a node's metadata. */
export const PLACEMENT_KEY = 'whittle.crossbars';

export const placementText = ({ cellBits, polarity, copies }: Placement): string =>
  `cell-bits=${cellBits} polarity=${polarity} copies=${copies}`;

const TEXT = /^cell-bits=([1-9]\d*) polarity=(\S+) copies=([1-9]\d*)$/;

/** Undefined where there is none, or none that is understood. */
export function placementOf(metadata: ReadonlyMap<string, string>): Placement | undefined {
  const [, bits, named, copies] = TEXT.exec(metadata.get(PLACEMENT_KEY) ?? '') ?? [];
  const polarity = POLARITIES.find((known) => known === named);
  return polarity && { cellBits: Number(bits), polarity, copies: Number(copies) };
}
