/**
 * A folder of images as arrays: `image` (N × height × width × channels, bytes), `label` where sub-folders are classes or a CSV
 * file says so, and `mask` where there are label maps. Images are read when their sample is asked for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { didYouMean, WhittleError } from '../../errors';
import { arrayFile, type ArrayFile, type StoredArray } from '../arrays';
import type { ImagesSource } from '../kinds';
import { readTable } from './csv';
import { decodeImage, decodeLabelMap, type Image } from './decode';
import { centre, nearest, resized } from './resample';

export function openImages(source: ImagesSource, at: (file: string) => string): ArrayFile {
  const folder = at(source.images);
  const table = source.labels === undefined ? undefined : readTable(at(source.labels), 'file');
  const files = table ? table.column('file') : imageFiles(folder);
  if (files.length === 0)
    throw new WhittleError('there are no png, jpg or webp images', { where: folder });
  const fileAt = (sample: number) => path.join(folder, files[sample]!);
  const size = source.size ?? sizeOf(decodeFile(fileAt(0), decodeImage));
  const fit = fitting(source, size);
  const channels = source.channels ?? 3;
  const bytes = { file: folder, elementType: 'uint8', sampleName: fileAt } as const;
  const labels = classLabels(source, folder, files);
  const masks = source.masks === undefined ? undefined : at(source.masks);
  const names = [
    'image',
    ...(labels ? ['label'] : []),
    ...(masks ? ['mask'] : []),
    ...(table?.names ?? []),
  ];
  return arrayFile(folder, names, (name): StoredArray | undefined => {
    if (name === 'image')
      return {
        ...bytes,
        name,
        dims: [files.length, ...size, channels],
        row(sample) {
          const image = decodeFile(fileAt(sample), decodeImage);
          return withChannels(fit(image, resized, fileAt(sample)), channels).pixels;
        },
      };
    if (name === 'mask' && masks !== undefined) {
      const maskAt = (sample: number) =>
        path.join(masks, files[sample]!.replace(/\.[^.]*$/, '.png'));
      return {
        ...bytes,
        name,
        dims: [files.length, ...size],
        row: (sample) =>
          fit(decodeFile(maskAt(sample), decodeLabelMap), nearest, maskAt(sample)).pixels,
        sampleName: maskAt,
      };
    }
    if (name === 'label' && labels) return numbers(name, folder, labels, fileAt);
    return table?.names.includes(name)
      ? numbers(name, table.file, table.numbers(name), fileAt)
      : undefined;
  });
}

const numbers = (
  name: string,
  file: string,
  values: Float64Array,
  sampleName: (sample: number) => string,
): StoredArray => ({
  name,
  file,
  elementType: 'float64',
  dims: [values.length],
  row: (sample) => values.subarray(sample, sample + 1),
  sampleName,
});

const IMAGE = /\.(png|jpe?g|webp)$/i;

/** Relative to the folder, at any depth, in the order of their names. */
function imageFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => IMAGE.test(file) && !path.basename(file).startsWith('.'))
      .map((file) => file.replaceAll(path.sep, '/'))
      .sort((a, b) => (a < b ? -1 : 1));
  } catch (cause) {
    throw new WhittleError('the folder of images cannot be read', { where: folder, cause });
  }
}

function decodeFile(file: string, decode: (bytes: Uint8Array, file: string) => Image): Image {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new WhittleError('the image cannot be read', { where: file, cause });
  }
  return decode(bytes, file);
}

const sizeOf = ({ height, width }: Image): [number, number] => [height, width];

type Scale = (image: Image, height: number, width: number) => Image;

/** @returns what brings an image to the size */
function fitting(
  { fit = 'exact', resize }: ImagesSource,
  [height, width]: readonly [number, number],
): (image: Image, scale: Scale, file: string) => Image {
  if (fit === 'stretch') return (image, scale) => scale(image, height, width);
  if (fit === 'exact')
    return (image, _, file) => {
      if (image.height === height && image.width === width) return image;
      throw new WhittleError(
        `the image has ${image.height} × ${image.width} pixels and ${height} × ${width} are expected`,
        { where: file, hint: 'Say how images get their size: fit: stretch, or crop' },
      );
    };
  return (image, scale) => {
    // Large enough to cut from, whatever the proportions.
    const cover = Math.max(height / image.height, width / image.width);
    const wanted = resize === undefined ? cover : resize / Math.min(image.height, image.width);
    const factor = Math.max(cover, wanted);
    const large = scale(
      image,
      Math.max(height, Math.round(image.height * factor)),
      Math.max(width, Math.round(image.width * factor)),
    );
    return centre(large, height, width);
  };
}

/** Without alpha. Grey is ITU-R BT.601 luma. */
function withChannels(image: Image, channels: 1 | 3): Image {
  const { width, height, pixels } = image;
  const colours = image.channels < 3 ? 1 : 3;
  if (image.channels === channels) return image;
  const out = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const from = i * image.channels;
    if (colours === channels)
      for (let c = 0; c < channels; c++) out[i * channels + c] = pixels[from + c]!;
    else if (channels === 3) out.fill(pixels[from]!, 3 * i, 3 * i + 3);
    else
      out[i] = Math.round(
        0.299 * pixels[from]! + 0.587 * pixels[from + 1]! + 0.114 * pixels[from + 2]!,
      );
  }
  return { width, height, channels, pixels: out };
}

/** The class of each image: the place of its sub-folder among all, or among those that the description orders. */
function classLabels(
  { classes, labels }: ImagesSource,
  folder: string,
  files: readonly string[],
): Float64Array | undefined {
  const names = files.map((file) =>
    file.includes('/') ? file.slice(0, file.indexOf('/')) : undefined,
  );
  if (labels !== undefined || names.every((name) => name === undefined)) return undefined;
  const order = classes ?? [...new Set(names)].filter((name) => name !== undefined).sort();
  return Float64Array.from(names, (name, i) => {
    const place = name === undefined ? -1 : order.indexOf(name);
    if (place >= 0) return place;
    throw new WhittleError(
      name === undefined ? 'the image is in no class folder' : `${name} is none of the classes`,
      {
        where: path.join(folder, files[i]!),
        hint:
          name === undefined
            ? 'Move it into one, or name its class in a CSV file'
            : didYouMean(name, order),
      },
    );
  });
}
