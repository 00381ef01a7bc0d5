import * as vscode from 'vscode';
import { protocolUri } from './uris';

/** A recipe to apply. */
export interface Job {
  readonly recipe: vscode.Uri;
  /** In place of the model that the recipe names. */
  readonly model?: vscode.Uri | undefined;
  /** It belongs to no model, and stays as it is. */
  readonly template?: boolean;
}

/** How the server is asked about a job. An open document goes by its URI, so that what is not saved yet counts. */
export function askingFor({ recipe, model }: Job): { recipe: string; model?: string } {
  const open = vscode.workspace.textDocuments.some(
    (document) => document.uri.toString() === recipe.toString(),
  );
  return {
    recipe: open ? protocolUri(recipe) : recipe.fsPath,
    ...(model && { model: model.fsPath }),
  };
}
