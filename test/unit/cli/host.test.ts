/** This machine as a target. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitTo } from '../../../language/recipe/measureHost';
import { hostFile, writeProfile } from '../../../language/recipe/thisMachine';
import { probes } from '../../../language/runtime/probes';
import { checkGraph } from '../../../language/graph/check';
import { bindModel, openModel } from '../../../language/recipe/opened';
import { sample, testHost } from '../runtime/host';
import { answer, whittle } from './terminal';

const host = testHost();
const RESNET = sample('shapes-resnet.onnx');
let data: string | undefined;
beforeAll(() => {
  data = process.env.WHITTLE_DATA;
  process.env.WHITTLE_DATA = path.join(host.folder, 'data ü');
});
afterAll(() => {
  if (data === undefined) delete process.env.WHITTLE_DATA;
  else process.env.WHITTLE_DATA = data;
});

interface Estimated {
  targets: { id: string; total: { latencyMs: number }; kind?: string }[];
}

describe('host', { timeout: 240_000 }, () => {
  const idsOf = async () =>
    (await answer<{ targets: { id: string }[] }>(['targets'])).targets.map(({ id }) => id);

  it('says what to run while this machine is not calibrated', async () => {
    expect(await idsOf()).not.toContain('host');
    expect(await whittle(['estimate', RESNET, '--target', 'host'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not calibrated yet.*whittle calibrate host/) as string,
    });
  });

  it('is a target once its layers were measured', async () => {
    const networks = ['shapes-resnet', 'shapes-vit'].map((name) => ({
      name,
      file: sample(`${name}.onnx`),
      shapes: {},
    }));
    const seen: string[] = [];
    const { profile, heldOut } = await fitTo(
      networks,
      { models: [], shapes: {}, threads: 1, budgetMs: 50 },
      {
        signal: new AbortController().signal,
        onProgress: (detail) => seen.push(detail),
        runtimeEntry: host.entry,
      },
    );
    expect(seen).toContain('shapes-vit');
    expect(heldOut.map(({ name }) => name)).toEqual(['shapes-resnet', 'shapes-vit']);
    writeProfile(hostFile(), profile);

    expect((await idsOf())[0]).toBe('host');
    const { targets } = await answer<Estimated>(['estimate', RESNET, '--target', 'host']);
    expect(targets[0]!.id).toBe('host');
    expect(targets[0]!.total.latencyMs / heldOut[0]!.fittedMs).toBeCloseTo(1, 3);
    const said = await whittle(['estimate', RESNET, '--target', 'host']);
    expect(said.stdout).toMatch(/one network left out at a time within/);
  });

  it('is told apart from wrong usage', async () => {
    for (const args of [
      ['calibrate', 'host', 'more.csv'],
      ['calibrate', 'host', '--threads', 'none'],
    ])
      expect(await whittle(args)).toMatchObject({ code: 2 });
    const absent = ['calibrate', 'host', '--model', path.join(host.folder, 'absent.onnx')];
    expect(await whittle(absent)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('absent.onnx') as string,
    });
  });
});

describe('the networks that it is measured by', () => {
  it.each(probes().map((probe) => [probe.name, probe] as const))('%s is valid', (_, probe) => {
    const file = path.join(host.folder, 'probe.onnx');
    probe.write(file);
    const { graph, facts } = bindModel(openModel(file), {});
    expect(checkGraph(graph)).toEqual([]);
    for (const { outputs } of graph.order)
      for (const output of outputs) expect(facts.value(output).shape, output).toBeDefined();
  });
});
