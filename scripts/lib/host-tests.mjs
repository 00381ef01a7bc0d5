import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { format } from 'node:util';
import { setUpVsCode } from '../setup-vscode.mjs';
import { launchBrowser } from './browser.mjs';
import { OUT, readJson, ROOT } from './project.mjs';
import { prepareData, serveVsCode } from './vscode-server.mjs';
import { prepareWorkspace } from './workspace.mjs';

const MOST_MS = 300_000;

/**
 * Runs the built `dist/test` inside the extension host of a real workbench, in a folder with the samples; answers mocha's
 * JSON report. The workbench calls two functions of the page: one per line that the host logs, one when the host ends.
 */
export async function runHostTests() {
  const temporary = mkdtempSync(path.join(tmpdir(), 'whittle-host-'));
  const workspace = prepareWorkspace(path.join(temporary, 'work space')); // paths with spaces must work
  const data = path.join(temporary, 'data');
  const report = path.join(OUT, 'host.json');
  rmSync(report, { force: true });
  prepareData(data, { link: false });
  const vscode = await serveVsCode({
    server: await setUpVsCode(),
    data,
    driver: true,
    env: { WHITTLE_TEST_REPORT: report },
  });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    const ended = new Promise((resolve, reject) => {
      void page.exposeFunction('codeAutomationExit', resolve);
      setTimeout(
        () => reject(new Error('The extension host did not finish in time')),
        MOST_MS,
      ).unref();
    });
    await page.exposeFunction('codeAutomationLog', (type, args) => {
      const line = format(...args);
      if (line.startsWith(MARK)) console.log(line.slice(MARK.length));
    });
    await page.goto(
      vscode.url(workspace, [
        ['extensionDevelopmentPath', vscode.remoteUri(ROOT)],
        ['extensionTestsPath', vscode.remoteUri(path.join(ROOT, 'dist/test/index.js'))],
      ]),
    );
    await ended;
    return readJson(report);
  } finally {
    await browser.close();
    await vscode.stop();
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Starts the lines of the tests, among all that an extension host logs. */
const MARK = '[test] ';
