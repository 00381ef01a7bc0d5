import * as vscode from 'vscode';
import type { ViewMemories } from '../memory';
import type { Views } from '../views/views';
import { exists } from './unsavedFiles';
import { fileUri, UNSAVED_SCHEME } from './uris';

/**
 * Once a recipe has its file, its tabs show that file, each where and as it was. The new editor takes the keyboard only from
 * the one that it replaces: a palette that was opened meanwhile stays.
 */
export const followSaves = (memories: ViewMemories, views: Views) =>
  vscode.workspace.onDidSaveTextDocument(async ({ uri }) => {
    if (uri.scheme !== UNSAVED_SCHEME || !(await exists(fileUri(uri)))) return;
    memories.move(uri, fileUri(uri));
    for (const tab of tabsOf(uri)) await reopen(tab, fileUri(uri), views);
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

async function reopen(
  { input, group, isActive }: vscode.Tab,
  file: vscode.Uri,
  views: Views,
): Promise<void> {
  const custom = input instanceof vscode.TabInputCustom ? input : undefined;
  const takesKeyboard = isActive && (!custom || views.hasKeyboard(custom.uri));
  const options = {
    viewColumn: group.viewColumn,
    preview: false,
    preserveFocus: !takesKeyboard,
    background: !isActive,
  };
  const editor = custom?.viewType ?? 'default';
  await vscode.commands.executeCommand('vscode.openWith', file, editor, options);
}
