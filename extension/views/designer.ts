import * as vscode from 'vscode';
import { measureActivations } from '../activations';
import { applyRecipe } from '../apply';
import type { Context } from '../context';
import { VIEW } from '../ids';
import { chooseData } from '../recipes/data';
import { editRecipe } from '../recipes/edit';
import { reveal } from '../reveal';
import { measureSensitivity } from '../sensitivity';
import { graphHandlers, openText } from './graph';
import { openView } from './open';
import type { Handlers } from './session';

/**
 * The designer is a second view of the recipe's text: VS Code keeps the document, and with it undo, redo, the dirty mark,
 * save, revert and hot exit.
 */
export function registerDesigner(context: Context): vscode.Disposable {
  return vscode.window.registerCustomEditorProvider(
    VIEW.designer,
    { resolveCustomTextEditor: (document, panel) => open(context, document, panel) },
    { supportsMultipleEditorsPerDocument: true },
  );
}

function open(context: Context, document: vscode.TextDocument, panel: vscode.WebviewPanel): void {
  const session = openView(context, 'designer', document.uri, panel, handlersOf(context, document));
  const changes = vscode.workspace.onDidChangeTextDocument((event) => {
    if (event.document === document && event.contentChanges.length) session.send('changed', null);
  });
  panel.onDidDispose(() => void changes.dispose());
}

function handlersOf(context: Context, document: vscode.TextDocument): Handlers {
  const graph = graphHandlers(context, document.uri);
  return {
    ...graph.handlers,
    edit: async (edit) => {
      await editRecipe(context.backend, document, edit);
      return null;
    },
    // VS Code's own commands, which work on the editor in front: this one, since it was just used.
    undo: () => run('undo'),
    redo: () => run('redo'),
    chooseData: async ({ use }) => {
      await chooseData(context, document, use);
      return null;
    },
    apply: async () => {
      await applyRecipe(context, { recipe: document.uri });
      return null;
    },
    cancel: () => {
      context.runs.cancel(document.uri);
      return null;
    },
    sensitivity: async (question) => {
      await measureSensitivity(context, document, question);
      return null;
    },
    cancelSensitivity: () => {
      context.analyses.cancel(document.uri);
      return null;
    },
    activations: (question) => measureActivations(context, document, question),
    cancelActivations: () => {
      context.captures.cancel(document.uri);
      return null;
    },
    open: async (request) => {
      switch (request.what) {
        case 'recipe':
          await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside });
          return null;
        case 'onnxText':
          await openText(context, graph.model(), request.node);
          return null;
        case 'output':
          await reveal(context.runs.outputOf(document.uri));
          return null;
        case 'designer':
          return null; // it is this one
      }
    },
  };
}

async function run(command: string): Promise<null> {
  await vscode.commands.executeCommand(command);
  return null;
}
