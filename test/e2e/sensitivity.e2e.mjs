/** From the graph to a recipe that spares its most fragile layer: measure, leave out, estimate again, by keyboard alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openedDesigner, until } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

const TARGET = 'mobile.pixel3-cpu';
const RECIPE = `version: 1
model: ./shapes-resnet.onnx
targets: [${TARGET}]
calibration: { dataset: ./shapes-calibration.dataset.yaml, samples: 32 }
steps:
  - pass: quantize.int8 # all of it
`;

/** Results of earlier runs would make this one too easy. */
const cache = mkdtempSync(path.join(tmpdir(), 'whittle-cache-'));
let workbench;
let designer;
before(async () => {
  workbench = await openWorkbench({
    env: { WHITTLE_CACHE: cache },
    prepare(folder) {
      writeFileSync(path.join(folder, 'samples/fragile.whittle.yaml'), RECIPE);
      const unfed = RECIPE.replace(/calibration.*\n/, '');
      writeFileSync(path.join(folder, 'samples/unfed.whittle.yaml'), unfed);
    },
  });
});
after(async () => {
  await workbench?.close();
  rmSync(cache, { recursive: true, force: true });
});
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

const press = (key) => workbench.page.keyboard.press(key);
const saved = (name) => readFileSync(path.join(workbench.folder, 'samples', name), 'utf8');
const layerOf = (row) => designer.id(`effect-${row}`).getAttribute('data-layer');
const focusGraph = () =>
  until('the graph has the keyboard', async () => {
    if ((await designer.focused()).startsWith('node-')) return true;
    await press('Tab');
    return false;
  });

async function openRecipe(name) {
  await workbench.contextMenu(`samples/${name}`, 'Open in Compression Designer');
  designer = await openedDesigner(workbench);
  await focusGraph();
}

let worst;
test('three keys: measure, leave out the most fragile layer, estimate again', async () => {
  await openRecipe('fragile.whittle.yaml');
  const [before] = await designer.totals(TARGET);
  await press('s'); // 1
  await designer.id('effects-running').waitFor();
  await workbench.screenshot('sensitivity is measured');
  await until('the table has the keyboard', async () => (await designer.focused()) === 'effect-0');
  worst = await layerOf(0);
  await workbench.screenshot('sensitivity as a heat map');
  await press('Delete'); // 2
  await until('new totals', async () => (await designer.totals(TARGET))[0] !== before);
  assert.match(await designer.id('step-select-0').textContent(), new RegExp(`except ${worst}`));
  await press('s'); // 3: what was measured still holds, so there is nothing to wait for
  await until('the table has the keyboard', async () => (await designer.focused()) === 'effect-0');
  assert.equal(await designer.id('effects-stale').count(), 0);
  assert.match(await designer.id('effect-0').textContent(), /left out/);
});

test('leaving out is an edit like any other: undone, redone, saved with the comments', async () => {
  const isOut = () => designer.frame.locator('.effects-table .is-out').count();
  await press('Control+z');
  await until('taken in again', async () => (await isOut()) === 0);
  await press('Control+Shift+z');
  await until('left out again', async () => (await isOut()) === 1);
  await press('Control+s');
  await until('saved', () => saved('fragile.whittle.yaml').includes('except'));
  assert.equal(saved('fragile.whittle.yaml'), `${RECIPE}    at: "**"\n    except: [${worst}]\n`);
});

test('the table is still there when the tab comes back', async () => {
  await workbench.contextMenu('samples/shapes-vit.onnx', 'Open as ONNX Text');
  await workbench.text.filter({ hasText: 'graph' }).first().waitFor();
  await workbench.tab('fragile.whittle.yaml').click();
  designer = await openedDesigner(workbench);
  await designer.id('step-select-0').click();
  await press('s');
  await designer.id('effect-0').waitFor();
  assert.equal(await layerOf(0), worst);
});

test('Escape cancels and leaves the step as it was', async () => {
  await designer.id('effects-again').click();
  await designer.id('effects-running').waitFor();
  await until('the panel has the keyboard', async () =>
    ['effects-running', 'div'].includes(await designer.focused()),
  );
  await press('Escape');
  await until('it ended', async () => (await designer.id('effects-running').count()) === 0, 15_000);
  assert.equal(await designer.id('effects-failed').count(), 0);
  await designer.id('effect-0').waitFor();
});

test('without samples the palette leads to them, and made-up ones are said aloud', async () => {
  await workbench.command('View: Close All Editors');
  await openRecipe('unfed.whittle.yaml');
  await workbench.openPalette('Whittle: Designer: Measure the Sensitivity');
  await press('Enter');
  await workbench.choose('Made-up inputs');
  await designer.id('effect-0').waitFor();
  await designer.id('effects-made-up').waitFor();
});
