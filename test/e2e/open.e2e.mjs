import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
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

const MODEL = 'samples/shapes-resnet.onnx';
const RECIPE = 'shapes-resnet.whittle.yaml';

test('a double click opens a model in the viewer', async () => {
  await (await workbench.explorerRow(MODEL)).dblclick();
  await workbench.tab('shapes-resnet.onnx').waitFor();
  await workbench.webview();
});

test('the context menu opens the designer on an unsaved recipe', async () => {
  await workbench.contextMenu(MODEL, 'Open in Compression Designer');
  await workbench.tab(RECIPE).waitFor();
  await workbench.webview();
  assert.equal(existsSync(path.join(workbench.folder, 'samples', RECIPE)), false);
});

test('the status bar shows the target', async () => {
  await workbench.page.locator('.statusbar-item[id*="whittle.target"]').waitFor();
});

test('the palette opens a model as text', async () => {
  await workbench.command('Whittle: Open as ONNX Text');
  await workbench.choose('shapes-resnet.onnx');
  await workbench.text.filter({ hasText: 'Conv' }).first().waitFor();
});
