/**
 * `npm run test:desktop`: the tests of the extension host in a desktop VS Code. `VSCODE` names the program of one that is
 * installed; without it the newest is downloaded, which needs the network.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron';
import { build } from './build.mjs';
import { DIST, ROOT } from './lib/project.mjs';
import { prepareWorkspace } from './lib/workspace.mjs';

await build({ tests: true });
const vscodeExecutablePath = process.env.VSCODE ?? (await download());
const temporary = mkdtempSync(path.join(tmpdir(), 'whittle-desktop-'));
try {
  const workspace = prepareWorkspace(path.join(temporary, 'work space'));
  process.exitCode = await runTests({
    vscodeExecutablePath,
    extensionDevelopmentPath: ROOT,
    extensionTestsPath: path.join(DIST, 'test/index.js'),
    launchArgs: [
      workspace,
      '--disable-extensions',
      '--disable-workspace-trust',
      `--user-data-dir=${path.join(temporary, 'data')}`,
    ],
  });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

async function download() {
  try {
    return await downloadAndUnzipVSCode({ cachePath: path.join(ROOT, '.vscode-test') });
  } catch (error) {
    console.error(
      `VS Code could not be downloaded (${error.message}). These tests need the network once, or an installed VS Code: set VSCODE to its program. \`npm test\` runs the same tests without either.`,
    );
    process.exit(1);
  }
}
