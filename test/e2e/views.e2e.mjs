/** The other ways in, and what stands beside the graph: menus, lists, texts with their hints, two views of one document. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openedDesigner, until } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

const RECIPE = `# what the phone needs
version: 1
model: ./shapes-vit.onnx
targets: [mobile.pixel3-cpu, fpga.zcu102-dpu]
steps:
  # first fewer tokens
  - pass: tokens.topk
    keep: [0.7]
  # then fewer weights
  - pass: prune.magnitude
    ratio: 0.5 # half
`;

let workbench;
let designer;
before(async () => {
  workbench = await openWorkbench({
    settings: { 'workbench.colorTheme': 'Default Dark Modern' },
    prepare: (folder) => writeFileSync(path.join(folder, 'samples/two.whittle.yaml'), RECIPE),
  });
});
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

const sample = (name) => path.join(workbench.folder, 'samples', name);
const saved = () => readFileSync(sample('two.whittle.yaml'), 'utf8');
const closeAll = () => workbench.command('View: Close All Editors');
/** Spaces of inlay hints do not break. */
const lines = async () =>
  (await workbench.text.allTextContents()).map((line) => line.replaceAll('\u00a0', ' '));
const line = (what, pattern) =>
  until(what, async () => (await lines()).find((one) => pattern.test(one)));

test('the context menus offer what can be done', async () => {
  for (const item of ['Apply Compression Recipe…', 'New Recipe for Model', 'Open as ONNX Text']) {
    const menu = await workbench.openContextMenu('samples/shapes-vit.onnx', item);
    assert.equal(await menu.count(), 1, item);
    await workbench.page.keyboard.press('Escape');
  }
  await workbench.openContextMenu('samples/two.whittle.yaml', 'Open in Compression Designer');
  await workbench.page.keyboard.press('Escape');
  await workbench.openContextMenu('samples/two.whittle.yaml', 'Apply Compression Recipe…');
  await workbench.screenshot('the menu of a recipe');
  await workbench.page.keyboard.press('Escape');
});

test('a recipe as text says what each step gains, and the designer opens beside it', async () => {
  await (await workbench.explorerRow('samples/two.whittle.yaml')).dblclick();
  await line('the gain of the tokens', /tokens\.topk.*→.*ms.*−\d+ %.*sites?/);
  await line('the gain of the pruning', /prune\.magnitude.*→.*ms/);
  await workbench.command('Whittle: Open Designer to the Side');
  designer = await openedDesigner(workbench);
  assert.equal((await designer.steps()).length, 2);
});

test('typing in the text changes the designer', async () => {
  const [before] = await designer.totals('mobile.pixel3-cpu');
  await workbench.text.filter({ hasText: 'keep:' }).first().click();
  const { keyboard } = workbench.page;
  await keyboard.press('Home');
  await keyboard.press('Shift+End');
  await keyboard.type('keep: [0.5]');
  await until('new totals', async () => (await designer.totals('mobile.pixel3-cpu'))[0] !== before);
});

test('the designer changes the text and keeps its comments', async () => {
  await designer.id('step-toggle-0').click();
  await line('switched off', /enabled: false/);
  await designer.id('step-select-1').focus();
  await workbench.page.keyboard.press('Alt+ArrowUp');
  await until('reordered', async () =>
    (await lines()).join().match(/prune\.magnitude.*tokens\.topk/),
  );
  await workbench.page.keyboard.press('Control+s');
  await until('saved', () => /prune\.magnitude[^]*tokens\.topk/.test(saved()));
  const [head, first, second] = saved().split(/^(?= {2}# )/m);
  assert.match(head, /^# what the phone needs\nversion: 1/);
  assert.match(
    first,
    /# then fewer weights\n {2}- pass: prune\.magnitude\n {4}ratio: 0\.5 # half\n/,
  );
  assert.match(second, /# first fewer tokens\n {2}- pass: tokens\.topk\n[^]*enabled: false/);
  await designer.id('step-select-1').focus();
  await workbench.page.keyboard.press('Delete');
  await until('removed', async () => (await designer.steps()).length === 1);
});

test('the status bar chooses the target of all numbers', async () => {
  await workbench.page.locator('.statusbar-item[id*="whittle.target"]').click();
  await workbench.choose('fpga.zcu102-dpu');
  await until('the designer shows it', async () =>
    (await designer.id('totals-fpga.zcu102-dpu').getAttribute('class')).includes('is-shown'),
  );
});

test('a model as text says what each node costs', async () => {
  await workbench.page.keyboard.press('Control+s');
  await closeAll();
  await workbench.contextMenu('samples/shapes-resnet.onnx', 'Open as ONNX Text');
  await workbench.text.filter({ hasText: 'graph' }).first().click();
  await workbench.page.keyboard.press('Control+End');
  await line('costs of a layer', /= Gemm\(.* MMAC · .* ms/);
});

test('Open With lists the editors', async () => {
  await closeAll();
  await workbench.contextMenu('samples/two.whittle.yaml', 'Open With...');
  await workbench.choose('Compression Designer');
  await openedDesigner(workbench);
});

test('a dimension that is free is asked for, and written into the recipe', async () => {
  await closeAll();
  await workbench.contextMenu('samples/text-llama.onnx', 'Open in Compression Designer');
  designer = await openedDesigner(workbench);
  const form = designer.frame.locator('form.free').first();
  await form.waitFor();
  await workbench.screenshot('a free dimension');
  await form.locator('input').fill('96');
  await form.locator('input').press('Enter');
  await until('it is bound', async () => (await designer.frame.locator('form.free').count()) === 0);
  await until('costs are known', async () =>
    /\d (ms|µs)/.test((await designer.totals('fpga.zcu102-dpu'))[0]),
  );
  await workbench.page.keyboard.press('Control+s');
  await until('saved', () => existsSync(sample('text-llama.whittle.yaml')));
  assert.match(
    readFileSync(sample('text-llama.whittle.yaml'), 'utf8'),
    /^shapes: \{ ?sequence: 96 ?\}$/m,
  );
});

test('the palette applies a template to a model', async () => {
  await closeAll();
  await workbench.command('Whittle: Apply Compression Recipe');
  await workbench.choose('INT8 throughout');
  await workbench.choose('shapes-resnet.onnx');
  await workbench.screenshot('a template asks for samples');
  await workbench.choose('shapes-calibration.dataset.yaml');
  await workbench.webview('[data-testid="report"]');
  assert(existsSync(sample('shapes-resnet.int8.onnx')));
});
