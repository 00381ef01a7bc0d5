import { describe, expect, it } from 'vitest';
import { openNpz } from '../../../language/data/npz';
import { npy, npz, range, testFolder } from './arrays';

const folder = testFolder();

describe('element types', () => {
  const cases: [string, string, number[]][] = [
    ['|u1', 'uint8', [0, 1, 128, 255]],
    ['|i1', 'int8', [-128, -1, 0, 127]],
    ['|b1', 'bool', [0, 1, 1, 0]],
    ['<u2', 'uint16', [0, 1, 256, 65535]],
    ['>u2', 'uint16', [0, 1, 256, 65535]],
    ['<i2', 'int16', [-32768, -2, 0, 32767]],
    ['>i2', 'int16', [-32768, -2, 0, 32767]],
    ['<i4', 'int32', [-(2 ** 31), -3, 0, 2 ** 31 - 1]],
    ['>i4', 'int32', [-(2 ** 31), -3, 0, 2 ** 31 - 1]],
    ['<u4', 'uint32', [0, 1, 65536, 2 ** 32 - 1]],
    ['<i8', 'int64', [-(2 ** 53), -1, 0, 2 ** 53]],
    ['>i8', 'int64', [-(2 ** 53), -1, 0, 2 ** 53]],
    ['<u8', 'uint64', [0, 1, 2 ** 32, 2 ** 53]],
    ['<f4', 'float32', [-1.5, 0, 0.25, 3e38].map(Math.fround)],
    ['>f4', 'float32', [-1.5, 0, 0.25, 3e38].map(Math.fround)],
    ['<f8', 'float64', [-Math.PI, 0, 1e-300, 1e300]],
    ['>f8', 'float64', [-Math.PI, 0, 1e-300, 1e300]],
  ];
  for (const [descr, elementType, values] of cases)
    for (const stored of [true, false])
      it(`reads ${descr} ${stored ? 'stored' : 'compressed'}`, () => {
        const bytes = npz({ a: npy('|u1', [1], [7]), x: npy(descr, [2, 2], values) }, stored);
        const array = openNpz(folder.write('types.npz', bytes)).array('x');
        expect(array.elementType).toBe(elementType);
        expect(array.dims).toEqual([2, 2]);
        expect([...array.row(0), ...array.row(1)]).toEqual(values);
      });

  it('reads 16-bit floats as the numbers that they stand for', () => {
    const halves = npy('<u2', [2, 2], [0x3c00, 0xc000, 0x0001, 0x7bff]); // 1, −2, 2^-24, 65504
    const text = Buffer.from(halves).toString('latin1').replace('<u2', '<f2');
    const file = folder.write('half.npz', npz({ x: Buffer.from(text, 'latin1') }));
    const array = openNpz(file).array('x');
    expect([...array.row(0), ...array.row(1)]).toEqual([1, -2, 2 ** -24, 65504]);
  });
});

describe('forms of the file', () => {
  for (const version of [1, 2, 3] as const)
    it(`reads headers of version ${version}`, () => {
      const bytes = npz({ x: npy('<i4', [3, 1, 2], range(6), { version }) });
      const array = openNpz(folder.write('version.npz', bytes)).array('x');
      expect(array.dims).toEqual([3, 1, 2]);
      expect([...array.row(2)]).toEqual([4, 5]);
    });

  it('reads one number per sample', () => {
    const file = folder.write('flat.npz', npz({ y: npy('<i8', [3], [5, 6, 7]) }));
    const array = openNpz(file).array('y');
    expect([...array.row(1)]).toEqual([6]);
  });

  it('reads ZIP64 archives', () => {
    const file = folder.write('wide.npz', toZip64(npz({ x: npy('<i4', [2, 2], range(4)) }, true)));
    expect([...openNpz(file).array('x').row(1)]).toEqual([2, 3]);
  });
});

describe('what cannot be read', () => {
  const fine = npy('|u1', [2, 2], range(4));
  const damaged = (change: (bytes: Uint8Array) => void, stored = false) => {
    const bytes = npz({ x: npy('<i4', [64, 4], range(256)) }, stored);
    change(bytes);
    return bytes;
  };
  const cases: [string, Uint8Array, RegExp][] = [
    ['a missing array', npz({ images: fine }), /no array x .*It holds images/],
    ['a mistyped name', npz({ x_: fine }), /no array x .*Did you mean x_\?/],
    [
      'Fortran order',
      npz({ x: npy('|u1', [2, 2], range(4), { fortran: true }) }),
      /Fortran order \(array x in/,
    ],
    ['texts', npz({ x: npy('<U4', [1], []) }), /'<U4' cannot be used \(array x/],
    ['complex numbers', npz({ x: npy('<c8', [1], []) }), /'<c8' cannot be used/],
    ['names of built-in properties', npz({ x: npy('|constructor', [1], []) }), /cannot be used/],
    ['a single number', npz({ x: npy('|u1', [], [7]) }), /single number has no samples/],
    [
      'too few elements',
      npz({ x: npy('<f4', [3, 3], range(8)) }),
      /promises \d+ bytes and there are/,
    ],
    [
      'too many elements',
      npz({ x: npy('<f4', [3, 3], range(10)) }),
      /promises \d+ bytes and there are/,
    ],
    ['an array that is none', npz({ x: Buffer.from('not an array') }), /not an .npy array/],
    ['a header that never ends', npz({ x: fine.slice(0, 20) }), /header of the array/],
    ['text renamed', Buffer.from('a,b\n1,2\n'.repeat(50)), /not an .npz file/],
    ['an empty file', new Uint8Array(0), /not an .npz file/],
    ['half a file', damaged(() => undefined).slice(0, 120), /not an .npz file/],
    ['flipped bits', damaged((bytes) => (bytes[80]! ^= 0xff)), /damaged \(x.npy in/],
    ['a wrong checksum', damaged((bytes) => (bytes[centralStart(bytes) + 16]! ^= 1)), /damaged/],
    [
      'a compressed size beyond the file',
      damaged((bytes) => (bytes[centralStart(bytes) + 22] = 99), true),
      /damaged/,
    ],
    [
      'an unknown compression',
      damaged((bytes) => (bytes[centralStart(bytes) + 10] = 93)),
      /method 93/,
    ],
    ['encryption', damaged((bytes) => (bytes[centralStart(bytes) + 8]! |= 1)), /encrypted/],
    ['a directory elsewhere', damaged((bytes) => (bytes[bytes.length - 4] = 0x7f)), /damaged/],
  ];
  for (const [what, bytes, message] of cases)
    it(what, () => {
      const file = folder.write('bad.npz', bytes);
      expect(() => openNpz(file).array('x').row(0)).toThrow(message);
      expect(() => openNpz(file).array('x').row(0)).toThrow(file);
    });

  it('a file that is not there', () => {
    expect(() => openNpz('/nowhere/x.npz')).toThrow('/nowhere/x.npz');
  });
});

function centralStart(zip: Uint8Array): number {
  return Buffer.from(zip).readUInt32LE(zip.length - 6);
}

/** Moves sizes, offset and the end record of an archive with one member into their 64-bit forms. */
function toZip64(zip: Uint8Array): Uint8Array {
  const bytes = Buffer.from(zip);
  const start = centralStart(zip);
  const record = bytes.subarray(start, bytes.length - 22);
  const nameLength = record.readUInt16LE(28);
  const extra = Buffer.alloc(4 + 24);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(24, 2);
  extra.writeBigUInt64LE(BigInt(record.readUInt32LE(24)), 4);
  extra.writeBigUInt64LE(BigInt(record.readUInt32LE(20)), 12);
  extra.writeBigUInt64LE(BigInt(record.readUInt32LE(42)), 20);
  const header = Buffer.from(record.subarray(0, 46 + nameLength));
  for (const at of [20, 24, 42]) header.writeUInt32LE(0xffffffff, at);
  header.writeUInt16LE(extra.length, 30);
  const directory = Buffer.concat([header, extra]);
  const end = Buffer.alloc(56);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeBigUInt64LE(1n, 24);
  end.writeBigUInt64LE(1n, 32);
  end.writeBigUInt64LE(BigInt(directory.length), 40);
  end.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + directory.length), 8);
  locator.writeUInt32LE(1, 16);
  const oldEnd = Buffer.alloc(22, 0xff);
  oldEnd.writeUInt32LE(0x06054b50, 0);
  oldEnd.writeUInt16LE(0, 20);
  return Buffer.concat([bytes.subarray(0, start), directory, end, locator, oldEnd]);
}
