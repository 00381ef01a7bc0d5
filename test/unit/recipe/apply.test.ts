/** Applying recipes to files: what is written, what is refused, and that nothing is left behind. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { CancelledError } from '../../../language/errors';
import type { Report } from '../../../language/protocol';
import { applyRecipe, type ApplyJob } from '../../../language/recipe/apply';
import { fileHash } from '../../../language/recipe/files';
import { network, recipeOf } from './subject';
import { sample, testHost } from '../runtime/host';

const host = testHost();

const PRUNE = { pass: 'prune.magnitude', ratio: 0.5, scope: 'global' };
const QUANTISE = { pass: 'quantize.int8', at: '**' };
const GENERATED = { dataset: { source: { generated: {} } }, samples: 2 };

let place: string;
let model: string;
let count = 0;
beforeEach(() => {
  place = path.join(host.folder, `Modelle für Ü ${count++}`);
  mkdirSync(place);
  model = path.join(place, 'mein netz.onnx');
  copyFileSync(host.model(`network-${count}.onnx`, network()), model);
});

function job(
  steps: object[],
  more: Partial<ApplyJob> & { recipe?: never } = {},
  extra: object = {},
): ApplyJob {
  const recipeText = JSON.stringify({ version: 1, ...extra, steps });
  return {
    recipe: recipeOf(recipeText),
    folder: place,
    recipeFile: undefined,
    recipeText,
    model,
    output: path.join(place, 'ergebnis ü.onnx'),
    overwrite: false,
    shapes: {},
    ...more,
  };
}

function apply(
  given: ApplyJob,
  onProgress: (phase: string) => void = () => undefined,
  signal = new AbortController().signal,
) {
  return applyRecipe(given, { signal, onProgress, runtimeEntry: host.entry });
}

const readReport = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Report;

describe('applying a recipe', { timeout: 60_000 }, () => {
  it('writes model and report beside each other, and never the source', async () => {
    const before = await fileHash(model);
    const { output, report, content } = await apply(job([PRUNE]));
    expect(readdirSync(place).sort()).toEqual([
      'ergebnis ü.onnx',
      'ergebnis ü.report.json',
      'mein netz.onnx',
    ]);
    expect(await fileHash(model)).toBe(before);
    expect(readReport(report)).toEqual(content);
    expect(content).toMatchObject({
      model: { path: model, sha256: before },
      output: { path: output, sha256: await fileHash(output) },
      steps: [{ pass: 'prune.magnitude', sites: 3, skipped: [] }],
      kinds: { '*.macs': 'exact', '*.targets.latencyMs': 'modelled', measured: 'measured' },
      fidelity: {
        data: expect.stringMatching(/made|generated/i) as string,
        outputs: [{ name: 'logits' }],
      },
    });
    expect(content.after.macs).toBe(content.before.macs);
  });

  it('writes an equal model when there are no steps', async () => {
    const { content } = await apply(job([]));
    expect(content.fidelity.outputs).toMatchObject([{ name: 'logits', maxAbs: 0 }]);
  });

  it('refuses to replace what exists, unless it is told to', async () => {
    await apply(job([PRUNE]));
    await expect(apply(job([PRUNE]))).rejects.toThrow(
      /ergebnis ü\.onnx exists already\. Add --force/,
    );
    await apply(job([PRUNE], { overwrite: true }));
  });

  it.each([
    ['the model itself', () => model],
    ['another spelling of it', () => path.join(place, 'x', '..', 'mein netz.onnx')],
  ])('refuses to write over %s', async (_, output) => {
    const before = await fileHash(model);
    await expect(apply(job([], { output: output(), overwrite: true }))).rejects.toThrow(
      /is what the recipe is applied to/,
    );
    expect(await fileHash(model)).toBe(before);
  });

  const failures: [name: string, steps: object[], message: RegExp][] = [
    ['nothing matches', [PRUNE, { ...PRUNE, at: '/nowhere' }], /\/nowhere matches nothing/],
    [
      'a pass takes nothing',
      [PRUNE, { pass: 'tokens.topk' }],
      /tokens\.topk has nothing to work on/,
    ],
    ['data are missing', [PRUNE, QUANTISE], /quantize\.int8 needs calibration data/],
  ];
  it.each(failures)('leaves nothing behind when %s', async (_, steps, message) => {
    await expect(apply(job(steps))).rejects.toThrow(message);
    expect(readdirSync(place)).toEqual(['mein netz.onnx']);
  });

  it.each(['prune.magnitude', 'quantize.int8', 'write', 'check', 'measure'])(
    'stops in "%s" when it is cancelled, and leaves nothing behind',
    async (where) => {
      const controller = new AbortController();
      const cancel = (phase: string) => {
        if (phase === where) controller.abort();
      };
      const given = job([PRUNE, QUANTISE], {}, { calibration: GENERATED });
      await expect(apply(given, cancel, controller.signal)).rejects.toThrow(CancelledError);
      expect(readdirSync(place)).toEqual(['mein netz.onnx']);
    },
  );

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'asks for another folder where the one of the model is read-only',
    async () => {
      chmodSync(place, 0o555);
      await expect(apply(job([PRUNE]))).rejects.toThrow(
        /cannot write into .* Choose another folder/,
      );
      const output = path.join(host.folder, 'elsewhere.onnx');
      expect(existsSync((await apply(job([PRUNE], { output }))).output)).toBe(true);
      chmodSync(place, 0o755);
    },
  );

  it('reports a model that ONNX Runtime does not run, and does not fail on it', async () => {
    const odd = network();
    odd.insert(
      {
        op: 'NoSuchOperator',
        domain: 'nowhere',
        name: 'odd',
        inputs: ['b'],
        outputs: ['o'],
        attributes: {},
      },
      odd.order.at(-1)!,
    );
    copyFileSync(host.model('odd.onnx', odd), model);
    const { content } = await apply(job([PRUNE]));
    expect(content.fidelity.unavailable).toMatch(/ONNX Runtime does not run the original/);
    expect(content.measured.unavailable).toBeDefined();
  });

  it('counts a free size as 1 and says that it is at least so much', async () => {
    copyFileSync(sample('text-llama.onnx'), model);
    const { content } = await apply(job([{ ...PRUNE, at: '/layers.0/mlp' }]));
    expect(content.before).toMatchObject({ partial: true, macs: 434_304 });
    expect(content.after.targets[0]).toMatchObject({ partial: true });
  });
});

describe('decisions', { timeout: 60_000 }, () => {
  const recipe = { calibration: GENERATED };
  const lock = () => path.join(place, 'lock.json');
  const record = (steps: object[]) => apply(job(steps, { decisionsOut: lock() }, recipe));
  const replay = (
    steps: object[],
    more: Partial<ApplyJob> & { recipe?: never } = {},
    extra: object = recipe,
  ) =>
    apply(job(steps, { replay: lock(), output: path.join(place, 'again.onnx'), ...more }, extra));

  it('repeat a run to the byte, without planning', async () => {
    const first = await record([PRUNE, QUANTISE]);
    const again = await replay([PRUNE, QUANTISE]);
    expect(again.content.output.sha256).toBe(first.content.output.sha256);
  });

  it('do not mind comments, names and disabled steps', async () => {
    const first = await record([PRUNE]);
    const again = await replay([
      { scope: 'global', ratio: 0.5, pass: 'prune.magnitude' },
      { ...QUANTISE, enabled: false },
    ]);
    expect(again.content.output.sha256).toBe(first.content.output.sha256);
  });

  it('are refused for another model, recipe, data set or shape', async () => {
    await record([PRUNE]);
    await expect(replay([{ ...PRUNE, ratio: 0.6 }])).rejects.toThrow(
      /taken for other steps or shapes/,
    );
    await expect(replay([PRUNE, PRUNE])).rejects.toThrow(/taken for other steps or shapes/);
    await expect(replay([PRUNE], {}, {})).rejects.toThrow(/taken for other calibration data/);
    await expect(replay([PRUNE], { model: sample('shapes-resnet.onnx') })).rejects.toThrow(
      /taken for another model/,
    );
    expect(existsSync(path.join(place, 'again.onnx'))).toBe(false);
  });

  it.each([
    ['nothing at all', ''],
    ['something else', '{"version": 1}'],
    ['a newer version', '{"version": 2, "steps": []}'],
  ])('are refused when the file holds %s', async (_, text) => {
    writeFileSync(lock(), text);
    await expect(replay([PRUNE])).rejects.toThrow(/lock\.json is not a decisions file/);
  });

  it('are refused when the file is not there', async () => {
    await expect(replay([PRUNE])).rejects.toThrow(/cannot read .*lock\.json/);
  });
});
