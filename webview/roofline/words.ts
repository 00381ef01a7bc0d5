/** Layers of a roofline in words. */
import type { RooflineLayer, RooflinePlace } from '../../language/protocol';
import { percent, plain, quantity } from '../format';
import { text } from '../strings';

/** `34.2 GMAC/s`. */
export const rate = (gmacPerS: number): string => `${quantity(gmacPerS * 1e9, 'macs')}/s`;

/** `12.3 MAC/B`. */
export const intensity = (macsPerByte: number): string => `${plain(macsPerByte)}\u00a0MAC/B`;

/** `2.5 GB/s`. */
export const bandwidth = (gbPerS: number): string => `${plain(gbPerS)}\u00a0GB/s`;

export const placeWords = ({ macsPerByte, gmacPerS }: RooflinePlace): string =>
  `${intensity(macsPerByte)} · ${rate(gmacPerS)}`;

export function timeWords({ latencyMs, share, bound }: RooflineLayer): string {
  return [quantity(latencyMs, 'time'), percent(share), text('why.bound', { bound })].join(' · ');
}

/** A layer in one sentence, for people who listen. */
export function layerWords(layer: RooflineLayer): string {
  const { node, op, at, before } = layer;
  const was = before ? text('roofline.before', { place: placeWords(before) }) : '';
  return [node, op, placeWords(at), timeWords(layer), was].filter(Boolean).join(', ');
}
