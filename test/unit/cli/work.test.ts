/** Applying and evaluating from the command line. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sample, testDataset, testHost } from '../runtime/host';
import { answer, whittle, type TerminalOptions } from './terminal';

const host = testHost();
const terminal = (more: Partial<TerminalOptions> = {}) => ({ runtimeEntry: host.entry, ...more });

const RESNET = sample('shapes-resnet.onnx');
const DATA = testDataset('shapes-resnet.dataset.yaml');
const PHONE = 'mobile.pixel3-cpu';

function recipe(name: string, ...steps: object[]): string {
  const file = path.join(host.folder, `${name}.whittle.yaml`);
  writeFileSync(file, JSON.stringify({ version: 1, model: RESNET, targets: [PHONE], steps }));
  return file;
}
const at = (name: string) => path.join(host.folder, name);

interface Applied {
  output: string;
  report: string;
  after: { macs: number; targets: { latencyMs: number }[] };
}

describe('apply', { timeout: 120_000 }, () => {
  const prune = { pass: 'prune.magnitude', ratio: 0.5, scope: 'global' };

  it('writes where it is told, and what estimate said of the same decisions', async () => {
    const file = recipe('prune it', prune);
    const [output, decisions, report] = [at('out ü.onnx'), at('decisions.json'), at('report.json')];
    const args = ['apply', file, '-o', output, '--decisions', decisions, '--report', report];
    const done = await answer<Applied>(args, terminal());
    expect(done).toMatchObject({
      output,
      report,
      steps: [{ pass: 'prune.magnitude', sites: 22, skipped: [] }],
      kinds: { '*.macs': 'exact', '*.targets.latencyMs': 'modelled', measured: 'measured' },
      fidelity: { outputs: [{ name: 'logits' }] },
      measured: { beforeMs: expect.any(Number) as number, afterMs: expect.any(Number) as number },
    });
    expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ after: done.after });

    const estimate = ['estimate', RESNET, '--recipe', file, '--decisions', decisions];
    const { targets } = await answer<{ targets: { total: { latencyMs: number } }[] }>(estimate);
    expect(targets[0]!.total.latencyMs).toBe(done.after.targets[0]!.latencyMs);

    const again = at('again.onnx');
    await answer(['apply', file, '-o', again, '--replay', decisions], terminal());
    expect(readFileSync(again)).toEqual(readFileSync(output));

    expect(await whittle(['apply', file, '-o', output], terminal())).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/exists already\. Add --force/) as string,
    });
    const other = recipe('other', { ...prune, ratio: 0.6 });
    const refused = ['apply', other, '-o', at('refused.onnx'), '--replay', decisions];
    expect(await whittle(refused, terminal())).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/taken for other steps or shapes/) as string,
    });
  });

  it('shows its progress on a terminal, and clears it', async () => {
    const args = ['apply', recipe('bar'), '-o', at('bar.onnx')];
    const { code, stderr, stdout } = await whittle(args, terminal({ isTTY: true }));
    expect(code).toBe(0);
    expect(stderr).toMatch(/█+░+ (write|check)/);
    expect(stderr.endsWith('\r\u001b[K')).toBe(true);
    expect(stdout).toMatch(/\(modelled\)/);
  });

  it('ends at once when it is interrupted, and leaves nothing behind', async () => {
    const args = ['apply', recipe('stop', prune), '-o', at('stopped.onnx')];
    expect(await whittle(args, terminal({ interrupted: true }))).toEqual({
      code: 130,
      stdout: '',
      stderr: '',
    });
    expect(existsSync(at('stopped.onnx'))).toBe(false);
    expect(readdirSync(host.folder).filter((name) => name.includes('whittle-'))).toEqual([]);
  });
});

describe('the guard of a recipe', { timeout: 120_000 }, () => {
  const prune = { pass: 'prune.magnitude', ratio: 0.5 };
  const guarded = (name: string, guard: object): string => {
    const file = path.join(host.folder, `${name}.whittle.yaml`);
    const content = { version: 1, model: RESNET, targets: [PHONE], guard, steps: [prune] };
    writeFileSync(file, JSON.stringify(content));
    return file;
  };

  it('reports a step that gains less than is asked of it', async () => {
    const file = guarded('kept', { minGain: '2%' });
    const { code, stdout } = await whittle(['apply', file, '-o', at('kept.onnx')], terminal());
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /takes 0\.00 % off the latency .*\(modelled\), less than 2\.00 %\. It was kept/,
    );
    expect(stdout).not.toMatch(/, left out/);
  });

  it('drops it when asked', async () => {
    const file = guarded('dropped', { minGain: '2%', drop: true });
    const output = at('dropped.onnx');
    const { code, stdout } = await whittle(['apply', file, '-o', output], terminal());
    expect(code).toBe(0);
    expect(stdout).toMatch(/prune\.magnitude: 22 sites in .*, left out/);
    expect(stdout).toMatch(/It was left out/);
    const { before, after } = JSON.parse(readFileSync(at('dropped.report.json'), 'utf8')) as {
      before: object;
      after: object;
    };
    expect(after).toEqual({ ...before, fileBytes: expect.any(Number) as number });
    const same = await answer<{ outputs: object[] }>(
      ['evaluate', output, '--against', RESNET, '--samples', '2'],
      terminal(),
    );
    expect(same.outputs).toMatchObject([{ maxAbs: 0 }]);
  });
});

describe('evaluate', { timeout: 120_000 }, () => {
  it('gives the metric of a model', async () => {
    const args = ['evaluate', RESNET, '--data', DATA, '--samples', '64'];
    expect(await answer(args, terminal())).toMatchObject({
      metric: 'top1',
      samples: 64,
      value: expect.any(Number) as number,
    });
  });

  it('compares with a reference', async () => {
    const args = ['evaluate', RESNET, '--against', RESNET, '--data', DATA, '--samples', '64'];
    expect(await answer(args, terminal())).toMatchObject({
      metric: 'top1',
      against: { drop: 0, sqnrDb: null },
    });
  });

  it('names what is wrong with the data', async () => {
    const args = ['evaluate', sample('text-llama.onnx'), '--data', DATA];
    const { code, stderr } = await whittle(args, terminal());
    expect(code).toBe(1);
    expect(stderr).toMatch(/input_ids|image/);
  });
});
