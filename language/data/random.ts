/** Random numbers that are the same on every machine and in every run, given the same key. */

/** A stream of uniform numbers in [0, 1). Streams of different keys are unrelated. */
export type Random = () => number;

/** Mulberry32 (T. Ettinger, public domain), seeded by the FNV-1a hash of the key. */
export function randomStream(key: string): Random {
  let state = fnv1a(key);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A standard normal number (Box and Muller, 1958). */
export const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

export const integerBelow = (random: Random, bound: number): number => Math.floor(random() * bound);

/** `wanted` of the numbers 0 … available − 1 without repeats, in ascending order; all of them where that is enough. */
export function sampleIndices(available: number, wanted: number, seed: number): Uint32Array {
  const indices = Uint32Array.from({ length: available }, (_, i) => i);
  if (wanted >= available) return indices;
  const random = randomStream(`samples ${seed}`);
  for (let i = 0; i < wanted; i++) {
    const j = i + integerBelow(random, available - i);
    const taken = indices[j]!;
    indices[j] = indices[i]!;
    indices[i] = taken;
  }
  return indices.slice(0, wanted).sort();
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
