import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseJson, writeJson } from '../../../language/recipe/largeArrays';
import { testFolder } from '../data/arrays';

const folder = testFolder();
const BYTES = Buffer.from(Uint8Array.from({ length: 9001 }, (_, i) => (i * 31) % 256));
const NUMBERS = Array.from({ length: 2000 }, (_, i) => Math.sin(i) * 10 ** ((i % 40) - 20));
const SMALL = {
  codes: 'AAEC',
  kept: [1, 2, 3],
  text: 'so much '.repeat(1000),
  mixed: [null, ...NUMBERS],
};

const fileOf = (name: string) => `${folder.path}/${name}.json`;
const read = (file: string) => parseJson(readFileSync(file, 'utf8'), file);
const arrays = (file: string) =>
  existsSync(`${file}.arrays`) ? readdirSync(`${file}.arrays`) : [];

describe('large arrays in JSON', () => {
  it('lie beside it in binary, and come back to the bit', () => {
    const file = fileOf('large');
    const content = {
      ...SMALL,
      a: BYTES.toString('base64'),
      b: { again: BYTES.toString('base64') },
    };
    writeJson(file, { ...content, numbers: NUMBERS });
    expect(read(file)).toEqual({ ...content, numbers: NUMBERS });
    expect(arrays(file)).toHaveLength(2);
    expect(
      arrays(file)
        .map((name) => readFileSync(`${file}.arrays/${name}`).length)
        .sort(),
    ).toEqual([8 * NUMBERS.length, BYTES.length].sort());
    // Those of the version before go; a version without any takes the folder along.
    writeJson(file, { numbers: NUMBERS });
    expect(arrays(file)).toHaveLength(1);
    writeJson(file, SMALL);
    expect(existsSync(`${file}.arrays`)).toBe(false);
    expect(read(file)).toEqual(SMALL);
  });

  it('are refused where they were lost or changed', () => {
    const file = fileOf('lost');
    writeJson(file, { numbers: NUMBERS });
    const place = `${file}.arrays/${arrays(file)[0]!}`;
    writeFileSync(place, 'something else');
    expect(() => read(file)).toThrow(/is not what was written/);
    rmSync(place);
    expect(() => read(file)).toThrow(/keep the two together/);
  });

  it('leave no trace where the text cannot be written', () => {
    const file = fileOf('folder');
    mkdirSync(`${file}/full`, { recursive: true });
    expect(() => writeJson(file, { numbers: NUMBERS })).toThrow();
    expect(readdirSync(folder.path).filter((name) => name.startsWith('folder'))).toEqual([
      'folder.json',
    ]);
  });
});
