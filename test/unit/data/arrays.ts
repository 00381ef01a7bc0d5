/** Writes arrays as NumPy does, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { zipSync } from 'fflate';

const WRITERS: Readonly<
  Record<string, (view: DataView, at: number, value: number, little: boolean) => void>
> = {
  b1: (view, at, value) => view.setUint8(at, value),
  u1: (view, at, value) => view.setUint8(at, value),
  i1: (view, at, value) => view.setInt8(at, value),
  u2: (view, at, value, little) => view.setUint16(at, value, little),
  i2: (view, at, value, little) => view.setInt16(at, value, little),
  u4: (view, at, value, little) => view.setUint32(at, value, little),
  i4: (view, at, value, little) => view.setInt32(at, value, little),
  u8: (view, at, value, little) => view.setBigUint64(at, BigInt(value), little),
  i8: (view, at, value, little) => view.setBigInt64(at, BigInt(value), little),
  f4: (view, at, value, little) => view.setFloat32(at, value, little),
  f8: (view, at, value, little) => view.setFloat64(at, value, little),
};

interface NpyOptions {
  readonly version?: 1 | 2 | 3;
  readonly fortran?: boolean;
}

/** @param descr byte order and type: `<f4`, `>i8`, `|u1` */
export function npy(
  descr: string,
  dims: readonly number[],
  values: readonly number[],
  { version = 1, fortran = false }: NpyOptions = {},
): Uint8Array {
  const width = values.length > 0 ? Number(descr[2]) : 0;
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }\n`;
  const lengthBytes = version === 1 ? 2 : 4;
  const start = 8 + lengthBytes + text.length;
  const bytes = new Uint8Array(start + values.length * width);
  const view = new DataView(bytes.buffer);
  bytes.set([0x93, ...Buffer.from('NUMPY'), version, 0]);
  if (version === 1) view.setUint16(8, text.length, true);
  else view.setUint32(8, text.length, true);
  bytes.set(Buffer.from(text), 8 + lengthBytes);
  const write = WRITERS[descr.slice(1)]!;
  values.forEach((value, i) => write(view, start + i * width, value, descr.startsWith('<')));
  return bytes;
}

/** @param stored as numpy.savez writes it; otherwise compressed */
export function npz(arrays: Readonly<Record<string, Uint8Array>>, stored = false): Uint8Array {
  const members = Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes]);
  return zipSync(Object.fromEntries(members) as Record<string, Uint8Array>, {
    level: stored ? 0 : 6,
  });
}

/** A folder for the files of a test file, removed after it. */
export function testFolder(): {
  path: string;
  write: (name: string, bytes: Uint8Array | string) => string;
} {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'whittle-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    path: folder,
    write(name, bytes) {
      const file = path.join(folder, name);
      writeFileSync(file, bytes);
      return file;
    },
  };
}

export const range = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + i);
