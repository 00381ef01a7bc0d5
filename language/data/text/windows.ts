/** A text file as windows of tokens: the array `ids`, N × length. */
import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { WhittleError } from '../../errors';
import { arrayFile, type ArrayFile } from '../arrays';
import type { TextSource } from '../kinds';
import { openTokenizer, type TextTokenizer } from './tokens';

export function openText(source: TextSource, at: (file: string) => string): ArrayFile {
  const file = at(source.text);
  const { length, stride = length } = source;
  const tokenizer = openTokenizer(at(source.tokenizer), source.special);
  return arrayFile(file, ['ids'], (name) => {
    if (name !== 'ids') return undefined;
    const ids = tokensOf(file, tokenizer);
    const count = ids.length < length ? 0 : 1 + Math.floor((ids.length - length) / stride);
    if (count === 0)
      throw new WhittleError(`the text has ${ids.length} tokens and a sample takes ${length}`, {
        where: file,
      });
    return {
      name,
      file,
      elementType: 'int32',
      dims: [count, length],
      row: (sample) => ids.subarray(sample * stride, sample * stride + length),
    };
  });
}

/** Characters that are tokenized at once: more only where a line is longer. */
const PIECE = 2 ** 20;

/** Of all the text; tokens do not reach across its pieces, which end with a line. */
function tokensOf(file: string, tokenizer: TextTokenizer): Int32Array {
  let ids = new Int32Array(1024);
  let count = 0;
  for (const piece of pieces(file)) {
    const found = tokenizer.encode(piece);
    if (count + found.length > ids.length) {
      const larger = new Int32Array(Math.max(2 * ids.length, count + found.length));
      larger.set(ids);
      ids = larger;
    }
    ids.set(found, count);
    count += found.length;
  }
  return ids.subarray(0, count);
}

function* pieces(file: string): Iterable<string> {
  let rest = '';
  for (const text of decoded(file)) {
    rest += text;
    while (rest.length > PIECE) {
      // Before a line that starts with something other than space: tokenizers take the spaces between words together.
      const end = lastBreak(rest, PIECE);
      if (end === undefined) break;
      yield rest.slice(0, end);
      rest = rest.slice(end);
    }
  }
  if (rest !== '') yield rest;
}

function lastBreak(text: string, before: number): number | undefined {
  for (let at = text.lastIndexOf('\n', before - 1); at >= 0; at = text.lastIndexOf('\n', at - 1)) {
    if (/\S/.test(text[at + 1] ?? '')) return at + 1;
    if (at === 0) break;
  }
  return undefined;
}

function* decoded(file: string): Iterable<string> {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (cause) {
    throw new WhittleError('the text cannot be read', { where: file, cause });
  }
  try {
    const decoder = new StringDecoder('utf8');
    const bytes = Buffer.alloc(2 ** 18);
    for (;;) {
      const count = readSync(descriptor, bytes);
      if (count === 0) break;
      yield decoder.write(bytes.subarray(0, count));
    }
    yield decoder.end();
  } catch (cause) {
    throw new WhittleError('the text cannot be read', { where: file, cause });
  } finally {
    closeSync(descriptor);
  }
}
