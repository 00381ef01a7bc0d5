/**
 * A file of JSON lines as arrays, one for each field. Numbers and lists of numbers are taken as they are, names of classes as
 * their place. With a tokenizer, texts are tokens, cut or filled up to one length: `text` of the field of that name, `a+b` of
 * two fields one after the other; `NAME.mask` is 1 where there are tokens, `NAME.last` where they are those of the last field.
 * Lines are found once and read when their sample is asked for.
 */
import { didYouMean, WhittleError } from '../../errors';
import { FileSource, type ByteSource } from '../../onnx/source';
import { elementCount } from '../../onnx/tensor';
import { arrayFile, type ArrayFile, type StoredArray } from '../arrays';
import type { JsonlSource } from '../kinds';
import { openTokenizer, type TextTokenizer } from './tokens';

export function openJsonl(source: JsonlSource, at: (file: string) => string): ArrayFile {
  const file = at(source.jsonl);
  const lines = new Lines(file);
  const { length, classes = {}, pad = 0 } = source;
  if ((source.tokenizer === undefined) !== (length === undefined))
    throw new WhittleError('texts need both a tokenizer and a length', { where: file });
  const tokenizer = source.tokenizer && openTokenizer(at(source.tokenizer), source.special);
  const texts =
    tokenizer && length !== undefined ? new Texts(lines, tokenizer, length, pad) : undefined;
  const names = lines.count > 0 ? Object.keys(lines.object(0)) : [];
  return arrayFile(file, names, (name) => {
    const text = texts?.array(name, names);
    if (text) return text;
    if (!names.includes(name)) return undefined;
    return valueArray(lines, name, Object.hasOwn(classes, name) ? classes[name]! : []);
  });
}

/** Where the lines of a file are. */
class Lines {
  readonly #source: ByteSource;
  /** From the start of each line to that of the next; empty lines are passed over. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  constructor(readonly file: string) {
    this.#source = new FileSource(file);
    this.#find();
  }

  get count(): number {
    return this.#starts.length;
  }

  /** @throws WhittleError naming the sample for what is no JSON object */
  object(sample: number): Readonly<Record<string, unknown>> {
    const bytes = this.#source.read(this.#starts[sample]!, this.#ends[sample]!);
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch (cause) {
      throw new WhittleError('not a line of JSON', { where: this.place(sample), cause });
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
    throw new WhittleError('not a JSON object', { where: this.place(sample) });
  }

  place(sample: number): string {
    return `sample ${sample} in ${this.file}`;
  }

  #find(): void {
    const { size } = this.#source;
    let start = 0;
    let blank = true;
    const close = (end: number) => {
      if (!blank) {
        this.#starts.push(start);
        this.#ends.push(end);
      }
      start = end + 1;
      blank = true;
    };
    for (let from = 0; from < size; from += CHUNK) {
      const bytes = this.#source.read(from, Math.min(size, from + CHUNK));
      for (let i = 0; i < bytes.length; i++)
        if (bytes[i] === NEWLINE) close(from + i);
        else if (bytes[i]! > SPACE) blank = false;
    }
    close(size);
  }
}

const CHUNK = 2 ** 20;
const NEWLINE = 10;
const SPACE = 32;

/** A field of numbers, of one shape in every line: that of the first. */
function valueArray(lines: Lines, name: string, classes: readonly string[]): StoredArray {
  const where = (sample: number) => ({ where: `field ${name}, ${lines.place(sample)}` });
  const value = (sample: number): Nested => {
    const object = lines.object(sample);
    if (!Object.hasOwn(object, name)) throw new WhittleError('the field is missing', where(sample));
    return numeric(object[name], classes, where(sample));
  };
  const dims = dimsOf(value(0));
  const size = elementCount(dims);
  return {
    name,
    file: lines.file,
    elementType: 'float64',
    dims: [lines.count, ...dims],
    row(sample) {
      const found = value(sample);
      const row = flattened(found);
      if (row.length === size && dimsOf(found).join() === dims.join())
        return Float64Array.from(row);
      throw new WhittleError(
        `the field has sizes ${dimsOf(found).join(' × ') || 'of one number'} and those before it ${dims.join(' × ') || 'of one number'}`,
        where(sample),
      );
    },
  };
}

type Nested = number | readonly Nested[];

function numeric(value: unknown, classes: readonly string[], where: { where: string }): Nested {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (Array.isArray(value)) return value.map((item) => numeric(item, classes, where));
  if (typeof value !== 'string')
    throw new WhittleError(`${JSON.stringify(value)} is no number`, where);
  const place = classes.indexOf(value);
  if (place >= 0) return place;
  throw new WhittleError(`${JSON.stringify(value.slice(0, 40))} is no number`, {
    ...where,
    hint:
      didYouMean(value, classes) ||
      'Name the classes in their order under classes, or a tokenizer for texts',
  });
}

const flattened = (value: Nested): number[] =>
  typeof value === 'number' ? [value] : value.flatMap(flattened);

/** As the first elements have them. */
function dimsOf(value: Nested): number[] {
  return typeof value === 'number'
    ? []
    : [value.length, ...(value[0] === undefined ? [] : dimsOf(value[0]))];
}

/** Fields as tokens of one length. */
class Texts {
  constructor(
    readonly lines: Lines,
    readonly tokenizer: TextTokenizer,
    readonly length: number,
    readonly pad: number,
  ) {}

  /** Undefined where the name is not that of texts. */
  array(name: string, fields: readonly string[]): StoredArray | undefined {
    const [, joined = name, part] = /^(.*)\.(mask|last)$/.exec(name) ?? [];
    const parts = fields.includes(joined) ? [joined] : joined.split('+');
    if (!parts.every((field) => fields.includes(field))) return undefined;
    if (parts.some((field) => typeof this.lines.object(0)[field] !== 'string')) return undefined;
    const { length, lines } = this;
    return {
      name,
      file: lines.file,
      elementType: 'int32',
      dims: [lines.count, length],
      row: (sample) => {
        const tokens = parts.map((field) => this.#tokens(sample, field));
        const all = tokens.flat();
        const before = all.length - tokens.at(-1)!.length;
        const row = new Int32Array(length).fill(part === undefined ? this.pad : 0);
        for (let i = 0; i < Math.min(length, all.length); i++)
          row[i] = part === undefined ? all[i]! : Number(part === 'mask' || i >= before);
        return row;
      },
    };
  }

  #tokens(sample: number, field: string): readonly number[] {
    const text = this.lines.object(sample)[field];
    if (typeof text === 'string') return this.tokenizer.encode(text);
    throw new WhittleError('the field holds no text', {
      where: `field ${field}, ${this.lines.place(sample)}`,
    });
  }
}
