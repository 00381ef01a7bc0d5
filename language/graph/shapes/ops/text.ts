/** Strings. */
import type { Rule, Rules } from '../call';
import { broadcast } from '../dims';
import { tensorOf } from '../values';

/** [C] or [1, C]; stop words leave how many are left to the data. */
const stringNormalizer: Rule = (call) => {
  const x = call.input(0).shape;
  if (!call.hasAttribute('stopwords')) return tensorOf('string', x);
  return tensorOf(
    'string',
    x?.map((dim, axis) => (axis === x.length - 1 ? null : dim)),
  );
};

/** The parts along a new last axis, and how many there were. */
const stringSplit: Rule = (call) => {
  const x = call.input(0).shape;
  return [tensorOf('string', x && [...x, null]), tensorOf('int64', x)];
};

/** One number for each n-gram of the vocabulary, instead of the last axis. */
const tfIdfVectorizer: Rule = (call) => {
  const x = call.input(0).shape;
  const indexes = call.ints('ngram_indexes');
  const size = indexes ? indexes.reduce((a, b) => Math.max(a, b), -1) + 1 : null;
  return tensorOf('float32', x && [...x.slice(0, -1), size]);
};

export const text: Rules = {
  RegexFullMatch: (call) => tensorOf('bool', call.input(0).shape),
  StringConcat: (call) => tensorOf('string', broadcast(call.input(0).shape, call.input(1).shape)),
  StringNormalizer: stringNormalizer,
  StringSplit: stringSplit,
  TfIdfVectorizer: tfIdfVectorizer,
};
