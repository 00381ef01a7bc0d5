/** Profiles and measurements that cannot be right: one line with file, field and what to do. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
// Loaded before the clock of the first test runs.
import '../../../language/cli/calibrate';
import '../../../language/cli/estimate';
import { sample } from '../runtime/host';
import { answer, whittle } from './terminal';

const folder = mkdtempSync(path.join(os.tmpdir(), 'whittle targets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RESNET = sample('shapes-resnet.onnx');
const write = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

describe('a profile', () => {
  it.each<[string, string, RegExp]>([
    [
      'without a constant',
      'extends: mobile.pixel3-cpu\nprecisions:\n  fp16:\n    pointwiseGmacPerS: 40\n',
      /precisions\.fp16\.spatialGmacPerS: is missing.*board\.target\.yaml:\d\)\. Give it, or extend/,
    ],
    [
      'with a negative constant',
      'extends: asic.systolic-32x32-ws\ndramGbPerS: -2\n',
      /dramGbPerS: .*board\.target\.yaml:2\)\. A rate or a size must be above zero/,
    ],
    [
      'with a unit that nobody knows',
      'extends: fpga.zcu102-dpu\nclockGhz: 0.3\n',
      /clockGhz.*unit is part of a field's name.*board\.target\.yaml:\d\)\. Did you mean clockMhz/,
    ],
    [
      'of a dataflow design, with a negative budget',
      'extends: fpga.zcu104-dataflow\nbudget: { dsp: -1 }\n',
      /budget\.dsp: .*board\.target\.yaml:2\)\. A rate or a size must be above zero/,
    ],
    [
      'of a dataflow design, in units of its own',
      'extends: fpga.zcu104-dataflow\nengines: { startUs: 3 }\n',
      /startUs.*unit is part.*board\.target\.yaml:2\)\. There are macsPerDsp, startCycles/,
    ],
    [
      'of a dataflow design, without packing',
      'extends: fpga.zcu104-dataflow\nengines: { macsPerDsp: [{ bits: 8 }] }\n',
      /engines\.macsPerDsp\.0\.macs: is missing.*board\.target\.yaml:2\)\. Give it/,
    ],
    [
      'of an NPU in blocks, with a negative rate',
      'extends: asic.ethos-u55-256\nsram: { bytesPerCycle: 0 }\n',
      /sram\.bytesPerCycle: .*board\.target\.yaml:2\)\. A rate or a size must be above zero/,
    ],
    [
      'of an NPU in blocks, in units of its own',
      'extends: asic.ethos-u55-256\nstorage: { gbPerS: 1 }\n',
      /gbPerS.*unit is part.*board\.target\.yaml:2\)\. There are bytesPerCycle, burstBytes/,
    ],
    [
      'of a design that there is not',
      'extends: asic.ethos-u55-256\ndesign: wavefront\n',
      /design: is not known .*board\.target\.yaml:2\)\. There are systolic, blocked/,
    ],
  ])('%s', async (_, text, message) => {
    const file = write('board.target.yaml', text);
    const { code, stdout, stderr } = await whittle(['estimate', RESNET, '--target', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('that lacks an operator says which layers go elsewhere, and what to do', async () => {
    const file = write(
      'less.target.yaml',
      'extends: asic.ethos-u55-256\noperators: [Conv, Gemm, Add, Relu]\n',
    );
    const { targets } = await answer<{ targets: { warnings: string[] }[] }>([
      'estimate',
      RESNET,
      '--target',
      file,
    ]);
    expect(targets[0]!.warnings).toEqual([
      expect.stringMatching(
        /less\.target\.yaml does not run GlobalAveragePool: 1 layer runs on the processor beside it\. Replace the operator \(target\.legalize\), or assign it/,
      ),
    ]);
  });
});

describe('measurements', () => {
  const copied = {
    'shapes-resnet': 'shapes-resnet',
    'shapes-vit': 'shapes-vit',
    third: 'shapes-resnet',
  };
  for (const [name, from] of Object.entries(copied))
    copyFileSync(sample(`${from}.onnx`), path.join(folder, `${name}.onnx`));

  it.each<[string, readonly [string, number][], RegExp]>([
    [
      'of two networks',
      [
        ['shapes-resnet.onnx', 1],
        ['shapes-vit.onnx', 2],
      ],
      /3 networks must be measured, and there are 2 .*measured\.csv:2\)\. Measure networks that differ/,
    ],
    [
      'that contradict each other',
      [
        ['shapes-resnet.onnx', 1],
        ['shapes-resnet.onnx', 9],
        ['shapes-vit.onnx', 2],
        ['third.onnx', 2],
      ],
      /shapes-resnet/,
    ],
  ])('%s', async (_, rows, message) => {
    const table = write(
      'measured.csv',
      ['model,latency_ms', ...rows.map(([name, ms]) => `${name},${ms}`)].join('\n'),
    );
    const output = path.join(folder, 'mine.target.yaml');
    const { code, stdout, stderr } = await whittle([
      'calibrate',
      'mobile.generic-cpu',
      table,
      '-o',
      output,
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
