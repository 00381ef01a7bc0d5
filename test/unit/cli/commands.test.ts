/** Inspecting and estimating, and what all commands have in common. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sample } from '../runtime/host';
import { answer, whittle } from './terminal';

const folder = mkdtempSync(path.join(os.tmpdir(), 'whittle cli ü-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RESNET = sample('shapes-resnet.onnx');
const VIT = sample('shapes-vit.onnx');
const LLAMA = sample('text-llama.onnx');
const PHONE = 'mobile.pixel3-cpu';

function recipe(model: string, ...steps: object[]): string {
  const file = path.join(folder, 'a recipe.whittle.yaml');
  writeFileSync(file, JSON.stringify({ version: 1, model, targets: [PHONE], steps }));
  return file;
}

describe('usage', () => {
  const wrong: [args: string[], message: RegExp][] = [
    [['inspekt'], /there is no command inspekt\. Did you mean inspect\?/],
    [['constructor'], /there is no command constructor/],
    [['inspect'], /MODEL is missing/],
    [['inspect', 'a', 'b'], /unexpected argument b/],
    [['inspect', RESNET, '--valuess'], /--valuess/],
    [['inspect', RESNET, '--shape', 'image'], /--shape image: NAME=SIZE/],
    [['inspect', RESNET, '--shape', 'image=1,x'], /NAME=SIZE/],
    [['inspect', RESNET, '--shape', 'batch='], /NAME=SIZE/],
    [['estimate', RESNET], /--target is missing/],
    [['estimate', RESNET, '--target', PHONE, '--as', 'int3'], /--as int3: int8 or fp16/],
    [['estimate', RESNET, '--target', PHONE, '--decisions', 'd'], /--decisions needs the --recipe/],
    [['evaluate', RESNET, '--data', 'd', '--interval'], /--interval goes with --against/],
    [['evaluate', RESNET], /--data is missing/],
    [['evaluate', RESNET, '--data', 'd', '--samples', 'many'], /--samples many/],
    [['targets', 'mobile'], /unexpected argument mobile/],
  ];
  it.each(wrong)('%j is wrong: exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await whittle(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  const failing: [args: string[], message: RegExp][] = [
    [['inspect', '/no/such.onnx'], /such\.onnx/],
    [['inspect', import.meta.filename], /not a valid ONNX model/],
    [
      ['inspect', RESNET, '--shape', 'imag=1,3,32,32'],
      /no input .* called imag\. Did you mean image\?/,
    ],
    [['estimate', RESNET, '--target', 'mobile.pixel3-cpo'], /mobile\.pixel3-cpu/],
    [['estimate', RESNET, '--target', PHONE, '--recipe', '/no/such.whittle.yaml'], /cannot read/],
    [['apply', '/no/such.whittle.yaml'], /cannot read/],
  ];
  it.each(failing)('%j fails: exit code 1 and one line', async (args, message) => {
    const { code, stdout, stderr } = await whittle([...args, '--json']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('is shown when it is asked for, and when nothing is', async () => {
    expect(await whittle([])).toMatchObject({ code: 2, stdout: '', stderr: /whittle apply/ });
    for (const args of [['--help'], ['help'], ['apply', '-h']])
      expect(await whittle(args)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/whittle apply/) as string,
        stderr: '',
      });
  });

  it.each([
    ['targets'],
    ['passes'],
    ['templates'],
    ['inspect', RESNET],
    ['estimate', RESNET, '--target', PHONE],
  ])('%s is silent when quiet and is JSON alone when asked', async (...args) => {
    expect(await whittle([...args, '--quiet'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await answer(args)).toBeTypeOf('object');
  });
});

describe('lists', () => {
  it('of targets name one of each kind', async () => {
    const { targets } = await answer<{ targets: { id: string; kind: string }[] }>(['targets']);
    for (const kind of ['mobile', 'fpga', 'asic', 'reram'])
      expect(
        targets.some((target) => target.kind === kind && target.id.startsWith(`${kind}.`)),
      ).toBe(true);
  });

  it('of passes carry the schema of their parameters', async () => {
    const { passes } = await answer<{ passes: { id: string; parameters: object }[] }>(['passes']);
    const prune = passes.find((pass) => pass.id === 'prune.magnitude');
    expect(prune?.parameters).toMatchObject({
      properties: { ratio: { default: 0.5 }, scope: { enum: ['layer', 'global'] } },
    });
    expect(passes.map((pass) => pass.id)).toEqual(
      expect.arrayContaining(['quantize.int8', 'tokens.topk', 'target.assign']),
    );
  });

  it('of templates have a title and a summary each', async () => {
    const { templates } = await answer<{ templates: { title: string; summary: string }[] }>([
      'templates',
    ]);
    expect(templates.length).toBeGreaterThanOrEqual(3);
    for (const { title, summary } of templates) expect([title, summary]).not.toContain('');
  });
});

interface Inspected {
  macs: number;
  flops: number;
  partial: boolean;
  assumed: object;
  free: object[];
  layers: { name: string; op: string; block: string; macs: number | null }[];
  unknown: object[];
  values?: Record<string, { type: string; shape: (number | string | null)[] | null }>;
}

describe('inspect', () => {
  it('adds the layers up', async () => {
    const seen = await answer<Inspected>(['inspect', RESNET]);
    expect(seen).toMatchObject({
      macs: 40_813_568,
      partial: false,
      assumed: { batch: 1 },
      unknown: [],
    });
    expect(seen.layers.reduce((sum, { macs }) => sum + macs!, 0)).toBe(seen.macs);
    expect(seen.flops).toBeGreaterThan(2 * seen.macs);
  });

  it('takes sizes by symbol and by input', async () => {
    const bySymbol = await answer<Inspected>(['inspect', RESNET, '--shape', 'batch=3']);
    const byInput = await answer<Inspected>(['inspect', RESNET, '--shape', 'image=3,3,32,32']);
    expect([bySymbol.macs, byInput.macs]).toEqual([3 * 40_813_568, 3 * 40_813_568]);
  });

  it('tells type and shape of every value: numbers, symbols, or nothing', async () => {
    const { values } = await answer<Inspected>([
      'inspect',
      LLAMA,
      '--values',
      '--shape',
      'batch=2',
    ]);
    expect(values!.input_ids).toEqual({ type: 'int64', shape: [2, 'sequence'] });
    expect(values!.logits).toEqual({ type: 'float32', shape: [2, 'sequence', 96] });
    expect((await answer<Inspected>(['inspect', LLAMA])).values).toBeUndefined();
  });

  it('counts a free size as 1 and says at least', async () => {
    const seen = await answer<Inspected>(['inspect', LLAMA]);
    expect(seen).toMatchObject({
      partial: true,
      free: [{ symbol: 'sequence', inputs: ['input_ids'] }],
    });
    const one = await answer<Inspected>(['inspect', LLAMA, '--shape', 'sequence=1']);
    expect(one).toMatchObject({ partial: false, free: [], macs: seen.macs });
    const { stdout } = await whittle(['inspect', LLAMA]);
    expect(stdout).toMatch(/at least 434,304 MACs/);
    expect(stdout).toMatch(
      /free: sequence of input_ids, counted as 1; bind it with --shape sequence=SIZE/,
    );
  });
});

interface Estimated {
  targets: {
    id: string;
    total: { macs: number; latencyMs: number; partial: boolean; estimated: boolean };
    layers: { macs: number | null; latencyMs: number | null }[];
    warnings: string[];
  }[];
  before?: Pick<Estimated, 'targets'>;
  steps?: { pass: string; sites: number; estimated: boolean }[];
}

describe('estimate', () => {
  it('gives the sum of the layers, on every target that is named', async () => {
    const { targets } = await answer<Estimated>([
      'estimate',
      RESNET,
      '--target',
      PHONE,
      '--target',
      'reram.isaac',
    ]);
    expect(targets.map(({ id }) => id)).toEqual([PHONE, 'reram.isaac']);
    for (const { total, layers } of targets) {
      expect(total.macs).toBe(40_813_568);
      expect(layers.reduce((sum, { latencyMs }) => sum + latencyMs!, 0)).toBeCloseTo(
        total.latencyMs,
        9,
      );
    }
  });

  it('costs another precision without a recipe', async () => {
    const at = async (...as: string[]) =>
      (await answer<Estimated>(['estimate', RESNET, '--target', PHONE, ...as])).targets[0]!.total
        .latencyMs;
    expect(await at('--as', 'int8')).toBeLessThan(await at());
  });

  it('compares before and after a recipe, whose targets serve where none is named', async () => {
    const file = recipe(VIT, { pass: 'tokens.topk', keep: 0.5 });
    const { targets, before, steps } = await answer<Estimated>(['estimate', VIT, '--recipe', file]);
    expect(targets[0]!.total.macs).toBeLessThan(before!.targets[0]!.total.macs);
    expect(steps).toEqual([{ pass: 'tokens.topk', sites: 1, skipped: [], estimated: false }]);
  });

  it('takes a profile by its path, from the recipe or from here', async () => {
    const profile = path.join(
      import.meta.dirname,
      '../../../templates/targets/reram.isaac.target.yaml',
    );
    const { targets } = await answer<Estimated>(['estimate', RESNET, '--target', profile]);
    expect(targets[0]!.id).toBe('reram.isaac');
  });

  it('says that totals are at least so much while a size is free', async () => {
    const { targets } = await answer<Estimated>(['estimate', LLAMA, '--target', PHONE]);
    expect(targets[0]!.total).toMatchObject({ partial: true, macs: 434_304 });
    expect(targets[0]!.total.latencyMs).toBeGreaterThan(0);
    expect(targets[0]!.warnings).toContain(
      'sequence of input_ids is free and counted as 1; bind it with --shape sequence=SIZE',
    );
  });

  it('fails when a step of the recipe cannot run', async () => {
    const file = recipe(RESNET, { pass: 'tokens.topk' });
    expect(await whittle(['estimate', RESNET, '--recipe', file])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/tokens\.topk has nothing to work on/) as string,
    });
  });
});
