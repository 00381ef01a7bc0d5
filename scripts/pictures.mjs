/**
 * `node scripts/pictures.mjs`: takes the picture of the designer in the README anew, from the real workbench: the vision
 * transformer with two steps, in the dark theme.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openedDesigner } from '../test/e2e/designer.mjs';
import { openWorkbench } from '../test/e2e/workbench.mjs';
import { build } from './build.mjs';
import { end } from './lib/processes.mjs';
import { ROOT } from './lib/project.mjs';

const PICTURE = path.join(ROOT, 'docs/designer.png');
const RECIPE = `version: 1
model: ./shapes-vit.onnx
shapes: { batch: 1 }
targets: [mobile.pixel3-cpu, fpga.zcu102-dpu]
calibration: { dataset: ./shapes-calibration.dataset.yaml }
evaluation: { dataset: ./shapes.dataset.yaml }
budget: { latency: { target: mobile.pixel3-cpu, max: 8ms } }
steps:
  - pass: tokens.topk
    keep: [0.7, 0.49, 0.343]
  - pass: quantize.int8
`;

await build();
const workbench = await openWorkbench({
  settings: {
    'workbench.colorTheme': 'Default Dark Modern',
    'workbench.activityBar.location': 'hidden',
    'breadcrumbs.enabled': false,
    'window.commandCenter': false,
  },
  prepare: (folder) => writeFileSync(path.join(folder, 'samples/shapes-vit.whittle.yaml'), RECIPE),
});
const { page } = workbench;
await page.setViewportSize({ width: 1440, height: 900 });
await workbench.command('View: Toggle Primary Side Bar Visibility');
await workbench.command('Whittle: Open in Compression Designer');
await workbench.choose('shapes-vit.onnx');
const designer = await openedDesigner(workbench);
await designer.id('step-select-0').click();
await designer.frame.locator('.parameter').first().waitFor();
await page.mouse.move(720, 20);
await page.waitForTimeout(1500);
mkdirSync(path.dirname(PICTURE), { recursive: true });
await page.screenshot({ path: PICTURE });
await workbench.close();
console.log(`${PICTURE}: ${Math.round(statSync(PICTURE).size / 1000)} kB`);
await end(0);
