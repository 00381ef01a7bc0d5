/**
 * Pixels of png, jpg and webp files. The kind is told by the first bytes, not by the name. JPEG and WebP are decoded by the
 * libraries that everybody else uses (mozjpeg, libwebp), compiled to WebAssembly, so that pixels agree with other tools.
 */
import createJpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js';
import createWebp from '@jsquash/webp/codec/dec/webp_dec.js';
import { convertIndexedToRgb, decode as decodePng } from 'fast-png';
import { describeError, WhittleError } from '../../errors';
import { JPEG_WASM, WEBP_WASM } from './codecs.generated';

export interface Image {
  readonly width: number;
  readonly height: number;
  /** Interleaved, 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). */
  readonly channels: number;
  readonly pixels: Uint8Array;
}

/** Beyond this a small file unpacks to gigabytes. */
const MAX_PIXELS = 2 ** 27;

/** @throws WhittleError naming the file */
export function decodeImage(bytes: Uint8Array, file: string): Image {
  return decoded(bytes, file, (kind) => {
    if (kind === 'png') return eightBits(decodePng(bytes, { checkCrc: true }), true);
    const rgba = codec(kind).decode(bytes, ...(kind === 'jpg' ? [TURNED] : []));
    if (!rgba) throw new Error('its data cannot be decoded');
    const { width, height, data } = rgba;
    return { width, height, channels: 4, pixels: new Uint8Array(data) };
  });
}

/** A PNG whose pixels are numbers rather than colours: indices of its palette, or grey levels as they are stored. */
export function decodeLabelMap(bytes: Uint8Array, file: string): Image {
  const image = decoded(bytes, file, (kind) => {
    if (kind === 'png') return eightBits(decodePng(bytes, { checkCrc: true }), false);
    throw new WhittleError('label maps have to be PNG: others change the numbers', { where: file });
  });
  if (image.channels === 1) return image;
  throw new WhittleError(`a label map has one channel, not ${image.channels}`, { where: file });
}

type Kind = 'png' | 'jpg' | 'webp';

function decoded(bytes: Uint8Array, file: string, decode: (kind: Kind) => Image): Image {
  const kind = kindOf(bytes);
  if (!kind)
    throw new WhittleError(
      bytes.length === 0 ? 'the image is empty' : 'not a png, jpg or webp image',
      {
        where: file,
      },
    );
  try {
    refuseHuge(kind, bytes);
    const image = decode(kind);
    if (image.width * image.height > 0) return image;
  } catch (cause) {
    if (cause instanceof WhittleError)
      throw new WhittleError(cause.message, { where: file, cause });
    throw new WhittleError(`the ${kind} image is damaged: ${describeError(cause)}`, {
      where: file,
      cause,
    });
  }
  throw new WhittleError(`the ${kind} image is damaged`, { where: file });
}

function kindOf(bytes: Uint8Array): Kind | undefined {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (start.startsWith('\x89PNG')) return 'png';
  if (start.startsWith('\xff\xd8\xff')) return 'jpg';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : undefined;
}

/** PNG says its size at once; JPEG (65 535 a side) and WebP (16 383) are bounded, and their decoders by their own memory. */
function refuseHuge(kind: Kind, bytes: Uint8Array): void {
  if (kind !== 'png' || bytes.length < 24) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (width * height > MAX_PIXELS)
    throw new WhittleError(`an image of ${width} × ${height} is too large`);
}

/** @param colours whether palette indices become colours and few bits are spread over 0 … 255 */
function eightBits(png: ReturnType<typeof decodePng>, colours: boolean): Image {
  const { width, height, depth, channels } = png;
  if (png.palette) {
    if (!colours)
      return { width, height, channels: 1, pixels: unpacked(png.data, width, height, depth) };
    return {
      width,
      height,
      channels: png.palette[0]!.length,
      pixels: new Uint8Array(convertIndexedToRgb(png)),
    };
  }
  const { data } = png;
  if (depth === 16 && !colours && data.some((value) => value > 255))
    throw new WhittleError('labels above 255 cannot be used');
  if (depth === 16) {
    const scale = colours ? 1 / 257 : 1;
    return { width, height, channels, pixels: Uint8Array.from(data, (v) => Math.round(v * scale)) };
  }
  if (depth === 8) return { width, height, channels, pixels: new Uint8Array(data) };
  const factor = colours ? 255 / (2 ** depth - 1) : 1;
  const codes = unpacked(data, width, height, depth);
  return { width, height, channels, pixels: codes.map((code) => code * factor) };
}

/** Codes of less than eight bits: rows start at whole bytes, highest bits first. */
function unpacked(
  data: ArrayLike<number>,
  width: number,
  height: number,
  depth: number,
): Uint8Array {
  if (depth === 8 || data.length === width * height) return Uint8Array.from(data);
  const rowBytes = Math.ceil((width * depth) / 8);
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)]!;
      out[y * width + x] = (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    }
  return out;
}

/** Whether JPEG is turned as the camera was held: no, as in other tools. */
const TURNED = false;

/** A decoder as Emscripten compiles it. */
interface Codec {
  decode(
    bytes: Uint8Array,
    ...options: readonly unknown[]
  ): { width: number; height: number; data: Uint8ClampedArray } | null;
}

/** What is used of WebAssembly, which the types of Node leave out. */
interface WasmInstance {
  readonly exports: object;
}
const { WebAssembly: wasmRuntime } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (code: Uint8Array) => object;
    readonly Instance: new (module: object, imports: object) => WasmInstance;
  };
};

type Factory = (module: object) => Promise<unknown>;

const CODECS: Readonly<Record<'jpg' | 'webp', { create: Factory; wasm: string }>> = {
  jpg: { create: createJpeg, wasm: JPEG_WASM },
  webp: { create: createWebp, wasm: WEBP_WASM },
};

const opened = new Map<string, Codec>();

/** With the code at hand everything is in place when the factory returns: its promise need not be awaited. */
function codec(kind: 'jpg' | 'webp'): Codec {
  const known = opened.get(kind);
  if (known) return known;
  const { create, wasm } = CODECS[kind];
  const code = Buffer.from(wasm, 'base64');
  const module = {
    noInitialRun: true,
    print: () => undefined,
    printErr: () => undefined,
    instantiateWasm(imports: object, done: (instance: WasmInstance) => void) {
      const instance = new wasmRuntime.Instance(new wasmRuntime.Module(code), imports);
      done(instance);
      return instance.exports;
    },
  };
  void create(module);
  const decoder = module as unknown as Codec;
  opened.set(kind, decoder);
  return decoder;
}
