/** The first save gives a recipe its file: the editor is replaced, and the keyboard stays where it is. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openedDesigner, until } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

let workbench;
before(async () => (workbench = await openWorkbench()));
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

const press = (key) => workbench.page.keyboard.press(key);

/** A new recipe of a model with one step, the graph having the keyboard. */
async function begun(model) {
  await workbench.contextMenu(`samples/${model}.onnx`, 'Open in Compression Designer');
  const designer = await openedDesigner(workbench);
  await designer.frame.locator('.card').first().click();
  await press('p');
  await designer.id('pass-picker').waitFor();
  await workbench.page.keyboard.type('prune.magnitude');
  await press('Enter');
  await until('a step', async () => (await designer.steps()).length === 1);
  return designer;
}

const savedTab = (model) =>
  until('the recipe has its file', async () => {
    const file = path.join(workbench.folder, `samples/${model}.whittle.yaml`);
    return existsSync(file) && (await workbench.page.locator('.tab.dirty').count()) === 0;
  });

test('a palette that was opened meanwhile stays open', async () => {
  const unsaved = await begun('shapes-resnet');
  await press('Control+s');
  await press('F1');
  await workbench.page.locator('.quick-input-widget').waitFor();
  await savedTab('shapes-resnet');
  await unsaved.replaced();
  await openedDesigner(workbench);
  await workbench.page.waitForTimeout(2000);
  assert(await workbench.page.locator('.quick-input-widget').isVisible());
  await press('Escape');
});

test('without one the new editor has the keyboard', async () => {
  const unsaved = await begun('shapes-vit');
  await press('Control+s');
  await savedTab('shapes-vit');
  await unsaved.replaced();
  const designer = await openedDesigner(workbench);
  await until('keys reach the graph', async () => {
    await press('p');
    await workbench.page.waitForTimeout(500);
    return (await designer.id('pass-picker').count()) > 0;
  });
});
