import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { launchBrowser } from '../../scripts/lib/browser.mjs';
import { endOnSignals } from '../../scripts/lib/processes.mjs';
import { OUT, runNode } from '../../scripts/lib/project.mjs';
import { prepareData, serveVsCode } from '../../scripts/lib/vscode-server.mjs';
import { prepareWorkspace } from '../../scripts/lib/workspace.mjs';
import { setUpVsCode } from '../../scripts/setup-vscode.mjs';
import { descendants } from './processes.mjs';

const SCREENSHOTS = path.join(OUT, 'screenshots');
/** The workbench itself takes 15 s, and far longer on a busy machine. */
const MOST_MS = 120_000;

endOnSignals();

/**
 * Opens the real workbench in a real browser, on a folder of its own with the samples and recipe templates, to which
 * `prepare` may add. With `vsix`, the
 * extension is installed from that file, as users get it; else it is this working copy, as last built.
 */
export async function openWorkbench({ vsix, settings, env, prepare } = {}) {
  const temporary = mkdtempSync(path.join(tmpdir(), 'whittle-e2e-'));
  const folder = prepareWorkspace(path.join(temporary, 'workspace'));
  prepare?.(folder);
  const data = path.join(temporary, 'data');
  const server = await setUpVsCode();
  prepareData(data, { link: !vsix, settings });
  if (vsix) await install(server, data, vsix);
  const vscode = await serveVsCode({ server, data, env });
  const browser = await launchBrowser();
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(MOST_MS);
  const workbench = new Workbench(page, folder, vscode, async () => {
    await browser.close();
    await vscode.stop();
    rmSync(temporary, { recursive: true, force: true });
  });
  await workbench.load();
  return workbench;
}

async function install(server, data, vsix) {
  const code = await runNode(
    [
      path.join(server, 'out/server-main.js'),
      '--accept-server-license-terms',
      ...['--server-data-dir', data, '--extensions-dir', path.join(data, 'extensions')],
      ...['--install-extension', vsix],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (code !== 0) throw new Error(`${vsix} could not be installed`);
}

/** What a person does at the workbench, in its words. */
export class Workbench {
  constructor(page, folder, vscode, close) {
    this.page = page;
    /** Where the samples are, on disk. */
    this.folder = folder;
    this.url = vscode.url(folder);
    this.server = vscode.child.pid;
    this.close = close;
  }

  async load() {
    await this.page.goto(this.url);
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
  }

  /** Reloads the window, as after a restart. */
  async reload() {
    await this.page.goto('about:blank');
    await this.load();
  }

  /** A row of the Explorer; the folders on the way are opened. */
  async explorerRow(file) {
    const parts = file.split('/');
    for (const [depth, name] of parts.entries()) {
      const row = this.page
        .locator('.explorer-folders-view .monaco-list-row')
        .filter({ has: this.page.getByText(name, { exact: true }) });
      await row.waitFor();
      if (depth === parts.length - 1) return row;
      if ((await row.getAttribute('aria-expanded')) !== 'true') await row.click();
    }
  }

  /** Opens a file's context menu and answers an item of it. Extensions add theirs some seconds after the files appear. */
  async openContextMenu(file, item) {
    const row = await this.explorerRow(file);
    const entry = this.page.getByRole('menuitem', { name: item });
    const end = Date.now() + MOST_MS;
    for (;;) {
      await row.click({ button: 'right' });
      await this.page.getByRole('menuitem', { name: 'Copy Path' }).first().waitFor();
      if (await entry.count()) return entry;
      if (Date.now() > end) throw new Error(`the context menu of ${file} has no “${item}”`);
      await this.page.keyboard.press('Escape');
      await this.page.waitForTimeout(250);
    }
  }

  /** Picks an item of a file's context menu. */
  async contextMenu(file, item) {
    const entry = await this.openContextMenu(file, item);
    // For a moment after it opened, a menu takes a click for the end of the one that opened it.
    while (await entry.isVisible()) {
      await entry.click();
      await this.page.waitForTimeout(250);
    }
  }

  /** Runs a command from the palette. */
  async command(title) {
    await this.openPalette(title);
    await this.choose(title);
  }

  /**
   * Opens the palette on a command. An editor that comes to the front meanwhile, as after a first save, takes the keyboard
   * and closes it: then it is opened again.
   */
  async openPalette(title) {
    const palette = this.page.locator('.quick-input-widget');
    const found = this.page
      .locator('.quick-input-list .monaco-list-row.focused')
      .filter({ hasText: title });
    const shown = (locator) =>
      locator.waitFor({ timeout: 5000 }).then(
        () => true,
        () => false,
      );
    for (const end = Date.now() + MOST_MS; Date.now() < end;) {
      await this.page.keyboard.press('F1');
      if (!(await shown(palette))) continue;
      await this.page.keyboard.type(title);
      if (!(await shown(found))) continue;
      await this.page.waitForTimeout(500);
      if (await found.isVisible()) return;
    }
    throw new Error(`the palette did not offer “${title}”`);
  }

  /** Picks an entry of the open quick pick, which draws only the entries in view: typing narrows it down. */
  async choose(text) {
    const rows = this.page.locator('.quick-input-list .monaco-list-row');
    await rows.first().waitFor();
    const wanted = rows.filter({ hasText: text }).first();
    if (!(await wanted.count())) await this.page.keyboard.type(text);
    await wanted.click();
  }

  /** The innermost frame of the webview that shows what the selector finds. */
  async webview(selector = '#root > *') {
    const end = Date.now() + MOST_MS;
    while (Date.now() < end) {
      for (const frame of this.page.frames()) {
        if (/fake\.html/.test(frame.url()) && (await isShown(frame, selector))) return frame;
      }
      await this.page.waitForTimeout(100);
    }
    throw new Error(`no webview shows ${selector}`);
  }

  tab(name) {
    return this.page.locator('.tabs-container .tab').filter({ hasText: name });
  }

  get activeTab() {
    return this.page.locator('.editor-group-container.active .tab.active');
  }

  notification(text) {
    return this.page.locator('.notification-list-item').filter({ hasText: text });
  }

  statusBarItem(text) {
    return this.page.locator('.statusbar-item').filter({ hasText: text });
  }

  /** The lines of the text editors, with their inlay hints. */
  get text() {
    return this.page.locator('.editor-instance .view-line');
  }

  /** Ids of the processes below the server whose command line matches. */
  processes(pattern) {
    return descendants(this.server)
      .filter(({ command }) => pattern.test(command))
      .map(({ id }) => id);
  }

  /** Keeps a picture for people; `out/screenshots/NAME.png`. */
  async screenshot(name) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
  }
}

/** A frame that is on its way out answers with an error. */
async function isShown(frame, selector) {
  try {
    return (await frame.locator(selector).count()) > 0;
  } catch {
    return false;
  }
}
