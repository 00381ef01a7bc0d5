import type { Gain } from '../../language/protocol';
import { difference } from '../format';
import { text } from '../strings';

/** `−12 % if dropped here`, in latency or else in MACs. */
export function offerText(gain: Gain | null): string {
  const brief = gainText(gain);
  return gain && !gain.error ? text('drop.gain', { gain: brief }) : brief;
}

/** `−12 %`, `≈ −12 %`, `MACs −3 %`, or the error. */
export function gainText(gain: Gain | null): string {
  if (!gain) return '…';
  if (gain.error) return gain.error;
  const latency = difference(gain.latencyMs);
  if (latency !== null) return gain.latencyMs.estimated ? `≈\u2009${latency}` : latency;
  const macs = difference(gain.macs);
  return macs === null ? text('unknown') : text('drop.macs', { gain: macs });
}
