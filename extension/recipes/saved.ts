import * as vscode from 'vscode';
import type { ViewMemories } from '../memory';
import { exists } from './unsavedFiles';
import { fileUri, UNSAVED_SCHEME } from './uris';

/** Once a recipe has its file, its tabs show that file, each where and as it was. */
export const followSaves = (memories: ViewMemories) =>
  vscode.workspace.onDidSaveTextDocument(async ({ uri }) => {
    if (uri.scheme !== UNSAVED_SCHEME || !(await exists(fileUri(uri)))) return;
    memories.move(uri, fileUri(uri));
    for (const tab of tabsOf(uri)) await reopen(tab, fileUri(uri));
    await vscode.window.tabGroups.close(tabsOf(uri), true);
  });

/** The one in front last, so that it is in front again. */
function tabsOf(uri: vscode.Uri): vscode.Tab[] {
  const front = vscode.window.tabGroups.activeTabGroup;
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(({ input }) => {
      const shows = input instanceof vscode.TabInputCustom || input instanceof vscode.TabInputText;
      return shows && input.uri.toString() === uri.toString();
    })
    .sort((a, b) => rank(a) - rank(b));

  function rank({ group, isActive }: vscode.Tab): number {
    return (isActive ? 1 : 0) + (group === front ? 2 : 0);
  }
}

async function reopen({ input, group, isActive }: vscode.Tab, file: vscode.Uri): Promise<void> {
  const options = {
    viewColumn: group.viewColumn,
    preview: false,
    preserveFocus: !isActive,
    background: !isActive,
  };
  const editor = input instanceof vscode.TabInputCustom ? input.viewType : 'default';
  await vscode.commands.executeCommand('vscode.openWith', file, editor, options);
}
