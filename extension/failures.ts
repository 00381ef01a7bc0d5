import * as vscode from 'vscode';
import { CancelledError, describeError } from '../language/errors';
import { COMMAND } from './ids';

/** Says what went wrong; what the user cancelled did not go wrong. */
export function showFailure(log: vscode.LogOutputChannel, error: unknown): void {
  if (isCancellation(error)) return;
  log.error(error instanceof Error ? error : String(error));
  const show = vscode.l10n.t('Show Log');
  void vscode.window.showErrorMessage(describeError(error), show).then((choice) => {
    if (choice === show) void vscode.commands.executeCommand(COMMAND.showLog);
  });
}

/** Cancelled here, or by the server, whose errors arrive by message alone. */
export function isCancellation(error: unknown): boolean {
  if (error instanceof vscode.CancellationError || error instanceof CancelledError) return true;
  return error instanceof Error && error.message === new CancelledError().message;
}
