/** Images of another size, and cut out of. */
import type { Image } from './decode';

/**
 * Weighted means of the pixels under a triangle as wide as the step between new pixels (two old pixels at least): bilinear
 * interpolation that does not alias when it shrinks.
 */
export function resized(image: Image, height: number, width: number): Image {
  if (image.height === height && image.width === width) return image;
  const { channels } = image;
  const across = triangles(image.width, width);
  const down = triangles(image.height, height);
  const rows = new Float32Array(image.height * width * channels);
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x]!;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++)
          sum += weights[k]! * image.pixels[(y * image.width + first + k) * channels + c]!;
        rows[(y * width + x) * channels + c] = sum;
      }
    }
  const pixels = new Uint8ClampedArray(height * width * channels);
  const rowSize = width * channels;
  for (let y = 0; y < height; y++) {
    const { first, weights } = down[y]!;
    for (let i = 0; i < rowSize; i++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++)
        sum += weights[k]! * rows[(first + k) * rowSize + i]!;
      pixels[y * rowSize + i] = sum; // rounded by the array
    }
  }
  return { width, height, channels, pixels: new Uint8Array(pixels.buffer) };
}

/** The pixel whose middle is nearest: for label maps, where means say nothing. */
export function nearest(image: Image, height: number, width: number): Image {
  const { channels } = image;
  const pixels = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * image.height) / height) * image.width;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.floor(((x + 0.5) * image.width) / width)) * channels;
      for (let c = 0; c < channels; c++)
        pixels[(y * width + x) * channels + c] = image.pixels[from + c]!;
    }
  }
  return { width, height, channels, pixels };
}

/** The middle of an image that is at least that large. */
export function centre(image: Image, height: number, width: number): Image {
  if (image.height === height && image.width === width) return image;
  const { channels } = image;
  const top = Math.round((image.height - height) / 2);
  const left = Math.round((image.width - width) / 2);
  const pixels = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * channels;
    pixels.set(image.pixels.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, pixels };
}

interface Weights {
  readonly first: number;
  readonly weights: readonly number[];
}

function triangles(from: number, to: number): Weights[] {
  const step = from / to;
  const reach = Math.max(1, step);
  return Array.from({ length: to }, (_, i) => {
    const middle = (i + 0.5) * step;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const end = Math.min(from, Math.floor(middle + reach + 0.5));
    const weights = Array.from({ length: end - first }, (__, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - middle) / reach)),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}
