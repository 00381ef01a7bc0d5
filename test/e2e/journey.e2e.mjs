/** The whole way, from a right click to a compressed model and its report: with the pointer, then with the keyboard alone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import { DIST, readJson } from '../../scripts/lib/project.mjs';
import { openedDesigner, until } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

const ort = createRequire(import.meta.url)('onnxruntime-node');

const TARGET = 'mobile.pixel3-cpu';
let workbench;
let designer;
before(async () => {
  workbench = await openWorkbench({
    prepare(folder) {
      const samples = path.join(folder, 'samples');
      const [from, to] = ['shapes-resnet.onnx', 'by-keyboard.onnx'];
      copyFileSync(path.join(samples, from), path.join(samples, to));
    },
  });
});
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

const file = (name) => path.join(workbench.folder, 'samples', name);
const saved = (name) => readFileSync(file(name), 'utf8');
const nothingDirty = () =>
  until(
    'everything is saved',
    async () => (await workbench.page.locator('.tab.dirty').count()) === 0,
  );

test('a pass dragged onto a block changes the totals', async () => {
  await workbench.contextMenu('samples/shapes-resnet.onnx', 'Open in Compression Designer');
  designer = await openedDesigner(workbench);
  const [before] = await designer.totals(TARGET);
  assert.match(before, /^[\d.]+ (ms|µs)$/);
  await designer.drag('quantize.int8', '.card-block, .card-stack');
  await designer.id('step-0').waitFor();
  await until('before → after', async () => (await designer.totals(TARGET))[0].includes(' to '));
  const [now, difference] = await designer.totals(TARGET);
  assert(now.startsWith(before.split(' ')[0]), `${now} starts with ${before}`);
  assert.match(difference, /^[+−][\d.]+ %/); // one block alone may not pay for its rounding
  await workbench.activeTab.locator('xpath=self::*[contains(@class,"dirty")]').waitFor();
});

test('undo takes the step away, redo brings it back', async () => {
  const [withStep] = await designer.totals(TARGET);
  await designer.id('undo').click();
  await until('no step', async () => (await designer.steps()).length === 0);
  await until('as before', async () => !(await designer.totals(TARGET))[0].includes(' to '));
  await designer.id('redo').click();
  await until('a step', async () => (await designer.steps()).length === 1);
  await until('as with it', async () => (await designer.totals(TARGET))[0] === withStep);
});

test('a step without samples leads to them', async () => {
  await designer.id('data-choose').click();
  await workbench.choose('shapes-calibration.dataset.yaml');
  await until('the banner has gone', async () => (await designer.id('data-need').count()) === 0);
  await workbench.page.keyboard.press('Control+s');
  await nothingDirty();
  assert.match(
    saved('shapes-resnet.whittle.yaml'),
    /^calibration: \{ ?dataset: \.\/shapes-calibration\.dataset\.yaml ?\}$/m,
  );
});

test('apply writes a model that runs, and its report opens', async () => {
  await designer.replaced();
  designer = await openedDesigner(workbench);
  await designer.id('apply').click();
  await workbench.webview('[data-testid="report"]');
  await checkOutput('shapes-resnet');
});

test('the report says what the command line says', async () => {
  await compareWithCommandLine('shapes-resnet');
});

test('the same with the keyboard alone', async () => {
  const { page } = workbench;
  const press = (key) => page.keyboard.press(key);
  await workbench.command('View: Close All Editors');
  await byKeyboard('Whittle: Open in Compression Designer', 'by-keyboard.onnx');
  designer = await openedDesigner(workbench);
  await until('the graph has the keyboard', async () => {
    if ((await designer.focused()).startsWith('node-')) return true;
    await press('Tab');
    return false;
  });
  await press('ArrowDown');
  await press('ArrowDown');
  const node = await designer.focused();
  await press('p');
  await designer.id('pass-picker').waitFor();
  await page.keyboard.type('quantize.int8');
  await press('Enter');
  await until('a step', async () => (await designer.steps()).length === 1);
  await until('the form has the keyboard', async () =>
    (await designer.focused()).startsWith('parameter-'),
  );
  await press('Control+z');
  await until('undone', async () => (await designer.steps()).length === 0);
  await press('Control+Shift+z');
  await until('redone', async () => (await designer.steps()).length === 1);
  await byKeyboard('Whittle: Choose Calibration Data', 'shapes-calibration');
  await until('data', async () => (await designer.id('data-need').count()) === 0);
  await press('Control+s');
  await nothingDirty();
  await designer.replaced();
  designer = await openedDesigner(workbench);
  assert(saved('by-keyboard.whittle.yaml').includes(node.slice('node-'.length).split('…')[0]));
  await byKeyboard(
    'Whittle: Apply Compression Recipe',
    'by-keyboard.whittle.yaml',
    'The model that',
  );
  await workbench.webview('[data-testid="report"]');
  await checkOutput('by-keyboard');
});

/** A command from the palette, and what its lists should be answered. */
async function byKeyboard(command, ...answers) {
  const { page } = workbench;
  await workbench.openPalette(command);
  await page.keyboard.press('Enter');
  for (const text of answers) {
    const rows = page.locator('.quick-input-list .monaco-list-row');
    await rows.filter({ hasText: text }).first().waitFor();
    await page.keyboard.type(text);
    await page
      .locator('.quick-input-list .monaco-list-row.focused')
      .filter({ hasText: text })
      .waitFor();
    await page.keyboard.press('Enter');
  }
}

async function checkOutput(name) {
  const output = file(`${name}.compressed.onnx`);
  assert(existsSync(output), `${output} exists`);
  const session = await ort.InferenceSession.create(output);
  const image = new ort.Tensor('float32', new Float32Array(3 * 32 * 32).fill(0.1), [1, 3, 32, 32]);
  const results = await session.run({ [session.inputNames[0]]: image });
  const [scores] = Object.values(results);
  assert(scores.data.every(Number.isFinite), 'finite scores');
  const graph = readFileSync(output).toString('latin1');
  assert(graph.includes('QuantizeLinear'), 'it is quantised');
}

async function compareWithCommandLine(name) {
  const [output, recipe] = [file(`${name}.compressed.onnx`), file(`${name}.whittle.yaml`)];
  const report = readJson(file(`${name}.compressed.report.json`));
  const elsewhere = path.join(workbench.folder, 'by-command-line.onnx');
  const applied = await whittle('apply', recipe, '-o', elsewhere);
  assert.equal(sha256(elsewhere), sha256(output), 'the same bytes');
  assert.equal(report.output.sha256, sha256(output));
  assert.deepEqual(report.fidelity.outputs, applied.fidelity.outputs);
  const targets = report.after.targets.flatMap(({ id }) => ['--target', id]);
  for (const [model, side] of [
    [report.model.path, report.before],
    [output, report.after],
  ]) {
    const estimate = await whittle(
      'estimate',
      path.resolve(path.dirname(output), model),
      ...targets,
    );
    for (const { id, total } of estimate.targets) {
      const reported = side.targets.find((target) => target.id === id);
      assert.equal(reported.latencyMs, total.latencyMs, `${id} latency`);
      assert.equal(reported.energyMj, total.energyMj, `${id} energy`);
      assert.equal(side.macs, total.macs);
    }
  }
  const page = await workbench.webview('[data-testid="report"]');
  const shown = (await page.locator('.headline').textContent()).replaceAll('\u00a0', ' ');
  const { latencyMs } = report.after.targets.find(({ id }) => id === TARGET);
  assert(shown.includes(latencyMs.toPrecision(3)), `${shown} says ${latencyMs}`);
}

async function whittle(...args) {
  const cli = path.join(DIST, 'cli.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args, '--json'], {
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout);
}

const sha256 = (name) => createHash('sha256').update(readFileSync(name)).digest('hex');
