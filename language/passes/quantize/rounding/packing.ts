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
      const code = row < rows ? codes[row * columns + column]! : zeroCode(rounded, column);
      out[column * rowBytes + at]! |= code << shift;
    }
  }
  return out;
}

function zeroCode({ rows, columns, zeroPoints, format }: Rounded, column: number): number {
  const last = Math.floor((rows - 1) / format.block);
  return Math.round(zeroPoints[last * columns + column]!);
}

export function packScales(rounded: Rounded, type: 'float32' | 'float16'): Uint8Array {
  return packFloats(byKernelBlock(rounded, rounded.scales), type);
}

/** Zero points that are codes, packed like these; each column begins a byte. */
export function packZeroPoints(rounded: Rounded): Uint8Array {
  const { columns, format } = rounded;
  const codes = byKernelBlock(rounded, rounded.zeroPoints);
  const blocks = codes.length / columns;
  const perByte = 8 / format.bits;
  const rowBytes = Math.ceil(blocks / perByte);
  const out = new Uint8Array(columns * rowBytes);
  codes.forEach((code, at) => {
    const block = at % blocks;
    const byte = Math.floor(at / blocks) * rowBytes + Math.floor(block / perByte);
    out[byte]! |= code << (format.bits * (block % perByte));
  });
  return out;
}

/** Zero points between the codes. */
export function packRealZeroPoints(rounded: Rounded, type: 'float32' | 'float16'): Uint8Array {
  return packFloats(byKernelBlock(rounded, rounded.zeroPoints), type);
}

/** Numbers per block and column, as columns of kernel blocks. */
function byKernelBlock(
  { rows, columns, format }: Rounded,
  numbers: Uint8Array | Float32Array,
): Float32Array {
  const size = kernelBlock(format.block);
  const blocks = Math.ceil(rows / size);
  const out = new Float32Array(columns * blocks);
  for (let column = 0; column < columns; column++)
    for (let block = 0; block < blocks; block++)
      out[column * blocks + block] =
        numbers[Math.floor((block * size) / format.block) * columns + column]!;
  return out;
}
