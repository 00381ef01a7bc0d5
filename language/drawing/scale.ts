/** Logarithmic axes, and where lines and labels of a roofline lie on them. */
import type { Roofline, RooflineLayer } from '../protocol';

export interface Axis {
  readonly min: number;
  readonly max: number;
  /** From a value to pixels. */
  readonly at: (value: number) => number;
  /** Powers of ten, or 1, 2, 5 of each where few of them are in view. */
  readonly ticks: readonly number[];
}

/** From `from` to `to` pixels. @param values at least one, above zero */
export function logAxis(values: readonly number[], from: number, to: number): Axis {
  const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  const room = Math.max(0.12, (high - low) * 0.05);
  const [start, end] = [low - room, high + room];
  return {
    min: 10 ** start,
    max: 10 ** end,
    at: (value) => from + ((Math.log10(value) - start) / (end - start)) * (to - from),
    ticks: ticksBetween(start, end),
  };
}

function ticksBetween(start: number, end: number): number[] {
  const steps = end - start < 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(start); power <= end; power++)
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (Math.log10(tick) >= start && Math.log10(tick) <= end) ticks.push(tick);
    }
  return ticks;
}

/** What both axes have to hold: every layer, and where the slopes meet the highest roof. */
export function extent(
  { compute, memory }: Pick<Roofline, 'compute' | 'memory'>,
  layers: readonly Pick<RooflineLayer, 'at' | 'before'>[],
): { readonly intensities: number[]; readonly rates: number[] } {
  const places = layers.flatMap(({ at, before }) => (before ? [at, before] : [at]));
  const top = compute[0]?.gmacPerS;
  return {
    intensities: [
      ...places.map(({ macsPerByte }) => macsPerByte),
      ...(top === undefined ? [] : memory.map(({ gbPerS }) => top / gbPerS)),
    ],
    rates: [...places.map(({ gmacPerS }) => gmacPerS), ...compute.map(({ gmacPerS }) => gmacPerS)],
  };
}

/** Moves positions apart until neighbours are `gap` from each other, within 0 and `most`; their order stays. */
export function spread(wanted: readonly number[], gap: number, most: number): number[] {
  const placed: number[] = [];
  for (const position of wanted) placed.push(Math.max(position, (placed.at(-1) ?? -gap) + gap));
  let limit = most;
  for (let i = placed.length - 1; i >= 0; i--) {
    placed[i] = Math.min(placed[i]!, limit);
    limit = placed[i]! - gap;
  }
  return placed;
}

/** Where a slope's name stands: along the line from its foot in pixels, above it (−1) or below (1). */
export interface SlopeName {
  readonly along: number;
  readonly side: -1 | 1;
}

interface SlopeLine {
  /** Distance across from any line parallel to all of them, growing downwards. */
  readonly across: number;
  /** Ends along the line, from the same zero for all. */
  readonly foot: number;
  readonly head: number;
  /** Of the name, in pixels. */
  readonly width: number;
}

const NAME_HEIGHT = 14;
const STOPS = [0.5, 0.3, 0.7, 0.12, 0.88];

/** Names on parallel slopes, beside each other rather than on one another or on another slope, as far as there is room. */
export function slopeNames(slopes: readonly SlopeLine[]): SlopeName[] {
  const taken: { from: number; to: number; top: number; bottom: number }[] = [];
  return slopes.map((slope) => {
    const { across, foot, head, width } = slope;
    const tries = ([-1, 1] as const).flatMap((side) =>
      STOPS.map((stop) => {
        const along = foot + width / 2 + stop * Math.max(0, head - foot - width);
        const top = side < 0 ? across - NAME_HEIGHT - 2 : across + 2;
        return { side, along, from: along - width / 2, to: along + width / 2, top };
      }),
    );
    const isFree = ({ from, to, top }: (typeof tries)[number]) => {
      const bottom = top + NAME_HEIGHT;
      return (
        taken.every(
          (box) => to < box.from || from > box.to || bottom < box.top || top > box.bottom,
        ) && slopes.every((other) => other === slope || other.across < top || other.across > bottom)
      );
    };
    const { side, along, from, to, top } = tries.find(isFree) ?? tries[0]!;
    taken.push({ from, to, top, bottom: top + NAME_HEIGHT });
    return { along: along - foot, side };
  });
}
