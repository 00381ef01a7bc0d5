/** Points that a heat map stands for. */

export interface Peak {
  /** Column and row of its pixel. */
  readonly x: number;
  readonly y: number;
  readonly score: number;
}

/** A map of scores inside a larger array. */
export interface ScoreMap {
  readonly values: ArrayLike<number>;
  readonly start: number;
  readonly height: number;
  readonly width: number;
}

/** Pixels above the threshold that no pixel of the window around them exceeds. @param window odd */
export function peaksOf(map: ScoreMap, window: number, threshold: number): Peak[] {
  const { values, start, height, width } = map;
  const reach = (window - 1) / 2;
  const peaks: Peak[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const score = values[start + y * width + x]!;
      if (score > threshold && isHighest(map, x, y, reach)) peaks.push({ x, y, score });
    }
  return peaks;
}

function isHighest(
  { values, start, height, width }: ScoreMap,
  x: number,
  y: number,
  reach: number,
): boolean {
  const score = values[start + y * width + x]!;
  for (let row = Math.max(0, y - reach); row <= Math.min(height - 1, y + reach); row++)
    for (let column = Math.max(0, x - reach); column <= Math.min(width - 1, x + reach); column++)
      if (values[start + row * width + column]! > score) return false;
  return true;
}

/** The highest pixel, the first of equals; undefined where none is a number. */
export function highestOf({ values, start, height, width }: ScoreMap): Peak | undefined {
  let best: number | undefined;
  for (let i = 0; i < height * width; i++)
    if (values[start + i]! > (best === undefined ? -Infinity : values[start + best]!)) best = i;
  if (best === undefined) return undefined;
  return { x: best % width, y: Math.floor(best / width), score: values[start + best]! };
}
