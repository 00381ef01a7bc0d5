/** A device of one's own, from a table of measurements. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openWorkbench } from './workbench.mjs';

const TABLE = `model,latency_ms
shapes-resnet.onnx,3.1
shapes-vit.onnx,16
another.onnx,3.3
`;

let workbench;
before(async () => {
  workbench = await openWorkbench({
    prepare: (folder) => {
      const samples = path.join(folder, 'samples');
      writeFileSync(path.join(samples, 'my board.csv'), TABLE);
      copyFileSync(path.join(samples, 'shapes-resnet.onnx'), path.join(samples, 'another.onnx'));
    },
  });
});
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

test('a table of measurements becomes a target, and its costs are shown', async () => {
  await (await workbench.explorerRow('samples/shapes-vit.onnx')).dblclick();
  await workbench.webview('[data-node]');
  await workbench.command('Whittle: Calibrate Target…');
  await workbench.choose('mobile.generic-cpu');
  await workbench.choose('my board.csv');
  await workbench.notification('calibrated').waitFor();
  assert(existsSync(path.join(workbench.folder, 'samples/my board.target.yaml')));
  await workbench
    .notification('calibrated')
    .getByRole('button', { name: 'Show Costs for It' })
    .click();
  await workbench.statusBarItem('my board').waitFor();
  const viewer = await workbench.webview('[data-node]');
  await viewer
    .getByText(/calibrated/)
    .first()
    .waitFor();
});
