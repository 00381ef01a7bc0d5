/** Texts as tokens, by a tokenizer in the format of Hugging Face. */
import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { describeError, WhittleError } from '../../errors';

export interface TextTokenizer {
  readonly file: string;
  encode(text: string): readonly number[];
}

/** @param special whether it adds what it puts around every text. @throws WhittleError naming the file */
export function openTokenizer(file: string, special = false): TextTokenizer {
  let tokenizer: Tokenizer;
  try {
    const description = JSON.parse(readFileSync(file, 'utf8')) as object;
    tokenizer = new Tokenizer(description, {});
  } catch (cause) {
    throw new WhittleError(`no tokenizer can be read: ${describeError(cause)}`, {
      where: file,
      hint: 'It has to be a tokenizer.json as Hugging Face tokenizers write it',
      cause,
    });
  }
  return {
    file,
    encode(text) {
      try {
        return tokenizer.encode(text, { add_special_tokens: special }).ids;
      } catch (cause) {
        throw new WhittleError(`the tokenizer cannot read a text: ${describeError(cause)}`, {
          where: file,
          cause,
        });
      }
    },
  };
}
