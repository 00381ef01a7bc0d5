/** A profile fitted to a table of measurements of models on disk. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { calibrateDevice } from '../../../language/recipe/calibrating';
import { sample } from '../runtime/host';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'calibrating-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function calibrate(rows: readonly string[], target = 'mobile.generic-cpu') {
  const table = path.join(folder, 'board.csv');
  writeFileSync(table, ['model,latency_ms', ...rows].join('\n'));
  return calibrateDevice({ target, table, output: output(), shapes: {} });
}
const output = () => path.join(folder, 'board.target.yaml');
const resnet = sample('shapes-resnet.onnx');
const vit = sample('shapes-vit.onnx');

describe('a table of measurements', () => {
  it('becomes a profile beside it, which says what it was fitted to', () => {
    const { profile } = calibrate([
      `${resnet},3.1`,
      `${vit},16`,
      `${vit.replace('samples/', 'samples/./')},16.2`,
    ]);
    expect(profile).toMatchObject({
      title: 'A CPU to be calibrated, calibrated',
      basis: { status: 'calibrated' },
    });
    expect(readFileSync(output(), 'utf8')).toContain('board.csv');
  });

  const wrong: [what: string, rows: string[], message: RegExp][] = [
    [
      'a size is open',
      [`${resnet},3`, `${vit},16`, `${sample('text-llama.onnx')},9`],
      /sequence of input_ids is free.*board\.csv:4.*--shape sequence=SIZE/s,
    ],
    [
      'a model is not there',
      [`${resnet},3`, 'nowhere.onnx,4', `${vit},9`],
      /there is no file nowhere\.onnx.*board\.csv:3/s,
    ],
    ['there are two', [`${resnet},3`, `${vit},9`], /3 networks must be measured/],
  ];
  it.each(wrong)('is refused when %s, and nothing is written', (_, rows, message) => {
    expect(() => calibrate(rows)).toThrow(message);
    expect(existsSync(output())).toBe(false);
  });

  it('fits no profile whose constants are those of a design', () => {
    expect(() => calibrate([], 'reram.isaac')).toThrow(/of kind reram.*only mobile/);
  });
});
