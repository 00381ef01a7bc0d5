/** What users get: the packaged extension, installed into a server that never saw the working copy. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { unzipSync } from 'fflate';
import { OUT, ROOT, runNode } from '../../scripts/lib/project.mjs';
import { openedDesigner } from './designer.mjs';
import { openWorkbench } from './workbench.mjs';

const MOST_BYTES = 25e6;
const vsix = path.join(OUT, 'whittle.vsix');
const linked = lstatSync(path.join(ROOT, 'node_modules')).isSymbolicLink();
const skip = linked && 'node_modules is a link, which vsce does not follow';

describe('the package', { skip }, () => {
  let workbench;
  let names;
  before(async () => {
    const code = await runNode([path.join(ROOT, 'scripts/package.mjs'), '--out', vsix], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    assert.equal(code, 0);
    names = [];
    unzipSync(readFileSync(vsix), { filter: ({ name }) => !names.push(name) });
    workbench = await openWorkbench({ vsix, env: { WHITTLE_DATA: path.join(OUT, 'data') } });
  });
  after(async () => {
    await workbench?.close();
    rmSync(path.join(OUT, 'data'), { recursive: true, force: true });
  });
  afterEach(async (context) => {
    await workbench?.screenshot(`package ${context.name}`);
  });

  test('is small, and has what it needs', () => {
    const bytes = lstatSync(vsix).size;
    assert(bytes <= MOST_BYTES, `${bytes} bytes`);
    const { icon, categories, main, l10n } = JSON.parse(
      readFileSync(path.join(ROOT, 'package.json'), 'utf8'),
    );
    assert(categories.length > 0);
    for (const file of [
      icon,
      main,
      `${l10n}/bundle.l10n.json`,
      'dist/THIRD-PARTY-NOTICES.txt',
      'templates/recipes/int8.whittle.yaml',
    ])
      assert(names.includes(path.posix.join('extension', file)), file);
  });

  test('has nothing that is only of use to its makers', () => {
    const needless = names.filter((name) =>
      /\.(tsx?|map|test\.\w+)$|\/(test|webview|language|scripts|samples)\/|\/sample-/.test(name),
    );
    assert.deepEqual(
      needless.filter((name) => !/node_modules\/onnxruntime-/.test(name)),
      [],
    );
  });

  test('opens a model and applies a recipe to it', async () => {
    await workbench.contextMenu('samples/shapes-resnet.onnx', 'Open in Compression Designer');
    const designer = await openedDesigner(workbench);
    await designer.id('totals-mobile.pixel3-cpu').waitFor();
    await designer.id('apply').click(); // without steps: a copy, which ONNX Runtime loads and runs
    const report = await workbench.webview('[data-testid="measured-card"]');
    assert.match(await report.getByTestId('measured-card').textContent(), /\d\s(ms|µs)/);
    assert(existsSync(path.join(workbench.folder, 'samples/shapes-resnet.compressed.onnx')));
  });

  test('measures this machine, which is a target then', async () => {
    await workbench.command('Whittle: Calibrate Target…');
    await workbench.choose('This machine');
    await workbench.notification('This machine, 1 thread').waitFor();
    assert(existsSync(path.join(OUT, 'data/targets/host.target.yaml')));
  });
});
