/** What a plan decides, and its bytes as text. */
import { WhittleError } from '../../../errors';
import { floatsFromBase64, fromBase64, toBase64 } from '../../base64';
import type { Group } from './arrangement';
import type { Quantiser } from './polish';
import type { Grid } from './reconstruct';

/** Numbers in base64: float32, or a byte each for codes and zero points. */
export interface QuantiserDecision {
  readonly bits: 4 | 8;
  readonly perChannel: boolean;
  readonly alpha: string | null;
  readonly scale: string;
  readonly zeroPoint: string;
}

export interface LayerDecision {
  readonly bits: 4 | 8;
  /** K × N codes, group after group. */
  readonly codes: string;
  readonly scales: string;
  readonly zeroPoints: string;
}

export interface Decisions {
  /** By `keyOf` of the group that reads a value. */
  readonly values: Readonly<Record<string, QuantiserDecision>>;
  /** By node. */
  readonly layers: Readonly<Record<string, LayerDecision>>;
  /** Nothing was decided yet. */
  readonly open: boolean;
}

export const keyOf = ({ value, axis, isEnd }: Group): string =>
  `${axis}${isEnd ? ' end' : ''} ${value}`;

export const encodeQuantiser = ({
  form,
  alpha,
  scale,
  zeroPoint,
}: Quantiser): QuantiserDecision => ({
  bits: form.bits,
  perChannel: form.axis !== undefined,
  alpha: alpha && toBase64(alpha),
  scale: toBase64(scale),
  zeroPoint: toBase64(zeroPoint),
});

/** @param axis that the value's channels run along */
export const decodeQuantiser = (
  { bits, perChannel, alpha, scale, zeroPoint }: QuantiserDecision,
  axis: number,
): Quantiser => ({
  form: { bits, polished: alpha !== null, axis: perChannel ? axis : undefined },
  alpha: alpha === null ? null : floatsFromBase64(alpha),
  scale: floatsFromBase64(scale),
  zeroPoint: fromBase64(zeroPoint),
});

/** A layer's weights in integers: of each group K × N codes, and N scales. */
export interface Coded {
  readonly codes: Uint8Array;
  readonly grid: Grid;
}

export const encodeCoded = ({ codes, grid }: Coded): LayerDecision => ({
  bits: grid.bits,
  codes: toBase64(codes),
  scales: toBase64(grid.scales),
  zeroPoints: toBase64(grid.zeroPoints),
});

/** @throws WhittleError for decisions of other weights */
export function decodeCoded(
  { bits, codes, scales, zeroPoints }: LayerDecision,
  elements: number,
  outputs: number,
): Coded {
  const grid = { bits, scales: floatsFromBase64(scales), zeroPoints: fromBase64(zeroPoints) };
  const coded = { codes: fromBase64(codes), grid };
  if (coded.codes.length !== elements || grid.scales.length !== outputs)
    throw new WhittleError('the decisions were taken for other weights');
  return coded;
}
