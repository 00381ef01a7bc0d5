import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';

/** A file of the workspace that the tests run in. */
export function inWorkspace(...parts: string[]): vscode.Uri {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert(folder, 'a folder is open');
  return vscode.Uri.joinPath(folder.uri, ...parts);
}

/** A copy of a sample under another name, so that tests do not meet. */
export async function copyOfSample(name: string, copy: string): Promise<vscode.Uri> {
  const model = inWorkspace('copies', copy);
  await vscode.workspace.fs.copy(inWorkspace('samples', name), model, { overwrite: true });
  return model;
}

/** Asks again until the answer is there. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | false | PromiseLike<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function customTabs(viewType: string): vscode.Tab[] {
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(({ input }) => input instanceof vscode.TabInputCustom && input.viewType === viewType);
}

export const activeInput = () => vscode.window.tabGroups.activeTabGroup.activeTab?.input;

/** The custom editor in front, once it shows a file of this name. */
export const customEditorInFront = (viewType: string, name: string) =>
  eventually(`${viewType} with ${name} in front`, () => {
    const input = activeInput();
    const found = input instanceof vscode.TabInputCustom && input.viewType === viewType;
    return found && path.posix.basename(input.uri.path) === name ? input : undefined;
  });

export const closeAll = () => vscode.commands.executeCommand('workbench.action.closeAllEditors');

export const exists = (uri: vscode.Uri) =>
  vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
