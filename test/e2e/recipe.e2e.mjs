import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openWorkbench } from './workbench.mjs';

let workbench;
before(async () => {
  workbench = await openWorkbench();
});
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

const NAME = 'shapes-vit.whittle.yaml';

test('text and designer of an unsaved recipe are one document', async () => {
  await workbench.contextMenu('samples/shapes-vit.onnx', 'Open in Compression Designer');
  await workbench.webview();
  await workbench.command('Whittle: Open Recipe Text to the Side');
  await workbench.text.filter({ hasText: 'model:' }).first().click();
  await workbench.page.keyboard.press('Control+End');
  await workbench.page.keyboard.type('# a remark');
  await workbench.page.locator('.tab.dirty').nth(1).waitFor();
  assert.equal(await workbench.page.locator('.tab.dirty').count(), 2);
});

test('an unsaved recipe survives a restart of the window', async () => {
  await workbench.page.waitForTimeout(1500); // backups are written after a second
  await workbench.reload();
  await openBothViews();
  await workbench.text.filter({ hasText: '# a remark' }).first().waitFor();
  assert.equal(await workbench.tab(NAME).count(), 2);
  assert.equal(await workbench.page.locator('.tab.dirty').count(), 2);
  assert.equal(existsSync(path.join(workbench.folder, 'samples', NAME)), false);
});

test('saving writes the file beside the model and keeps both views', async () => {
  await workbench.text.first().click();
  await workbench.page.keyboard.press('Control+s');
  const file = path.join(workbench.folder, 'samples', NAME);
  await workbench.page.waitForFunction(() => document.querySelectorAll('.tab.dirty').length === 0);
  await workbench.explorerRow(`samples/${NAME}`);
  assert.match(readFileSync(file, 'utf8'), /^model: \.\/shapes-vit\.onnx\n# a remark/m);
  await workbench.webview();
  await workbench.page.waitForTimeout(500);
  assert.equal(await workbench.tab(NAME).count(), 2);
});

/** Which tabs come back after a restart depends on when the browser last wrote its storage; the text always does. */
async function openBothViews() {
  await Promise.race([workbench.text.first().waitFor(), workbench.webview()]);
  if ((await workbench.tab(NAME).count()) === 1) {
    const text = await workbench.text.first().isVisible();
    await workbench.command(
      `Whittle: Open ${text ? 'Designer to the Side' : 'Recipe Text to the Side'}`,
    );
  }
  await workbench.webview();
}
