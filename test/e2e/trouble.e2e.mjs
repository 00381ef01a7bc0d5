/** What goes wrong: files that are no models, a cancelled run, a backend that dies. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { openedDesigner, until } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

const RECIPE = `# by hand
version: 1
model: ./shapes-vit.onnx
calibration: { dataset: ./shapes-calibration.dataset.yaml }
evaluation: { dataset: ./shapes.dataset.yaml }
steps:
  - pass: quantize.int8 # everything
`;

let workbench;
let designer;
before(async () => {
  workbench = await openWorkbench({ prepare });
});
after(() => workbench?.close());
afterEach(async (context) => {
  await workbench.screenshot(context.name);
});

function prepare(folder) {
  const bad = path.join(folder, 'bad');
  const whole = readFileSync(path.join(folder, 'samples/shapes-resnet.onnx'));
  mkdirSync(bad);
  writeFileSync(path.join(bad, 'truncated.onnx'), whole.subarray(0, whole.length / 2));
  writeFileSync(path.join(bad, 'text.onnx'), '<!doctype html>\n<p>Not Found</p>\n'.repeat(20));
  writeFileSync(path.join(bad, 'empty.onnx'), '');
  writeFileSync(path.join(folder, 'samples/by-hand.whittle.yaml'), RECIPE);
}

const sample = (name) => path.join(workbench.folder, 'samples', name);

const BAD = {
  'truncated.onnx': /ends|truncated|cut|short/i,
  'text.onnx': /not an ONNX|HTML|not a model|text/i,
  'empty.onnx': /empty/i,
};
for (const [name, words] of Object.entries(BAD)) {
  test(`${name} is refused in the editor, in words`, async () => {
    await (await workbench.explorerRow(`bad/${name}`)).dblclick();
    await workbench.tab(name).waitFor();
    const message = await until('the message', async () => {
      const frame = await workbench.webview('[data-testid="cannot-open"]');
      const text = await frame.getByTestId('cannot-open').textContent();
      return text.includes(name) && text;
    });
    assert.match(message, words);
    assert.doesNotMatch(message, /made a mistake|undefined|\.ts:/);
    await workbench.command('View: Close All Editors');
  });
}

test('the designer of a file that is no model says so too', async () => {
  await workbench.contextMenu('bad/truncated.onnx', 'Open in Compression Designer');
  await workbench.webview('[data-testid="cannot-open"]');
  await workbench.command('View: Close All Editors');
});

test('cancelling a run ends it at once and leaves nothing', async () => {
  await workbench.contextMenu('samples/by-hand.whittle.yaml', 'Open in Compression Designer');
  designer = await openedDesigner(workbench);
  const files = readdirSync(sample('.'));
  await designer.id('apply').click();
  await designer.id('apply-panel').waitFor();
  await designer.id('apply-cancel').click();
  await designer.id('apply-panel').waitFor({ state: 'detached' });
  await until('no trace', () => same(readdirSync(sample('.')), files), 5000);
  assert.equal(await workbench.notification('was written').count(), 0);
});

test('a backend killed in the middle of a run comes back, and nothing is lost', async () => {
  const files = readdirSync(sample('.'));
  const [server] = workbench.processes(/dist\/server\.js/);
  assert(server, 'the language server runs');
  await designer.id('apply').click();
  await designer.frame.locator('.phase-working').waitFor();
  process.kill(server, 'SIGKILL');
  await workbench.notification('starting again').first().waitFor();
  await workbench.notification('nothing was written').first().waitFor();
  await workbench.screenshot('the backend is gone');
  await until('another server', () => {
    const [next] = workbench.processes(/dist\/server\.js/);
    return next !== undefined && next !== server;
  });
  await until('the designer works again', async () => {
    const restarting = await designer.id('restarting').count();
    return restarting === 0 && (await designer.steps()).length === 1;
  });
  assert.equal(readFileSync(sample('by-hand.whittle.yaml'), 'utf8'), RECIPE);
  await until('no job is left', () => workbench.processes(/dist\/(job|runtime)\.js/).length === 0);
  assert.deepEqual(readdirSync(sample('.')), files);
  await designer.id('step-toggle-0').click();
  await until(
    'edits work',
    async () => (await designer.frame.locator('.step.is-off').count()) === 1,
  );
});

const same = (a, b) => a.length === b.length && a.every((name, index) => name === b[index]);
