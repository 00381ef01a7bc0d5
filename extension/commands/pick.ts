import path from 'node:path';
import * as vscode from 'vscode';
import { LANGUAGE, VIEW } from '../ids';

const EXCLUDED = '**/{node_modules,.git}/**';
const MOST = 500;

export const isModel = (uri: vscode.Uri) => /\.onnx$/i.test(uri.path);
export const isRecipe = (uri: vscode.Uri) => /\.whittle\.ya?ml$/i.test(uri.path);

export interface FileItem extends vscode.QuickPickItem {
  readonly uri: vscode.Uri;
}

/** The files of the workspace that match, by name. */
export async function fileItems(pattern: string): Promise<FileItem[]> {
  const found = await vscode.workspace.findFiles(pattern, EXCLUDED, MOST);
  return found.map(fileItem).sort((a, b) => a.label.localeCompare(b.label));
}

export function fileItem(uri: vscode.Uri): FileItem {
  const folder = path.posix.dirname(vscode.workspace.asRelativePath(uri));
  return { label: path.posix.basename(uri.path), description: folder === '.' ? '' : folder, uri };
}

/** What a command works on: what it was called for, else the model in front, else what the user picks. */
export async function modelFor(argument: unknown): Promise<vscode.Uri | undefined> {
  if (argument instanceof vscode.Uri) return argument;
  return tabUri(VIEW.viewer) ?? pickModel(vscode.l10n.t('Which model?'));
}

export async function pickModel(title: string): Promise<vscode.Uri | undefined> {
  const browse = { label: vscode.l10n.t('$(folder-opened) Browse…'), uri: undefined };
  const items = await fileItems('**/*.onnx');
  const choice = await vscode.window.showQuickPick([...items, browse], {
    placeHolder: title,
    matchOnDescription: true,
  });
  if (!choice) return undefined;
  return choice.uri ?? browseFor(title, { ONNX: ['onnx'] });
}

export async function browseFor(
  title: string,
  filters: Record<string, string[]>,
): Promise<vscode.Uri | undefined> {
  return (await vscode.window.showOpenDialog({ title, filters }))?.[0];
}

/** What the custom editor in front shows, if it is of this type. */
export function tabUri(viewType: string): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputCustom && input.viewType === viewType
    ? input.uri
    : undefined;
}

/** The recipe in front, as text or in the designer. */
export function recipeInFront(): vscode.Uri | undefined {
  const document = vscode.window.activeTextEditor?.document;
  if (document?.languageId === LANGUAGE.recipe) return document.uri;
  return tabUri(VIEW.designer);
}
