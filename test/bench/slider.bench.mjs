/**
 * What a person waits for while a slider moves in the real workbench: from the event in the page until totals and layers
 * have changed, the last of them, and until they are drawn. The way goes from the page to the extension host, to the server, and back. A headless
 * browser draws in software, on the processors that everything else runs on, so that these are upper bounds.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { openedDesigner } from '../e2e/designer.mjs';
import { openWorkbench } from '../e2e/workbench.mjs';

const BUDGET_MS = 100;
const MOVES = 12;
const TARGETS = 'targets: [mobile.pixel3-cpu, fpga.zcu102-dpu]';
const PRUNE = '  - pass: prune.magnitude\n    ratio: 0.5\n';
const TOKENS = '  - pass: tokens.topk\n    keep: [0.7, 0.49, 0.343]\n';
const SLIDERS = [
  { model: 'shapes-resnet', steps: PRUNE },
  { model: 'shapes-vit', steps: TOKENS },
  { model: 'text-llama', steps: `${PRUNE}shapes: { sequence: 64 }\n` },
];

export default async function slider() {
  const workbench = await openWorkbench({ prepare });
  const rows = [];
  try {
    for (const { model } of SLIDERS) {
      await workbench.contextMenu(fileOf(model), 'Open in Compression Designer');
      const { frame } = await openedDesigner(workbench);
      await frame.locator('.step-title').first().click();
      await frame.locator('input[type=range]').first().waitFor();
      await workbench.page.waitForTimeout(4000); // as long as a person takes to find it
      const moves = await frame.evaluate(moved, MOVES);
      for (const what of ['changed', 'drawn']) {
        const times = moves.map((move) => move[what]).sort((a, b) => a - b);
        const [least, most, first] = [times[0], times.at(-1), moves[0][what]].map(Math.round);
        const note = `${least} to ${most} ms, the first ${first}`;
        const bar = what === 'changed' ? { bar: BUDGET_MS } : {};
        rows.push({
          name: `${model}: ${what}`,
          value: times[MOVES >> 1],
          unit: 'ms',
          note,
          ...bar,
        });
      }
      await workbench.command('View: Close All Editors');
    }
  } finally {
    await workbench.close();
  }
  return rows;
}

const fileOf = (model) => `samples/slider-${model}.whittle.yaml`;

function prepare(folder) {
  for (const { model, steps } of SLIDERS) {
    const recipe = `version: 1\nmodel: ./${model}.onnx\n${TARGETS}\nsteps:\n${steps}`;
    writeFileSync(path.join(folder, fileOf(model)), recipe);
  }
}

/** Runs in the page: moves the first slider so often; ms until the last of what changes has, and until that is drawn. */
async function moved(count) {
  const input = document.querySelector('input[type=range]');
  const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
  const watched = { subtree: true, childList: true, characterData: true };
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  for (let move = 0; move < count; move++) {
    const start = performance.now();
    let changedMs = 0;
    const changes = [];
    const changed = new Promise((resolve) => {
      for (const part of ['totals', 'canvas']) {
        const observer = new MutationObserver(() => {
          changedMs = performance.now() - start;
          resolve();
        });
        observer.observe(document.querySelector(`[data-testid="${part}"]`), watched);
        changes.push(observer);
      }
    });
    const [least, most] = [Number(input.min), Number(input.max)];
    set.call(input, String(least + (most - least) * (0.3 + (0.5 * ((move * 7) % count)) / count)));
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await changed;
    await frame();
    await frame();
    for (const observer of changes) observer.disconnect();
    times.push({ changed: changedMs, drawn: performance.now() - start });
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return times;
}
