/** Rounded weights as the operator MatMulNBits of ONNX Runtime holds them: N rows of blocks, lowest bits first. */
import { packFloats } from '../../../onnx/tensor';
import type { Rounded } from './blockwise';

/** Blocks that every version of the operator computes right. */
export const KERNEL_BLOCKS = [16, 32, 64, 128, 256] as const;

/** Scales of a whole column are repeated in blocks of this many rows. */
const BLOCK_OF_COLUMNS = 128;

/** The block that is written: that of the format, or of the kernel where one scale serves the whole column. */
export const kernelBlock = (block: number): number =>
  KERNEL_BLOCKS.some((known) => known === block) ? block : BLOCK_OF_COLUMNS;

export interface PackedShape {
  readonly blocks: number;
  /** N × blocks × bytes of a block. */
  readonly codes: readonly number[];
  /** N × blocks. */
  readonly scales: readonly number[];
  /** N × bytes. */
  readonly zeroPoints: readonly number[];
}

export function packedShape(rows: number, columns: number, bits: number, block: number) {
  const size = kernelBlock(block);
  const blocks = Math.ceil(rows / size);
  return {
    blocks,
    codes: [columns, blocks, (size * bits) / 8],
    scales: [columns, blocks],
    zeroPoints: [columns, Math.ceil((blocks * bits) / 8)],
  } satisfies PackedShape;
}

/** Rows beyond the last one hold the code of zero. */
export function packCodes(rounded: Rounded): Uint8Array {
  const { rows, columns, codes, format } = rounded;
  const size = kernelBlock(format.block);
  const rowBytes = (Math.ceil(rows / size) * size * format.bits) / 8;
  const out = new Uint8Array(columns * rowBytes);
  const perByte = 8 / format.bits;
  for (let row = 0; row < rowBytes * perByte; row++) {
    const at = Math.floor(row / perByte);
    const shift = format.bits * (row % perByte);
    for (let column = 0; column < columns; column++) {
      const code = row < rows ? codes[row * columns + column]! : zeroPointAt(rounded, row, column);
      out[column * rowBytes + at]! |= code << shift;
    }
  }
  return out;
}

function zeroPointAt({ rows, columns, zeroPoints, format }: Rounded, row: number, column: number) {
  const block = Math.floor(Math.min(row, rows - 1) / format.block);
  return zeroPoints[block * columns + column]!;
}

export function packScales(rounded: Rounded, type: 'float32' | 'float16'): Uint8Array {
  const { columns, scales } = rounded;
  const blocks = kernelBlocks(rounded);
  const out = new Float32Array(columns * blocks.length);
  for (let column = 0; column < columns; column++)
    blocks.forEach((block, i) => {
      out[column * blocks.length + i] = scales[block * columns + column]!;
    });
  return packFloats(out, type);
}

export function packZeroPoints(rounded: Rounded): Uint8Array {
  const { columns, zeroPoints, format } = rounded;
  const blocks = kernelBlocks(rounded);
  const perByte = 8 / format.bits;
  const rowBytes = Math.ceil(blocks.length / perByte);
  const out = new Uint8Array(columns * rowBytes);
  for (let column = 0; column < columns; column++)
    blocks.forEach((block, i) => {
      const code = zeroPoints[block * columns + column]!;
      out[column * rowBytes + Math.floor(i / perByte)]! |= code << (format.bits * (i % perByte));
    });
  return out;
}

/** The block of the format that each block of the kernel lies in. */
function kernelBlocks({ rows, format }: Rounded): number[] {
  const size = kernelBlock(format.block);
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) =>
    Math.floor((i * size) / format.block),
  );
}
