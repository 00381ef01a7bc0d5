/**
 * Arrays in NumPy's .npy format, versions 1 to 3 (NEP 1 and numpy.lib.format): a header that is a Python dictionary, then the
 * elements. Rows, one per sample, are decoded when asked for.
 */
import { WhittleError } from '../errors';
import type { ElementType } from '../onnx/schema';
import { elementBits } from '../onnx/schema';
import { FileSource, type ByteSource } from '../onnx/source';
import { elementCount, tensorNumbers } from '../onnx/tensor';
import { arrayFile, type ArrayFile, type StoredArray } from './arrays';

const TYPES: ReadonlyMap<string, ElementType> = new Map([
  ['b1', 'bool'],
  ['i1', 'int8'],
  ['u1', 'uint8'],
  ['i2', 'int16'],
  ['u2', 'uint16'],
  ['i4', 'int32'],
  ['u4', 'uint32'],
  ['i8', 'int64'],
  ['u8', 'uint64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
]);

/** @throws WhittleError naming file and array for what is not an array of numbers in C order, one row per sample */
export function openNpy(source: ByteSource, name: string, file: string): StoredArray {
  const where = `array ${name} in ${file}`;
  const { descr, fortran, dims, dataStart } = readNpyHeader(source, where);
  const elementType = TYPES.get(descr.slice(1));
  if (!elementType)
    throw new WhittleError(`element type '${descr}' cannot be used`, {
      where,
      hint: 'Convert the array to integers or floats',
    });
  const [samples, ...rowDims] = dims;
  if (samples === undefined) throw new WhittleError('a single number has no samples', { where });
  if (fortran && dims.length > 1)
    throw new WhittleError('the elements are in Fortran order', {
      where,
      hint: 'Store it with numpy.ascontiguousarray',
    });
  const width = elementBits(elementType) / 8;
  const rowBytes = elementCount(rowDims) * width;
  const expected = dataStart + samples * rowBytes;
  if (source.size !== expected)
    throw new WhittleError(`the header promises ${expected} bytes and there are ${source.size}`, {
      where,
      hint: 'The file is damaged or incomplete',
    });
  const swapped = descr.startsWith('>') && width > 1;
  return {
    name,
    file,
    elementType,
    dims,
    row: (sample) => {
      const start = dataStart + sample * rowBytes;
      const stored = source.read(start, start + rowBytes);
      const bytes = swapped ? swapBytes(stored, width) : stored;
      return tensorNumbers({ name, elementType, dims: rowDims, data: { kind: 'memory', bytes } });
    },
  };
}

/** .npy files by the names of their arrays. @param at makes a path of a description one of this machine */
export function openNpyFiles(
  files: Readonly<Record<string, string>>,
  at: (file: string) => string,
): ArrayFile {
  const names = Object.keys(files);
  const shown = Object.values(files).map(at).join(', ');
  return arrayFile(shown, names, (name) => {
    if (!Object.hasOwn(files, name)) return undefined;
    const file = at(files[name]!);
    return openNpy(new FileSource(file), name, file);
  });
}

interface Header {
  /** Byte order and type: `<f4`, `|u1`. */
  readonly descr: string;
  readonly fortran: boolean;
  readonly dims: readonly number[];
  readonly dataStart: number;
}

const MAGIC = '\x93NUMPY';
/** Far beyond any header of an array of numbers. */
const MAX_HEADER_BYTES = 2 ** 20;

/** @throws WhittleError for what is no .npy array of numbers */
export function readNpyHeader(source: ByteSource, where: string): Header {
  const start = Buffer.from(source.read(0, Math.min(12, source.size)));
  const version = start[6] ?? 0;
  if (start.toString('latin1', 0, 6) !== MAGIC || version < 1 || version > 3 || start.length < 12)
    throw new WhittleError('not an .npy array of version 1, 2 or 3', { where });
  const textStart = version === 1 ? 10 : 12;
  const dataStart = textStart + (version === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8));
  if (dataStart > Math.min(source.size, MAX_HEADER_BYTES)) throw unreadable(where);
  const text = Buffer.from(source.read(textStart, dataStart)).toString(
    version === 3 ? 'utf8' : 'latin1',
  );
  if (/'descr':\s*\[/.test(text))
    throw new WhittleError('an array of records cannot be used', {
      where,
      hint: 'Store each field as an array of its own',
    });
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || shape === undefined) throw unreadable(where);
  const dims = (shape.match(/\d+/g) ?? []).map(Number);
  return { descr, fortran: fortran === 'True', dims, dataStart };
}

const unreadable = (where: string): WhittleError =>
  new WhittleError('the header of the array cannot be read', { where });

/** What stands before the elements of an array in C order, in version 1 of the format. @param descr such as `<f8` */
export function npyHeader(descr: string, dims: readonly number[]): Uint8Array {
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  // Elements start at a multiple of 64 bytes, behind a line break.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = Buffer.alloc(length, ' ');
  header.write(`${MAGIC}\x01\x00`, 'latin1');
  header.writeUInt16LE(length - 10, 8);
  header.write(text, 10, 'latin1');
  header.write('\n', length - 1);
  return header;
}

function swapBytes(stored: Uint8Array, width: number): Uint8Array {
  const bytes = Buffer.from(stored);
  if (width === 2) return bytes.swap16();
  return width === 4 ? bytes.swap32() : bytes.swap64();
}
