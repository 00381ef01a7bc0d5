import * as vscode from 'vscode';

/** Shows a file in the Explorer, or in the system's file manager where the workspace does not hold it. */
export async function reveal(file: string | undefined): Promise<void> {
  if (!file) {
    void vscode.window.showInformationMessage(vscode.l10n.t('Nothing has been written yet.'));
    return;
  }
  const uri = vscode.Uri.file(file);
  const inside = vscode.workspace.getWorkspaceFolder(uri) !== undefined;
  await vscode.commands.executeCommand(inside ? 'revealInExplorer' : 'revealFileInOS', uri);
}
