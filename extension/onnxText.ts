import path from 'node:path';
import * as vscode from 'vscode';
import type { Context } from './context';

export const ONNX_TEXT_SCHEME = 'onnx-text';
/** Keeps the tab apart from the model's own, and the model's editor off the text. */
const SUFFIX = '.txt';

/** `onnx-text:/path/of/model.onnx.txt` is the text of that model. */
export const textUriOf = (model: vscode.Uri) =>
  vscode.Uri.from({ scheme: ONNX_TEXT_SCHEME, path: `${model.path}${SUFFIX}` });

export const modelUriOf = (text: vscode.Uri) => vscode.Uri.file(text.path.slice(0, -SUFFIX.length));

export interface Place {
  readonly node?: string | undefined;
  readonly column?: vscode.ViewColumn | undefined;
}

/** Opens a model as text, at a node if one is named. */
export async function showOnnxText(
  { backend }: Context,
  model: vscode.Uri,
  { node, column }: Place = {},
): Promise<void> {
  const document = await vscode.workspace.openTextDocument(textUriOf(model));
  const editor = await vscode.window.showTextDocument(document, {
    viewColumn: column ?? vscode.ViewColumn.Active,
    preview: false,
  });
  if (node === undefined) return;
  const line = await backend.request('onnxTextLine', { model: model.fsPath, node });
  const range = document.lineAt(Math.min(line, document.lineCount - 1)).range;
  editor.selection = new vscode.Selection(range.start, range.start);
  editor.revealRange(range, vscode.TextEditorRevealType.InCenter);
}

/** Provides the text of models, and again when a model changes on disk while its text is open. */
export function registerOnnxText({ backend }: Context): vscode.Disposable {
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const watchers = new Map<string, vscode.Disposable>();
  const watch = (text: vscode.Uri) => {
    if (watchers.has(text.toString())) return;
    const model = modelUriOf(text);
    const pattern = new vscode.RelativePattern(
      vscode.Uri.joinPath(model, '..'),
      path.posix.basename(model.path),
    );
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    watcher.onDidChange(() => changed.fire(text));
    watcher.onDidCreate(() => changed.fire(text));
    watchers.set(text.toString(), watcher);
  };
  const provider: vscode.TextDocumentContentProvider = {
    onDidChange: changed.event,
    provideTextDocumentContent(text, token) {
      watch(text);
      return backend.request('onnxText', { model: modelUriOf(text).fsPath }, token);
    },
  };
  return vscode.Disposable.from(
    vscode.workspace.registerTextDocumentContentProvider(ONNX_TEXT_SCHEME, provider),
    vscode.workspace.onDidCloseTextDocument(({ uri }) => {
      watchers.get(uri.toString())?.dispose();
      watchers.delete(uri.toString());
    }),
    {
      dispose: () => {
        for (const watcher of watchers.values()) watcher.dispose();
      },
    },
  );
}
