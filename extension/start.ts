import * as vscode from 'vscode';
import type { Context } from './context';
import { showFailure } from './failures';
import { openDesigner } from './recipes/open';

/** `npm start` names a model here, to be open when the workbench first appears. */
export function openAtStart(context: Context): void {
  const model = process.env.WHITTLE_OPEN;
  const empty = vscode.window.tabGroups.all.every(({ tabs }) => tabs.length === 0);
  if (!model || !empty) return;
  openDesigner(context, vscode.Uri.file(model)).catch((error: unknown) =>
    showFailure(context.log, error),
  );
}
