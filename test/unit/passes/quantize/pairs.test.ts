import { describe, expect, it } from 'vitest';
import {
  convolutionRows,
  matrixRows,
  pairedCodes,
  type KernelRows,
} from '../../../../language/passes/pairs';

/** Codes in the order in which a kernel sums their products, row after row. */
function inKernelOrder(codes: Int8Array, rows: KernelRows): number[][] {
  return Array.from({ length: rows.rows }, (_, row) =>
    Array.from(
      { length: rows.depth },
      (_, k) =>
        codes[
          row * rows.rowStride +
            (k % rows.inner) * rows.innerStride +
            Math.floor(k / rows.inner) * rows.outerStride
        ]!,
    ),
  );
}

const noFloor = () => 0;

describe('pairedCodes', () => {
  const layouts = [
    { name: 'a matrix with outputs in columns', dims: [6, 2], rows: matrixRows([6, 2], 1) },
    { name: 'a matrix with outputs in rows', dims: [2, 6], rows: matrixRows([2, 6], 0) },
    {
      name: 'a convolution of three channels',
      dims: [2, 3, 1, 2],
      rows: convolutionRows([2, 3, 1, 2], 1),
    },
  ];

  it.each(layouts)('keeps neighbours of $name within 128', ({ dims, rows }) => {
    const count = dims.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: count }, (_, i) => (i % 3 === 2 ? -1 : 1) * (1 + i));
    for (const perRow of [true, false]) {
      const { scales, codes } = pairedCodes(values, rows, perRow, noFloor);
      expect(scales).toHaveLength(perRow ? 2 : 1);
      for (const row of inKernelOrder(codes, rows))
        for (let k = 0; k + 1 < row.length; k += 2)
          expect(Math.abs(row[k]! + row[k + 1]!)).toBeLessThanOrEqual(128);
    }
  });

  it('uses all codes where neighbours already fit', () => {
    const values = Float32Array.of(1, -1, 0.5, 0.5);
    const { scales, codes } = pairedCodes(values, matrixRows([4, 1], 1), true, noFloor);
    expect(scales[0]).toBeCloseTo(1 / 127);
    expect([...codes]).toEqual([127, -127, 64, 64]);
  });

  it('leaves depthwise convolutions alone, whose kernels do not saturate', () => {
    const values = Float32Array.of(1, 1, 1, 1);
    const rows = convolutionRows([2, 1, 1, 2], 2);
    expect([...pairedCodes(values, rows, true, noFloor).codes]).toEqual([127, 127, 127, 127]);
  });

  it('gives a row of zeros scale 1, and no scale below the smallest allowed', () => {
    const zeros = pairedCodes(new Float32Array(2), matrixRows([2, 1], 1), true, noFloor);
    expect([...zeros.scales]).toEqual([1]);
    const floored = pairedCodes(Float32Array.of(1, -1), matrixRows([2, 1], 1), true, () => 0.5);
    expect([...floored.codes]).toEqual([2, -2]);
  });
});
