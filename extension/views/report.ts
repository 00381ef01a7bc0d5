import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { WhittleError } from '../../language/errors';
import type { Report, ViewMemory } from '../../language/protocol';
import type { Context } from '../context';
import { VIEW } from '../ids';
import { openDesigner, showDesigner } from '../recipes/open';
import { reveal } from '../reveal';
import { openText } from './graph';
import { openView } from './open';
import type { Handlers } from './session';

/** A report, drawn; the file itself stays readable JSON. */
export function registerReport(context: Context): vscode.Disposable {
  return vscode.window.registerCustomEditorProvider(
    VIEW.report,
    { resolveCustomTextEditor: (document, panel) => open(context, document, panel) },
    { supportsMultipleEditorsPerDocument: true },
  );
}

function open(context: Context, document: vscode.TextDocument, panel: vscode.WebviewPanel): void {
  const session = openView(context, 'report', document.uri, panel, handlersOf(context, document));
  const changes = vscode.workspace.onDidChangeTextDocument((event) => {
    if (event.document === document && event.contentChanges.length) session.send('changed', null);
  });
  panel.onDidDispose(() => void changes.dispose());
}

function handlersOf(context: Context, document: vscode.TextDocument): Handlers {
  return {
    report: () => parse(document),
    open: async (request) => {
      const { model, recipe, output } = parse(document);
      const file = (name: string) => path.resolve(path.dirname(document.uri.fsPath), name);
      switch (request.what) {
        case 'recipe':
          await vscode.window.showTextDocument(vscode.Uri.file(file(recipe.path)));
          return null;
        case 'onnxText':
          await openText(context, file(model.path), request.node);
          return null;
        case 'designer':
          await openRecipe(context, file(recipe.path), file(model.path), request.view);
          return null;
        case 'output':
          await reveal(file(output.path));
          return null;
      }
    },
  };
}

/** A recipe that was never saved has no file: its model's designer opens instead. */
async function openRecipe(
  context: Context,
  recipe: string,
  model: string,
  view: ViewMemory,
): Promise<void> {
  if (existsSync(recipe)) await showDesigner(context, vscode.Uri.file(recipe), { view });
  else await openDesigner(context, vscode.Uri.file(model), { view });
}

function parse(document: vscode.TextDocument): Report {
  const name = path.posix.basename(document.uri.path);
  const report = parseJson(document.getText(), name) as Partial<Report> | null;
  if (report?.version === 1 && report.before && report.after) return report as Report;
  throw new WhittleError('This is not a report of Whittle, or of a newer version', { where: name });
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WhittleError('This report is not valid JSON', { where, cause });
  }
}
