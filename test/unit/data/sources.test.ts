import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { encode as encodePng } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../../language/data/dataset';
import type { SourceDescription } from '../../../language/data/kinds';
import { openSource } from '../../../language/data/sources';
import { shared } from '../../shared';
import { npy, range, testFolder } from './arrays';

const folder = testFolder();
const open = (source: SourceDescription) => openSource(source, folder.path);
const write = (name: string, bytes: Uint8Array | string) => {
  mkdirSync(path.dirname(path.join(folder.path, name)), { recursive: true });
  return folder.write(name, bytes);
};

/** 6 × 4 pixels: red 50 x, green 80 y, blue 255 in the left half; lossless. */
const WEBP = 'UklGRjQAAABXRUJQVlA4TCcAAAAvBcAAAJkyRPQ/NhHR/4BBtpGKeP46d/8MIyMgKPJ/tJgAlkwK6B8A';
/** 8 × 8 pixels of (200, 100, 50). */
const JPG =
  '/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAf/CABEIAAgACAMBEQACEQEDEQH/xAAmAAEAAAAAAAAAAAAAAAAAAAAGAQEAAAAAAAAAAAAAAAAAAAAJ/9oADAMBAAIQAxAAAAA+V7Yf/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPwB//8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAgBAgEBPwB//8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAgBAwEBPwB//9k=';
const bytes = (base64: string) => Buffer.from(base64, 'base64');
const png = (width: number, height: number, channels: number, data: number[]) =>
  encodePng({ width, height, channels, data: Uint8Array.from(data) });

describe('images', () => {
  write('pets/cat/b.webp', bytes(WEBP));
  write('pets/cat/a.png', png(6, 4, 1, range(24)));
  write('pets/dog/c.png', png(6, 4, 4, range(96)));
  write('pets/notes.txt', 'nothing');

  it('are read in the order of their names, their folders being the classes', () => {
    const file = open({ images: './pets' });
    const image = file.array('image');
    expect(image.dims).toEqual([3, 4, 6, 3]);
    expect([...image.row(0)].slice(0, 6)).toEqual([0, 0, 0, 1, 1, 1]);
    expect([...image.row(1)].slice(0, 6)).toEqual([0, 0, 255, 50, 0, 255]);
    expect([...image.row(1)].slice(-3)).toEqual([250, 240, 0]);
    expect([...image.row(2)].slice(0, 6)).toEqual([0, 1, 2, 4, 5, 6]);
    const label = file.array('label');
    expect([0, 1, 2].map((i) => label.row(i)[0])).toEqual([0, 0, 1]);
  });

  it('have the classes that the description orders, and channels as asked', () => {
    const file = open({ images: './pets', classes: ['dog', 'cat'], channels: 1 });
    expect([0, 1, 2].map((i) => file.array('label').row(i)[0])).toEqual([1, 1, 0]);
    expect(file.array('image').dims).toEqual([3, 4, 6, 1]);
    expect(file.array('image').row(1)[1]).toBe(Math.round(0.299 * 50 + 0.114 * 255));
  });

  it('are stretched or cropped', () => {
    write('wide/a.png', png(4, 2, 1, [0, 0, 100, 100, 0, 0, 100, 100]));
    const stretched = open({ images: './wide', size: [1, 2], fit: 'stretch', channels: 1 });
    // Under the triangle twice as wide as the new pixels, of 1, 3, 3, 1 eighths at a border cut to 3, 3, 1.
    expect([...stretched.array('image').row(0)]).toEqual([14, 86]);
    const cropped = open({ images: './wide', size: [2, 2], fit: 'crop', channels: 1 });
    expect([...cropped.array('image').row(0)]).toEqual([0, 100, 0, 100]);
    const resized = open({ images: './wide', size: [2, 2], fit: 'crop', resize: 4, channels: 1 });
    expect(resized.array('image').dims).toEqual([1, 2, 2, 1]);
  });

  it('are decoded from JPEG', () => {
    write('jpegs/x.jpeg', bytes(JPG));
    const row = open({ images: './jpegs' }).array('image').row(0);
    expect(row.length).toBe(192);
    for (let i = 0; i < 192; i++)
      expect(Math.abs(row[i]! - [200, 100, 50][i % 3]!)).toBeLessThan(3);
  });

  it('have labels from a table, and maps of labels', () => {
    write(
      'maps/a.png',
      png(
        6,
        4,
        1,
        range(24).map((i) => i % 3),
      ),
    );
    write('flat/a.webp', bytes(WEBP));
    write('labels.csv', 'file,class,"its name"\r\na.webp,7,"a, b"\r\n');
    const file = open({ images: './flat', labels: './labels.csv', masks: './maps' });
    expect([...file.array('class').row(0)]).toEqual([7]);
    expect([...file.array('mask').row(0)].slice(0, 5)).toEqual([0, 1, 2, 0, 1]);
    expect(() => file.array('its name')).toThrow(/"a, b" is no number.*row 2 of .*labels\.csv/);
  });

  it('feed a model like any other array', () => {
    const dataset = loadDataset(
      {
        source: { images: './pets' },
        inputs: { x: { array: 'image', scale: '1/255', layout: 'NCHW', stored: 'NHWC' } },
        target: { array: 'label' },
      },
      folder.path,
    );
    const binding = dataset.bind([{ name: 'x', elementType: 'float32', shape: ['n', 3, 4, 6] }]);
    const [batch] = binding.batches(3);
    expect(batch!.inputs.get('x')!.dims).toEqual([3, 3, 4, 6]);
    expect([...batch!.target!.values]).toEqual([0, 0, 1]);
  });

  const broken: [string, string, Uint8Array | string, RegExp][] = [
    ['a truncated png', 'a.png', png(6, 4, 1, range(24)).slice(0, 50), /png image is damaged/],
    ['flipped bits', 'a.png', flipped(png(6, 4, 1, range(24)), 45), /png image is damaged/],
    ['a truncated jpg', 'a.jpg', bytes(JPG).subarray(0, 60), /jpg image is damaged/],
    ['a truncated webp', 'a.webp', bytes(WEBP).subarray(0, 24), /webp image is damaged/],
    ['an empty file', 'a.png', '', /the image is empty/],
    ['a text', 'a.jpg', 'hello, this is no image', /not a png, jpg or webp image/],
    ['another size', 'z.png', png(2, 2, 1, range(4)), /2 × 2 pixels and 4 × 6 are expected/],
  ];
  for (const [what, name, content, message] of broken)
    it(`that cannot be used are named: ${what}`, () => {
      const place = `broken-${what.replaceAll(' ', '-')}`;
      write(`${place}/a/0.webp`, bytes(WEBP));
      const file = write(`${place}/b/${name}`, content);
      const image = open({ images: `./${place}` }).array('image');
      expect(() => image.row(1)).toThrow(message);
      expect(() => image.row(1)).toThrow(file);
    });

  it('have to be there', () => {
    write('none/readme.txt', '');
    expect(() => open({ images: './none' })).toThrow(/no png, jpg or webp images .*none/);
    expect(() => open({ images: './nowhere' })).toThrow(/folder of images cannot be read/);
    write('labels2.csv', 'file,class\nmissing.png,1\n');
    expect(() => open({ images: './none', labels: './labels2.csv' })).toThrow(/missing\.png/);
    expect(() => open({ images: './pets', classes: ['cat'] })).toThrow(
      /dog is none of the classes/,
    );
  });
});

function flipped(content: Uint8Array, at: number): Uint8Array {
  content[at]! ^= 0xff;
  return content;
}

describe('.npy files', () => {
  it('are arrays by the names that they are given', () => {
    write('x.npy', npy('<f4', [2, 2], [1, 2, 3, 4]));
    const file = open({ npy: { pixels: './x.npy' } });
    expect([...file.array('pixels').row(1)]).toEqual([3, 4]);
    expect(() => file.array('x')).toThrow(/no array x/);
    expect(() => open({ npy: { y: './y.npy' } }).array('y')).toThrow(/y\.npy/);
  });
});

/** Words at spaces; a start token around each text where asked. */
const TOKENIZER = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [9], tokens: ['<s>'] } },
  },
  decoder: null,
  model: {
    type: 'WordLevel',
    vocab: { a: 1, b: 2, c: 3, '<s>': 9, '[UNK]': 0 },
    unk_token: '[UNK]',
  },
};
write('tokenizer.json', JSON.stringify(TOKENIZER));

describe('texts', () => {
  it('are cut into windows of tokens', () => {
    write('text.txt', 'a b c\nc b a\na');
    const source = { text: './text.txt', tokenizer: './tokenizer.json' };
    const ids = open({ ...source, length: 3 }).array('ids');
    expect(ids.dims).toEqual([2, 3]);
    expect([...ids.row(0), ...ids.row(1)]).toEqual([1, 2, 3, 3, 2, 1]);
    const overlapping = open({ ...source, length: 3, stride: 1 }).array('ids');
    expect(overlapping.dims).toEqual([5, 3]);
    expect([...overlapping.row(4)]).toEqual([2, 1, 1]);
  });

  it('may be longer than what is tokenized at once', () => {
    const line = 'a b c\n'.repeat(100);
    write('long.txt', line.repeat(5000));
    const ids = open({ text: './long.txt', tokenizer: './tokenizer.json', length: 3 }).array('ids');
    expect(ids.dims[0]).toBe(500_000);
    for (const at of [0, 174_762, 174_763, 499_999]) expect([...ids.row(at)]).toEqual([1, 2, 3]);
  });

  it.skipIf(!shared('models/trained'))('are tokenized as they were for a trained model', () => {
    const trained = shared('models/trained')!;
    const text = shared('data/text/tinyshakespeare_train90.txt')!;
    const tokenizer = path.join(trained, 'shakespeare-bpe1024.json');
    const ids = open({ text, tokenizer, length: 257 }).array('ids');
    const stored = open({ npz: path.join(trained, 'calib-shakespeare-bpe.npz') }).array('ids');
    const all = Array.from({ length: ids.dims[0]! }, (_, i) => [...ids.row(i)]).flat();
    const wanted = [...stored.row(0)].join();
    const first = stored.row(0)[0]!;
    const found = all.some((id, at) => id === first && all.slice(at, at + 257).join() === wanted);
    expect(found).toBe(true);
  });

  it('that cannot be used are named', () => {
    write('short.txt', 'a b');
    const text = (tokenizer: string, file = './short.txt') =>
      open({ text: file, tokenizer, length: 3 }).array('ids');
    expect(() => text('./tokenizer.json')).toThrow(/2 tokens and a sample takes 3 .*short\.txt/);
    expect(() => text('./tokenizer.json', './no.txt')).toThrow(/text cannot be read .*no\.txt/);
    expect(() => text('./none.json')).toThrow(/no tokenizer can be read.*none\.json/);
    write('bad.json', '{"model": {"type": "Nothing"}}');
    expect(() => text('./bad.json')).toThrow(/no tokenizer can be read.*bad\.json/);
    expect(() => text('./short.txt')).toThrow(/no tokenizer can be read.*short\.txt/);
  });

  it('of another tokenizer do not fit the model', () => {
    const dataset = loadDataset(
      {
        source: { text: './text.txt', tokenizer: './tokenizer.json', length: 3 },
        inputs: { ids: { array: 'ids' } },
      },
      folder.path,
    );
    const ids = { name: 'ids', elementType: 'int64', shape: ['n', 't'], below: 3 } as const;
    expect(() => [...dataset.bind([ids]).batches(2)]).toThrow(
      /3 is none of the 3 ids that input ids takes \(array ids, sample 0 in .*text\.txt\).*tokenizer/,
    );
  });
});

describe('JSON lines', () => {
  write(
    'data.jsonl',
    [
      {
        x: [
          [1, 2],
          [3, 4],
        ],
        y: 1,
        flag: true,
        kind: 'low',
        text: 'a b',
        answer: 'c',
      },
      {
        x: [
          [5, 6],
          [7, 8],
        ],
        y: 2,
        flag: false,
        kind: 'high',
        text: 'b',
        answer: 'a b c',
      },
    ]
      .map((line) => JSON.stringify(line))
      .join('\n\n') + '\n',
  );
  const texts = { jsonl: './data.jsonl', tokenizer: './tokenizer.json', length: 4 };

  it('hold numbers, lists, truths and classes', () => {
    const file = open({ jsonl: './data.jsonl', classes: { kind: ['low', 'high'] } });
    expect(file.array('x').dims).toEqual([2, 2, 2]);
    expect([...file.array('x').row(1)]).toEqual([5, 6, 7, 8]);
    expect(file.array('y').dims).toEqual([2]);
    expect([...file.array('flag').row(0), ...file.array('kind').row(1)]).toEqual([1, 1]);
  });

  it('hold texts, filled up and cut, with what marks their parts', () => {
    const file = open({ ...texts, pad: 7 });
    const row = (name: string, sample: number) => [...file.array(name).row(sample)];
    expect(row('text', 0)).toEqual([1, 2, 7, 7]);
    expect(row('text.mask', 0)).toEqual([1, 1, 0, 0]);
    expect(row('text+answer', 0)).toEqual([1, 2, 3, 7]);
    expect(row('text+answer.last', 0)).toEqual([0, 0, 1, 0]);
    expect(row('text+answer', 1)).toEqual([2, 1, 2, 3]);
    expect([
      ...open({ ...texts, special: true })
        .array('text')
        .row(1),
    ]).toEqual([9, 2, 0, 0]);
  });

  const broken: [string, string, string, RegExp][] = [
    ['no JSON', 'y', '{"y": 1', /not a line of JSON \(sample 1 in/],
    ['a list', 'y', '[1]', /not a JSON object \(sample 1/],
    ['a field that is missing', 'y', '{"z": 1}', /field is missing \(field y, sample 1 in/],
    [
      'a text without a tokenizer',
      'y',
      '{"y": "hello"}',
      /"hello" is no number \(field y, sample 1/,
    ],
    ['null', 'y', '{"y": null}', /null is no number/],
    ['other sizes', 'v', '{"v": [1, 2, 3]}', /sizes 3 and those before it 2 \(field v, sample 1/],
  ];
  for (const [what, field, line, message] of broken)
    it(`that cannot be used are named: ${what}`, () => {
      const file = write('broken.jsonl', `{"y": 1, "v": [1, 2]}\n${line}\n`);
      const array = open({ jsonl: './broken.jsonl' }).array(field);
      expect(() => array.row(1)).toThrow(message);
      expect(() => array.row(1)).toThrow(file);
    });

  it('need a tokenizer and a length together, and lines at all', () => {
    expect(() => open({ jsonl: './data.jsonl', length: 4 })).toThrow(/tokenizer and a length/);
    write('empty.jsonl', '\n\n');
    expect(() => open({ jsonl: './empty.jsonl' }).array('x')).toThrow(/no array x .*empty\.jsonl/);
  });
});
