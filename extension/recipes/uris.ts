import * as vscode from 'vscode';

/** Recipes that have no file yet; the path is that of the file that saving will write. */
export const UNSAVED_SCHEME = 'whittle-unsaved';

/** The file behind an unsaved recipe, or that it will have. */
export const fileUri = (uri: vscode.Uri) => uri.with({ scheme: 'file' });

/** How the server knows a document: what has no file is `untitled:` to it. */
export const protocolUri = (uri: vscode.Uri) =>
  (uri.scheme === UNSAVED_SCHEME ? uri.with({ scheme: 'untitled' }) : uri).toString();

/** Back again; `untitled:Untitled-1` and its like are VS Code's own and have no folder. */
export function documentUri(protocol: string): vscode.Uri {
  const uri = vscode.Uri.parse(protocol);
  const ours = uri.scheme === 'untitled' && uri.path.startsWith('/');
  return ours ? uri.with({ scheme: UNSAVED_SCHEME }) : uri;
}
