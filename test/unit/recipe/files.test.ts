import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  isSameFile,
  modelReference,
  outputPath,
  reportPath,
  resolveFrom,
  Staging,
} from '../../../language/recipe/files';
import { testFolder } from '../data/arrays';

describe('names of results', () => {
  const cases: [model: string, recipe: string | undefined, output: string][] = [
    ['/m/net.onnx', '/r/int8.whittle.yaml', '/m/net.int8.onnx'],
    ['/m/net.onnx', '/m/net.whittle.yaml', '/m/net.compressed.onnx'],
    ['/m/net.onnx', '/m/net.small.whittle.yml', '/m/net.small.onnx'],
    ['/m/net.onnx', undefined, '/m/net.compressed.onnx'],
    ['/m/mein Netz ü.onnx', '/r/ünïcode 日本.whittle.yaml', '/m/mein Netz ü.ünïcode 日本.onnx'],
  ];
  it.each(cases)('%s by %s', (model, recipe, output) => {
    expect(outputPath(model, recipe)).toBe(output);
    expect(reportPath(output)).toBe(output.replace(/\.onnx$/, '.report.json'));
  });
});

describe('paths of a recipe', () => {
  it('may be written with either separator', () => {
    expect(resolveFrom('/r', './models\\a b.onnx')).toBe(path.resolve('/r/models/a b.onnx'));
    expect(resolveFrom('/r', '../m.onnx')).toBe(path.resolve('/m.onnx'));
  });

  it('name a model relative to the recipe', () => {
    expect(modelReference('/a/b', '/a/b/m.onnx')).toBe('./m.onnx');
    expect(modelReference('/a/b', '/a/c/m.onnx')).toBe('../c/m.onnx');
  });
});

describe('staging', () => {
  const folder = testFolder();
  let place: string;
  let output: string;
  let count = 0;
  beforeEach(() => {
    place = path.join(folder.path, `Ordner mit ü ${count++}`);
    mkdirSync(place);
    output = path.join(place, 'net x.onnx');
  });

  it('moves everything into place, and the model last', () => {
    const staging = new Staging(output);
    writeFileSync(staging.path(output), 'model');
    writeFileSync(staging.path(`${output}.data`), 'weights');
    expect(existsSync(output)).toBe(false);
    staging.commit([output, `${output}.data`]);
    expect(readdirSync(place).sort()).toEqual(['net x.onnx', 'net x.onnx.data']);
    expect(readFileSync(output, 'utf8')).toBe('model');
  });

  it('leaves nothing behind when it is discarded', () => {
    const staging = new Staging(output);
    writeFileSync(staging.path(output), 'half a mod');
    staging.discard();
    staging.discard();
    expect(readdirSync(place)).toEqual([]);
  });

  it('takes back what it moved when something cannot be moved', () => {
    const staging = new Staging(output);
    writeFileSync(staging.path(`${output}.data`), 'weights');
    expect(() => staging.commit([output, `${output}.data`])).toThrow(/cannot write into/);
    expect(readdirSync(place)).toEqual([]);
  });

  it('sweeps away what a killed process left, and nothing of a living one', () => {
    const dead = path.join(place, '.net x.onnx.whittle-999999999');
    const alive = path.join(place, `.net x.onnx.whittle-${process.ppid}`);
    for (const left of [dead, alive]) mkdirSync(left);
    new Staging(output).discard();
    expect(readdirSync(place)).toEqual([path.basename(alive)]);
  });

  it('says when a folder cannot be made', () => {
    const file = path.join(place, 'file');
    writeFileSync(file, '');
    expect(() => new Staging(path.join(file, 'net.onnx'))).toThrow(
      /cannot write into .*file\. Choose another folder/,
    );
  });
});

describe('sameness of files', () => {
  const folder = testFolder();
  it('sees through spellings', () => {
    const file = path.join(folder.path, 'a.onnx');
    writeFileSync(file, '');
    expect(isSameFile(file, path.join(folder.path, 'x', '..', 'a.onnx'))).toBe(true);
    expect(isSameFile(file, path.join(folder.path, 'b.onnx'))).toBe(false);
  });
});
