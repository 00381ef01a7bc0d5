/** What a plan decides of layers, and its bytes as text. */
import { WhittleError } from '../../../errors';
import { floatsFromBase64, fromBase64, toBase64 } from '../../base64';
import type { Linear } from '../../linear';
import { blocksOf, type Format, type Rounded } from '../rounding/blockwise';

/** What was decided of one layer; nothing where its weights alone say how they are rounded. */
export type LayerDecision =
  | {
      readonly kind: 'rounded';
      /** In base64: K × N codes, and blocks × N scales (float32) and zero points. */
      readonly codes: string;
      readonly scales: string;
      readonly zeroPoints: string;
    }
  /** In base64: a step of `shrinkOf` per block and column. */
  | { readonly kind: 'clipped'; readonly steps: string };

export interface Decisions {
  /** By node. */
  readonly layers: Readonly<Record<string, LayerDecision>>;
  /** Factors on the input channels of the layers that read a value; the value itself is divided by them. */
  readonly scalings: readonly { readonly value: string; readonly factors: readonly number[] }[];
  /** Nothing was decided yet. */
  readonly open: boolean;
}

export const NOTHING: Decisions = { layers: {}, scalings: [], open: false };

export function encodeRounded({ codes, scales, zeroPoints }: Rounded): LayerDecision {
  return {
    kind: 'rounded',
    codes: toBase64(codes),
    scales: toBase64(scales),
    zeroPoints: toBase64(Uint8Array.from(zeroPoints)),
  };
}

export function decodeRounded(
  { rows, columns }: Linear,
  format: Format,
  decision: Extract<LayerDecision, { kind: 'rounded' }>,
): Rounded {
  const codes = fromBase64(decision.codes);
  const scales = floatsFromBase64(decision.scales);
  if (codes.length !== rows * columns || scales.length !== blocksOf(rows, format) * columns)
    throw new WhittleError('the decisions were taken for other weights');
  return { format, rows, columns, codes, scales, zeroPoints: fromBase64(decision.zeroPoints) };
}
