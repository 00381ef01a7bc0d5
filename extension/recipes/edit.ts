import * as vscode from 'vscode';
import { WhittleError } from '../../language/errors';
import type { RecipeEdit } from '../../language/protocol';
import type { Backend } from '../backend';
import { protocolUri } from './uris';

const ATTEMPTS = 3;
const queues = new WeakMap<vscode.TextDocument, Promise<unknown>>();

/**
 * Changes a recipe's text as the server says, in one undo step. Edits of a document wait for each other; when somebody
 * types in between, the server is asked again about the new text.
 */
export function editRecipe(
  backend: Backend,
  document: vscode.TextDocument,
  edit: RecipeEdit,
): Promise<void> {
  const turn = (queues.get(document) ?? Promise.resolve())
    .catch(() => undefined)
    .then(() => applyEdit(backend, document, edit));
  queues.set(document, turn);
  return turn;
}

async function applyEdit(
  backend: Backend,
  document: vscode.TextDocument,
  edit: RecipeEdit,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { version } = document;
    const changes = await backend.request('edit', { document: protocolUri(document.uri), edit });
    if (document.version !== version) continue;
    if (changes.length === 0) return;
    const workspaceEdit = new vscode.WorkspaceEdit();
    for (const { start, end, text } of changes) {
      const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
      workspaceEdit.replace(document.uri, range, text);
    }
    if (await vscode.workspace.applyEdit(workspaceEdit)) return;
  }
  throw new WhittleError('The recipe changed while it was being edited', { hint: 'Try again.' });
}
