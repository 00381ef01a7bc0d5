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

function calibrate(
  rows: readonly string[],
  target = 'mobile.generic-cpu',
  columns = 'model,latency_ms',
) {
  const table = path.join(folder, 'board.csv');
  writeFileSync(table, [columns, ...rows].join('\n'));
  return calibrateDevice({ target, table, output: output(), shapes: {} });
}
const output = () => path.join(folder, 'board.target.yaml');
const resnet = sample('shapes-resnet.onnx');
const vit = sample('shapes-vit.onnx');
const llama = sample('text-llama.onnx');

describe('a table of measurements', () => {
  it('becomes a profile beside it, which says what it was fitted to', () => {
    const rows = [`${resnet},3.1,`, `${vit},16,`, `${llama},9,sequence=32`];
    const { profile } = calibrate(rows, 'mobile.generic-cpu', 'model,latency_ms,shape');
    expect(profile).toMatchObject({
      title: 'A CPU to be calibrated, calibrated',
      basis: { status: 'calibrated' },
    });
    expect(readFileSync(output(), 'utf8')).toContain('board.csv');
  });

  const wrong: [what: string, rows: string[], message: RegExp][] = [
    [
      'a size is open',
      [`${resnet},3`, `${vit},16`, `${llama},9`],
      /sequence of input_ids is free.*board\.csv:4.*column `shape`.*sequence=SIZE/s,
    ],
    [
      'a model is not there',
      [`${resnet},3`, 'nowhere.onnx,4', `${vit},9`],
      /there is no file nowhere\.onnx.*board\.csv:3/s,
    ],
    [
      'three are of two networks',
      [`${resnet},3,`, `${vit},9,batch=1`, `${vit},17,batch=2`],
      /3 networks must be measured, and there are 2/,
    ],
    ['there are two', [`${resnet},3`, `${vit},9`], /3 networks must be measured/],
  ];
  it('says the sizes of models that leave them free, one of them at several', () => {
    const rows = [
      `${resnet},3.1,`,
      `${vit},16,`,
      `${llama},9,batch=1;sequence=32`,
      `${llama},19,batch=1;sequence=64`,
    ];
    const { heldOut } = calibrate(rows, 'mobile.generic-cpu', 'model,latency_ms,shape');
    expect(heldOut.at(-1)!.name).toBe(`${llama} at batch=1;sequence=64`);
    expect(heldOut.at(-1)!.predictedMs).toBeGreaterThan(heldOut.at(-2)!.predictedMs);
  });

  it.each(wrong)('is refused when %s, and nothing is written', (_, rows, message) => {
    const hasShapes = rows[0]!.endsWith(',');
    const columns = hasShapes ? 'model,latency_ms,shape' : 'model,latency_ms';
    expect(() => calibrate(rows, 'mobile.generic-cpu', columns)).toThrow(message);
    expect(existsSync(output())).toBe(false);
  });

  it('fits no profile whose constants are those of a design', () => {
    expect(() => calibrate([], 'reram.isaac')).toThrow(/of kind reram.*only mobile/);
  });
});
