/** `npm start`: the designer is open on a sample by itself, and Ctrl-C leaves nothing behind. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { until } from './designer.mjs';
import { descendants, isAlive } from './processes.mjs';
import { startWhittle } from './started.mjs';
import { Workbench } from './workbench.mjs';

let home;
let browser;
before(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'whittle-start-'));
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  rmSync(home, { recursive: true, force: true });
});

test('the designer opens by itself, and Ctrl-C ends every process', async () => {
  const { child, url, ended, interrupt } = await startWhittle(home);
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  const workbench = new Workbench(page, path.join(home, 'workspace'), { url: () => url, child });
  await workbench.load();
  await workbench.webview('[data-testid="designer"] [data-node]');
  await workbench.screenshot('npm start');
  const processes = descendants(child.pid);
  assert(processes.length >= 3, 'a server, an extension host and a language server');
  interrupt();
  assert.equal(await ended, 130);
  await until('every process has ended', () => !processes.some(({ id }) => isAlive(id)), 15_000);
});

test('without the token nothing is served', async () => {
  const { url, ended, interrupt } = await startWhittle(home);
  const bare = new URL(url);
  bare.searchParams.delete('tkn');
  assert.equal(bare.hostname, '127.0.0.1');
  assert.equal((await fetch(bare)).status, 403);
  interrupt();
  await ended;
});
