/**
 * Reads ZIP archives as NumPy writes them: members stored or deflated, ZIP64 where they are large (PKWARE APPNOTE 6.3.10).
 * A stored member is read range by range; a deflated one is decompressed once, in memory.
 */
import { gunzipSync } from 'node:zlib';
import { WhittleError } from '../errors';
import { MemorySource, type ByteSource } from '../onnx/source';

export interface Member {
  readonly name: string;
  readonly size: number;
  readonly compressedSize: number;
  readonly method: number;
  readonly crc: number;
  readonly headerStart: number;
}

const STORED = 0;
const DEFLATED = 8;
/** More than this is refused when compressed: stored members have no limit, because they are never held whole. */
const MAX_INFLATED_BYTES = 2 ** 31;

/** The members of an archive by name. @throws WhittleError when the file is no ZIP archive or is damaged */
export function readDirectory(source: ByteSource, file: string): ReadonlyMap<string, Member> {
  const end = findEnd(source, file);
  const bytes = source.read(end.start, end.start + end.size).slice();
  const view = viewOf(bytes);
  const members = new Map<string, Member>();
  let at = 0;
  for (let i = 0; i < end.count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50) throw damaged(file);
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    if (extraEnd > bytes.length) throw damaged(file);
    const name = Buffer.from(bytes.subarray(at + 46, nameEnd)).toString('utf8');
    if (view.getUint16(at + 8, true) & 1)
      throw new WhittleError(`${name} is encrypted`, { where: file });
    const wide = wideFields(viewOf(bytes.subarray(nameEnd, extraEnd)));
    const field = (offset: number) => {
      const value = view.getUint32(at + offset, true);
      return value === 0xffffffff ? (wide.shift() ?? value) : value;
    };
    const size = field(24);
    const compressedSize = field(20);
    const headerStart = field(42);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    members.set(name, { name, size, compressedSize, method, crc, headerStart });
    at = extraEnd + view.getUint16(at + 32, true);
  }
  return members;
}

/** The contents of a member. @throws WhittleError naming file and member when they cannot be had */
export function openMember(source: ByteSource, member: Member, file: string): ByteSource {
  const where = `${member.name} in ${file}`;
  const header = viewOf(source.read(member.headerStart, member.headerStart + 30));
  if (header.getUint32(0, true) !== 0x04034b50) throw damaged(where);
  const start = member.headerStart + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const end = start + member.compressedSize;
  if (end > source.size) throw damaged(where);
  if (member.method === STORED)
    return { size: member.size, read: (from, to) => source.read(start + from, start + to) };
  if (member.method !== DEFLATED)
    throw new WhittleError(`compression method ${member.method} is not supported`, {
      where,
      hint: 'Write the file with numpy.savez or numpy.savez_compressed',
    });
  return new MemorySource(inflate(source.read(start, end), member, where));
}

function inflate(compressed: Uint8Array, member: Member, where: string): Uint8Array {
  if (member.size > MAX_INFLATED_BYTES)
    throw new WhittleError(`${member.size} bytes are too many to decompress at once`, {
      where,
      hint: 'Write the file without compression (numpy.savez)',
    });
  const maxOutputLength = Math.max(1, member.size);
  try {
    return gunzipSync(Buffer.concat([GZIP_HEADER, compressed, gzipTrailer(member)]), {
      maxOutputLength,
    });
  } catch (cause) {
    throw damaged(where, cause);
  }
}

/** RFC 1952: as a file of gzip, what was deflated is checked against checksum and size while it is inflated. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

function gzipTrailer({ crc, size }: Member): Uint8Array {
  const trailer = new Uint8Array(8);
  viewOf(trailer).setUint32(0, crc, true);
  viewOf(trailer).setUint32(4, size, true);
  return trailer;
}

interface Directory {
  readonly start: number;
  readonly size: number;
  readonly count: number;
}

/** The end-of-directory record stands at the end of the file, before a comment of at most 65 535 bytes. */
function findEnd(source: ByteSource, file: string): Directory {
  const tailStart = Math.max(0, source.size - 22 - 0xffff);
  const tail = source.read(tailStart, source.size).slice();
  const view = viewOf(tail);
  let at = tail.length - 22;
  while (at >= 0 && view.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0)
    throw new WhittleError('not an .npz file', {
      where: file,
      hint: 'It has to be a ZIP archive of arrays, as numpy.savez writes it',
    });
  const directory =
    at >= 20 && view.getUint32(at - 20, true) === 0x07064b50
      ? readWideEnd(source, Number(view.getBigUint64(at - 20 + 8, true)), file)
      : {
          start: view.getUint32(at + 16, true),
          size: view.getUint32(at + 12, true),
          count: view.getUint16(at + 10, true),
        };
  if (directory.start + directory.size > source.size) throw damaged(file);
  return directory;
}

function readWideEnd(source: ByteSource, start: number, file: string): Directory {
  if (start + 56 > source.size) throw damaged(file);
  const view = viewOf(source.read(start, start + 56));
  if (view.getUint32(0, true) !== 0x06064b50) throw damaged(file);
  return {
    start: Number(view.getBigUint64(48, true)),
    size: Number(view.getBigUint64(40, true)),
    count: Number(view.getBigUint64(32, true)),
  };
}

/** The 64-bit numbers of a ZIP64 extra field, which stand in for those that are all ones: size, compressed size, offset. */
function wideFields(extra: DataView): number[] {
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const length = extra.getUint16(at + 2, true);
    const end = Math.min(at + 4 + length, extra.byteLength);
    if (extra.getUint16(at, true) === 1) {
      const fields: number[] = [];
      for (let f = at + 4; f + 8 <= end; f += 8) fields.push(Number(extra.getBigUint64(f, true)));
      return fields;
    }
    at = end;
  }
  return [];
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const damaged = (where: string, cause?: unknown): WhittleError =>
  new WhittleError('the archive is damaged', { where, hint: 'Write or copy it again', cause });
